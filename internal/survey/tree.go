package survey

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/rungbot/rung/internal/manifest"
	"github.com/rungbot/rung/internal/pipeline"
	"github.com/rungbot/rung/internal/promotion"
)

// Limits of a tree. Who reads one keeps to them, and says with a Refusal when it
// can't.
const (
	// MaxFiles is how many files are looked at.
	MaxFiles = 20_000
	// MaxBytes is how many bytes they have together.
	MaxBytes = 128 << 20
	// MaxPaths is how many paths a tree may list, looked at or not.
	MaxPaths = 500_000
)

// SchemaFile is where the schema lies that rung.yaml names in its first line: beside
// it, so that editors need no network.
const SchemaFile = "rung.schema.json"

// File is a file of a tree.
type File struct {
	// Path is from the repository's root, with slashes.
	Path string
	Data []byte
}

// Tree is what is looked at: the files that Wanted names, of a checkout or a commit.
type Tree struct {
	// Files are sorted by path.
	Files []File
	// Notes say what the reader passed over: links, files that are too large.
	Notes []manifest.Note
	// Owner is the account that the repository belongs to; empty if it isn't known.
	Owner string
	// Under limits where environments are looked for to these directories and files;
	// empty is everywhere.
	Under []string
}

// Wanted reports whether a file of this path is looked at.
func Wanted(file string) bool {
	if slices.Contains(ownersFiles, file) || file == SchemaFile {
		return true
	}
	for part := range strings.SplitSeq(file, "/") {
		if strings.HasPrefix(part, ".") && !isOrderFile(part) || part == "node_modules" {
			return false
		}
	}
	return manifest.IsManifest(file) || isOrderFile(path.Base(file))
}

// ownersFiles are where CODEOWNERS may lie, in GitHub's order.
var ownersFiles = []string{".github/CODEOWNERS", "CODEOWNERS", "docs/CODEOWNERS"}

// isOrderFile reports whether a file of this name may list environments in their
// order.
func isOrderFile(base string) bool {
	switch strings.ToLower(base) {
	case "order", ".order", "order.txt", "order.yaml", "order.yml", "environments.txt", "environments.yaml", "environments.yml", "stages.txt", "stages.yaml", "stages.yml":
		return true
	}
	return false
}

// configuration reports whether a path is rung's own.
func configuration(file string) bool {
	return file == SchemaFile || pipeline.IsConfigPath(file) || strings.HasPrefix(file, pipeline.PartsDirectory+"/") || strings.HasPrefix(file, "policies/")
}

// Refusal says in one sentence why nothing came out, and what to do.
type Refusal struct{ Sentence string }

// Error is the sentence.
func (r *Refusal) Error() string { return r.Sentence }

func refuse(format string, args ...any) error { return &Refusal{fmt.Sprintf(format, args...)} }

// file finds a file by its path.
func (t *Tree) file(name string) ([]byte, bool) {
	i, ok := slices.BinarySearchFunc(t.Files, name, func(f File, name string) int { return strings.Compare(f.Path, name) })
	if !ok {
		return nil, false
	}
	return t.Files[i].Data, true
}

// existing is the configuration that the tree has, or nil.
func (t *Tree) existing() (*promotion.Pipeline, error) {
	files := map[string][]byte{}
	var policies []string
	for _, f := range t.Files {
		switch {
		case strings.HasPrefix(f.Path, "policies/"):
			policies = append(policies, f.Path)
		case configuration(f.Path) && f.Path != SchemaFile:
			files[f.Path] = f.Data
		}
	}
	if _, there := files[pipeline.RootFile]; !there {
		return nil, nil
	}
	r := pipeline.Load(files, pipeline.Options{PolicyFiles: policies})
	if len(r.Problems) > 0 || r.Pipeline == nil {
		return nil, refuse("%s: mend that first (rung validate lists every problem), then run rung init again", r.Problems[0])
	}
	return r.Pipeline, nil
}

// under reports whether environments are looked for at a path.
func (t *Tree) under(file string) bool {
	return len(t.Under) == 0 || slices.ContainsFunc(t.Under, func(u string) bool { return file == u || strings.HasPrefix(file, u+"/") })
}

// Choose sorts out which of the paths of a repository are read: those that are Wanted,
// or, where they are too many, those of them under the directories that were named.
func Choose(paths, under []string) ([]string, error) {
	var chosen []string
	for _, p := range paths {
		if Wanted(p) {
			chosen = append(chosen, p)
		}
	}
	if len(chosen) > MaxFiles && len(under) > 0 {
		t := Tree{Under: under}
		chosen = slices.DeleteFunc(chosen, func(p string) bool {
			return !t.under(p) && !configuration(p) && !slices.Contains(ownersFiles, p)
		})
	}
	if len(chosen) > MaxFiles {
		return nil, TooMany()
	}
	slices.Sort(chosen)
	return chosen, nil
}

// TooMany refuses a tree beyond the limits.
func TooMany() error {
	return refuse("there are more than %d files, or %d MiB, that may be manifests: name the directories with the environments, such as rung init --under environments", MaxFiles, MaxBytes>>20)
}

// LinkNote says that a link or submodule was not followed.
func LinkNote(path string) manifest.Note {
	return manifest.Note{Path: path, Text: "passed over: a link or submodule, which rung never follows"}
}

// LargeNote says that a file was too large.
func LargeNote(path string) manifest.Note {
	return manifest.Note{Path: path, Text: fmt.Sprintf("passed over: longer than %d bytes", manifest.MaxSize)}
}

// With is the tree with some files' bytes replaced.
func (t *Tree) With(files map[string][]byte) Tree {
	c := *t
	c.Files = slices.Clone(t.Files)
	for i, f := range c.Files {
		if data, ok := files[f.Path]; ok {
			c.Files[i].Data = data
		}
	}
	return c
}
