package survey

import (
	"cmp"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/rungbot/rung/internal/manifest"
	"github.com/rungbot/rung/internal/pipeline"
	"github.com/rungbot/rung/internal/promotion"
)

// State says how a repository stands to its survey.
type State string

// The states.
const (
	// New: there is no rung.yaml yet; Configuration is one.
	New State = "new"
	// Complete: there is one, and it has everything that was found.
	Complete State = "complete"
	// Incomplete: there is one, and Missing says what it lacks.
	Incomplete State = "incomplete"
)

// Survey is what was found. Its JSON is that of `rung init --json`, a promise.
type Survey struct {
	// State is new where there was no rung.yaml, complete where it has everything that
	// was found, and incomplete where it lacks something.
	State State `json:"state"`
	// Environments are those that were found, in the order of the climb.
	Environments []Environment `json:"environments"`
	// Artifacts are the images that climb, by name.
	Artifacts []Artifact `json:"artifacts"`
	// Places are what rung would write, by rung.yaml as it is, or as it would be.
	Places []Place `json:"places"`
	// Marks are versions that need a comment before rung can find them.
	Marks []MarkNeeded `json:"marks"`
	// Guesses are what rung.yaml says without being sure.
	Guesses []Guess `json:"guesses"`
	// Notes are what was seen and not understood, or worth knowing.
	Notes []Note `json:"notes"`
	// Missing says in sentences what an existing rung.yaml lacks.
	Missing []string `json:"missing"`
	// Additions is what is missing in YAML.
	Additions string `json:"additions,omitempty"`
	// CodeOwners are lines for CODEOWNERS.
	CodeOwners []string `json:"codeowners"`
	// Rules are the advice for the branches' rules.
	Rules []string `json:"rules"`
	// Configuration is the rung.yaml to write; empty where there is one.
	Configuration string `json:"configuration,omitempty"`
	// Manifests is how many files were read.
	Manifests int `json:"manifests"`
}

// Environment is one that was found.
type Environment struct {
	// Name is the one that it has in rung.yaml.
	Name promotion.Environment `json:"name"`
	// Paths are its directories and files, with * as rung.yaml has it.
	Paths []string `json:"paths"`
	// After are the environments that hold a version before it.
	After []promotion.Environment `json:"after,omitempty"`
	// Order says where After comes from.
	Order string `json:"order,omitempty"`
	// listed is true where rung.yaml takes paths, and not path.
	listed bool
}

// Place is a version that a promotion would write.
type Place struct {
	// Environment is the one that the file belongs to.
	Environment promotion.Environment `json:"environment"`
	// Artifact is the one whose version stands there.
	Artifact promotion.Artifact `json:"artifact"`
	// Path is the file, from the top of the repository.
	Path string `json:"path"`
	// Line is where the version stands, from 1.
	Line int `json:"line"`
	// Column is where it begins, in runes from 1.
	Column int `json:"column"`
	// Locator is the place within the file, as signed records name it.
	Locator string `json:"locator"`
	// Version is the one that stands there now.
	Version promotion.Version `json:"version,omitempty"`
	// Digest is the one that stands there now.
	Digest promotion.Digest `json:"digest,omitempty"`
	// Pinned is true where a digest stands.
	Pinned bool `json:"pinned"`
	// Keeps is true where rung adds no digest, because a marked value keeps its shape.
	Keeps bool `json:"keeps,omitempty"`
}

// MarkNeeded is a line that needs the comment `# rung: artifact` at its end.
type MarkNeeded struct {
	// Environment is the one that the file belongs to.
	Environment promotion.Environment `json:"environment"`
	// Artifact is the one to name in the comment.
	Artifact promotion.Artifact `json:"artifact"`
	// Path is the file, from the top of the repository.
	Path string `json:"path"`
	// Line is where the version stands, from 1.
	Line int `json:"line"`
	// Version is the one that stands there now.
	Version promotion.Version `json:"version"`
}

// Note is something to know of a file.
type Note struct {
	// Path is the file, where it is about one.
	Path string `json:"path,omitempty"`
	// Line is where in the file, from 1.
	Line int `json:"line,omitempty"`
	// Column is where in the line, in runes from 1.
	Column int `json:"column,omitempty"`
	// Text is a sentence.
	Text string `json:"text"`
}

// String is "path:line:column: text".
func (n Note) String() string {
	switch {
	case n.Path == "":
		return n.Text
	case n.Line == 0:
		return n.Path + ": " + n.Text
	}
	return fmt.Sprintf("%s:%d:%d: %s", n.Path, n.Line, n.Column, n.Text)
}

// Look surveys a tree. The error is a *Refusal.
func Look(t Tree) (*Survey, error) {
	t.Files, t.Notes = printable(t.Files, t.Notes)
	sc, err := see(&t)
	if err != nil {
		return nil, err
	}
	l, err := climb(sc)
	if err != nil {
		return nil, err
	}
	s := &Survey{Manifests: len(sc.files), Places: []Place{}, Marks: []MarkNeeded{}, Notes: []Note{}, Missing: []string{}}
	l.describe(s)
	for _, step := range []func(*Survey) error{l.configure, l.plan, l.advise} {
		if err := step(s); err != nil {
			return nil, err
		}
	}
	s.Guesses = []Guess{}
	if s.Configuration+s.Additions != "" {
		s.Guesses = append(s.Guesses, l.guesses...)
	}
	return s, nil
}

// LookAndMark is Look, and with mark the files that need marks, with them written; the
// survey is then of the tree with them.
func LookAndMark(t Tree, mark bool) (*Survey, map[string][]byte, error) {
	s, err := Look(t)
	if err != nil || !mark || len(s.Marks) == 0 {
		return s, nil, err
	}
	edits, err := s.Edits(t)
	if err != nil {
		return nil, nil, err
	}
	s, err = Look(t.With(edits))
	return s, edits, err
}

// printable leaves out files whose paths are none, or would say something else on a
// terminal.
func printable(files []File, notes []manifest.Note) ([]File, []manifest.Note) {
	odd := func(f File) bool {
		return !fs.ValidPath(f.Path) || strings.ContainsFunc(f.Path, func(r rune) bool { return !unicode.IsPrint(r) || r == unicode.ReplacementChar })
	}
	notes = slices.DeleteFunc(slices.Clone(notes), func(n manifest.Note) bool { return n.Path != "" && odd(File{Path: n.Path}) })
	for _, f := range files {
		if odd(f) {
			notes = append(notes, manifest.Note{Text: "passed over for the characters in its name: " + strconv.QuoteToASCII(f.Path)})
		}
	}
	return slices.DeleteFunc(slices.Clone(files), odd), notes
}

// describe lists environments, artifacts and marks.
func (l *ladder) describe(s *Survey) {
	rank := map[string]int{}
	for i, e := range l.sorted() {
		rank[e.name] = i
		out := Environment{Name: promotion.Environment(e.name), Paths: e.paths, Order: e.guess}
		first := e.entries[e.paths[0]]
		out.listed = len(e.paths) > 1 || first == nil || first.file
		for _, a := range e.after {
			out.After = append(out.After, promotion.Environment(a))
		}
		s.Environments = append(s.Environments, out)
	}
	for _, image := range sortedKeys(l.names) {
		if a := l.artifact(image); a != nil {
			s.Artifacts = append(s.Artifacts, *a)
		}
	}
	slices.SortFunc(s.Artifacts, func(a, b Artifact) int { return cmp.Compare(a.Name, b.Name) })
	l.guessAbout(s.Artifacts)
	for i := range l.sights {
		at := &l.sights[i]
		if e := l.at(at.file); e != nil && at.loose && l.climbs(at) {
			s.Marks = append(s.Marks, MarkNeeded{promotion.Environment(e.name), l.names[at.image], at.file, at.line, at.value.Version})
		}
	}
	slices.SortStableFunc(s.Marks, func(a, b MarkNeeded) int {
		return cmp.Or(cmp.Compare(rank[string(a.Environment)], rank[string(b.Environment)]), cmp.Compare(a.Path, b.Path), cmp.Compare(a.Line, b.Line))
	})
}

// guessAbout says what was guessed of artifacts.
func (l *ladder) guessAbout(artifacts []Artifact) {
	var from []string
	for i := range artifacts {
		a := &artifacts[i]
		if len(a.Publishers) > 0 {
			from = append(from, fmt.Sprintf("%s by %s", a.Name, a.Publishers[0]))
		}
		if odd := a.unmatched(); len(odd) > 0 {
			why, rule := ruleFor(odd[0])
			why, _, _ = strings.Cut(why, ".")
			l.guess(fmt.Sprintf("%s of %s %s", odd[0], a.Name, why), "versions: "+rule+" or the like in the artifact")
		}
	}
	if len(from) > 0 {
		l.guess("who publishes is guessed from the images' owners: "+strings.Join(from[:min(len(from), 10)], ", "), "publishers: in each artifact names the repositories whose events may announce a version")
	}
}

// artifact is an image that some environment names, or nil.
func (l *ladder) artifact(image string) *Artifact {
	a := &Artifact{Name: l.names[image], Image: image, Publishers: publishers(image)}
	for _, e := range l.sorted() {
		if at := e.images()[image]; at != nil {
			a.Environments = append(a.Environments, promotion.Environment(e.name))
			a.versions = append(a.versions, at.value.Version)
		}
	}
	if len(a.Environments) == 0 {
		return nil
	}
	return a
}

// sorted are the environments in the order of the climb, ties by name.
func (l *ladder) sorted() []*environment {
	if l.inOrder != nil {
		return l.inOrder
	}
	left := sortedKeys(l.envs)
	slices.SortStableFunc(left, func(a, b string) int { return cmp.Compare(l.envs[a].stage.rank, l.envs[b].stage.rank) })
	done := map[string]bool{}
	for len(left) > 0 {
		i := slices.IndexFunc(left, func(n string) bool {
			return !slices.ContainsFunc(l.envs[n].after, func(a string) bool { return !done[a] })
		})
		if i < 0 {
			i = 0 // never: what is guessed has no cycle
		}
		done[left[i]] = true
		l.inOrder = append(l.inOrder, l.envs[left[i]])
		left = slices.Delete(left, i, i+1)
	}
	return l.inOrder
}

// at is the environment that a file belongs to by what was found, or nil.
func (l *ladder) at(file string) *environment {
	if l.byEntry == nil {
		l.byEntry = map[string]*environment{}
		for _, e := range l.envs {
			for entry := range e.entries {
				l.byEntry[entry] = e
			}
		}
	}
	for p := file; p != "."; p = path.Dir(p) {
		if e := l.byEntry[p]; e != nil {
			return e
		}
	}
	return nil
}

// configure writes a configuration, or compares the one that there is.
func (l *ladder) configure(s *Survey) error {
	pl := l.existing
	if pl == nil {
		s.State, s.Configuration = New, l.write(s)
		r := pipeline.Load(map[string][]byte{pipeline.RootFile: []byte(s.Configuration)}, pipeline.Options{})
		if len(r.Problems) > 0 {
			return refuse("what was found can't be written as rung.yaml (%s): rename what is meant, or name other directories, such as rung init --under environments", r.Problems[0].Text)
		}
		l.pipeline = r.Pipeline
		return nil
	}
	l.pipeline = pl
	l.lacks(s, pl)
	s.State = Complete
	if len(s.Missing) > 0 {
		s.State = Incomplete
	}
	return nil
}

// lacks compares a configuration with what was found.
func (l *ladder) lacks(s *Survey, pl *promotion.Pipeline) {
	var more Survey
	for _, a := range s.Artifacts {
		if _, there := pl.Artifact(a.Name); there {
			continue
		}
		more.Artifacts = append(more.Artifacts, a)
		s.Missing = append(s.Missing, fmt.Sprintf("artifact %s, %s in %s", a.Name, a.Image, joined(a.Environments)))
	}
	bare := l.uncovered(pl)
	for _, found := range s.Environments {
		e := l.envs[string(found.Name)]
		var without []string
		for _, entry := range sortedKeys(e.held) {
			if bare[entry] {
				without = append(without, entry)
			}
		}
		if len(without) == 0 {
			continue
		}
		if _, there := pl.Environment(found.Name); there || len(without) < len(e.held) {
			s.Missing = append(s.Missing, fmt.Sprintf("in an environment, such as %s: %s", found.Name, strings.Join(without, ", ")))
			continue
		}
		found.After = slices.DeleteFunc(slices.Clone(found.After), func(a promotion.Environment) bool {
			_, there := pl.Environment(a)
			return !there && !slices.ContainsFunc(more.Environments, func(m Environment) bool { return m.Name == a })
		})
		more.Environments = append(more.Environments, found)
		s.Missing = append(s.Missing, fmt.Sprintf("environment %s, %s", found.Name, strings.Join(found.Paths, ", ")))
	}
	if len(more.Artifacts)+len(more.Environments) > 0 {
		s.Additions = l.add(&more)
	}
}

// uncovered are the entries in which a version stands that belongs to no environment of
// a configuration.
func (l *ladder) uncovered(pl *promotion.Pipeline) map[string]bool {
	out := map[string]bool{}
	for i := range l.sights {
		at := &l.sights[i]
		e := l.at(at.file)
		if e == nil || !l.climbs(at) || pl.EnvironmentAt(at.file) != nil {
			continue
		}
		for p := at.file; p != "."; p = path.Dir(p) {
			if e.entries[p] != nil {
				out[p] = true
			}
		}
	}
	return out
}

// count is a number with its noun.
func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + many
}

func joined[T ~string](list []T) string {
	words := make([]string, len(list))
	for i, w := range list {
		words[i] = string(w)
	}
	return strings.Join(words, ", ")
}
