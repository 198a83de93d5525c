package oracle

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/rungbot/rung/internal/githubemu/gitstore"
)

// file reads a file of a tree.
func (o *Oracle) file(tree, path string) (string, bool) {
	if tree == "" {
		return "", false
	}
	parts := strings.Split(path, "/")
	for i, name := range parts {
		entries, err := o.Git.ReadTree(o.ctx, tree)
		if err != nil {
			return "", false
		}
		at := slices.IndexFunc(entries, func(e gitstore.TreeEntry) bool { return e.Name == name })
		if at < 0 {
			return "", false
		}
		if i == len(parts)-1 {
			_, data, err := o.Git.ReadObject(o.ctx, entries[at].ID)
			return string(data), err == nil
		}
		tree = entries[at].ID
	}
	return "", false
}

func (o *Oracle) treeOf(commit string) string {
	c, err := o.Git.ReadCommit(o.ctx, commit)
	if err != nil {
		return ""
	}
	return c.Tree
}

// pipeline is rung.yaml, as far as it is judged.
type pipeline struct {
	Mode         string                 `yaml:"mode"`
	Ledger       string                 `yaml:"ledger"`
	Environments map[string]environment `yaml:"environments"`
	broken       bool
}

type environment struct {
	After     []string `yaml:"after"`
	Soak      string   `yaml:"soak"`
	Approvals struct {
		Required int `yaml:"required"`
	} `yaml:"approvals"`
	Health []struct {
		HTTP     string `yaml:"http"`
		Artifact string `yaml:"artifact"`
		Interval string `yaml:"interval"`
	} `yaml:"health"`
}

// sick tells how long a digest has been unable to answer that it is well, where
// the environment asks.
func (o *Oracle) sick(p *pipeline, env, artifact, digest string) (time.Duration, bool) {
	for _, h := range p.Environments[env].Health {
		if h.Artifact != artifact || h.HTTP == "" {
			continue
		}
		every, err := time.ParseDuration(h.Interval)
		if err != nil {
			every = 30 * time.Second
		}
		if since, sick := o.Sick(env, digest); sick {
			if d := time.Since(since) - every; d > 0 {
				return d, true
			}
		}
	}
	return 0, false
}

// configuration reads rung.yaml of a commit. Files that the driver broke say so.
func (o *Oracle) configuration(commit string) *pipeline {
	text, _ := o.file(o.treeOf(commit), "rung.yaml")
	p := &pipeline{}
	if strings.Contains(text, "# broken") || yaml.Unmarshal([]byte(text), p) != nil {
		p.broken = true
	}
	return p
}

// value is a version with its digest.
type value struct{ Version, Digest string }

// places reads what stands under the environments of a commit: values by
// environment/artifact and file.
func (o *Oracle) places(commit string) map[string]map[string]value {
	out := map[string]map[string]value{}
	tree := o.treeOf(commit)
	for _, path := range o.list(tree, "environments") {
		parts := strings.Split(path, "/")
		if len(parts) < 3 || !strings.HasSuffix(path, ".yaml") {
			continue
		}
		text, _ := o.file(tree, path)
		for artifact, v := range o.values(text) {
			pair := parts[1] + "/" + artifact
			if out[pair] == nil {
				out[pair] = map[string]value{}
			}
			out[pair][path] = v
		}
	}
	return out
}

// list names the files under a folder.
func (o *Oracle) list(tree, folder string) []string {
	empty := ""
	paths, err := o.Git.Diff(o.ctx, empty, tree)
	if err != nil {
		return nil
	}
	return slices.DeleteFunc(paths, func(p string) bool { return !strings.HasPrefix(p, folder+"/") })
}

// values finds the artifacts in a file: kustomize images and container images.
func (o *Oracle) values(text string) map[string]value {
	var doc any
	if yaml.Unmarshal([]byte(text), &doc) != nil {
		return nil
	}
	out := map[string]value{}
	var walk func(any)
	walk = func(n any) {
		switch n := n.(type) {
		case []any:
			for _, x := range n {
				walk(x)
			}
		case map[string]any:
			for name, image := range o.Images {
				if n["name"] == image {
					out[name] = value{fmt.Sprint(or(n["newTag"], "")), fmt.Sprint(or(n["digest"], ""))}
				}
				if s, ok := n["image"].(string); ok && strings.HasPrefix(s, image+":") {
					tag, digest, _ := strings.Cut(strings.TrimPrefix(s, image+":"), "@")
					out[name] = value{tag, digest}
				}
			}
			for _, k := range slices.Sorted(maps.Keys(n)) {
				walk(n[k])
			}
		}
	}
	walk(doc)
	return out
}

func or(v, otherwise any) any {
	if v == nil {
		return otherwise
	}
	return v
}

// versionLine is a line in which rung may write.
var versionLine = regexp.MustCompile(`newTag:|digest:|image:`)

// scope checks that a change touches nothing but one pair's places.
func (o *Oracle) scope(what, from, to string, r *record) {
	a, b := o.treeOf(from), o.treeOf(to)
	paths, err := o.Git.Diff(o.ctx, a, b)
	if err != nil {
		o.Report("4 scope", "%s: %v", what, err)
		return
	}
	for _, path := range paths {
		if !strings.HasPrefix(path, "environments/"+r.Environment+"/") {
			o.Report("4 scope", "%s of %s changes %s", what, r.pair(), path)
			continue
		}
		old, _ := o.file(a, path)
		now, _ := o.file(b, path)
		if others(old) != others(now) {
			o.Report("4 scope", "%s of %s changes more than versions in %s", what, r.pair(), path)
		}
		was, is := o.values(old), o.values(now)
		for name := range o.Images {
			if name != r.Artifact.Name && was[name] != is[name] {
				o.Report("4 scope", "%s of %s changes %s in %s", what, r.pair(), name, path)
			}
		}
		if v := is[r.Artifact.Name]; v.Digest != r.Artifact.Digest {
			o.Report("4 scope", "%s of %s writes %v, promised %s", what, r.pair(), v, r.Artifact.Digest)
		}
	}
	if len(paths) == 0 {
		o.Report("4 scope", "%s of %s changes nothing", what, r.pair())
	}
}

// others are the lines of a file that hold no version.
func others(text string) string {
	lines := strings.Split(text, "\n")
	return strings.Join(slices.DeleteFunc(lines, versionLine.MatchString), "\n")
}
