package survey

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/rungbot/rung/internal/manifest"
	"github.com/rungbot/rung/internal/promotion"
)

// plan finds the places as rung would, by the configuration, and what is to be known
// of the files.
func (l *ladder) plan(s *Survey) error {
	rank := map[promotion.Environment]int{}
	for i, e := range l.pipeline.Environments {
		rank[e.Name] = i
	}
	artifacts := manifest.Artifacts(l.pipeline)
	for _, n := range l.notes {
		s.Notes = append(s.Notes, Note(n))
	}
	passed := 0
	for _, file := range l.files {
		e := l.pipeline.EnvironmentAt(file)
		if e == nil {
			passed += min(len(l.lists[file].Notes), 1)
			continue
		}
		data, _ := l.tree.file(file)
		report, err := manifest.Find(file, data, artifacts)
		s.fail(err, e.Name)
		for _, n := range report.Notes {
			if strings.HasSuffix(n.Text, manifest.WithoutVersion) {
				continue // mostly a deployment whose kustomization says the version
			}
			s.Notes = append(s.Notes, Note(n))
		}
		for _, f := range report.Found {
			s.Places = append(s.Places, placeOf(e.Name, &f, l.lists[file]))
		}
	}
	slices.SortStableFunc(s.Places, func(a, b Place) int {
		return cmp.Or(cmp.Compare(rank[a.Environment], rank[b.Environment]), cmp.Compare(a.Artifact, b.Artifact), cmp.Compare(a.Path, b.Path), cmp.Compare(a.Line, b.Line))
	})
	l.missingPlaces(s)
	if passed > 0 {
		s.Notes = append(s.Notes, Note{Text: count(passed, "file", "files") + " outside of the environments passed over: templates, or not readable as YAML"})
	}
	s.Notes = sortedNotes(s.Notes)
	return nil
}

// fail says of files that rung can't read that they hold their environment.
func (s *Survey) fail(err error, env promotion.Environment) {
	if err == nil {
		return
	}
	for _, e := range unjoined(err) {
		var at *manifest.Error
		if errors.As(e, &at) {
			s.Notes = append(s.Notes, Note{at.Path, at.Line, at.Column, fmt.Sprintf("%s; until it is mended rung holds %s", at.Reason, env)})
		}
	}
}

func unjoined(err error) []error {
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		return many.Unwrap()
	}
	return []error{err}
}

func placeOf(env promotion.Environment, f *manifest.Found, l manifest.Listing) Place {
	p := Place{
		Environment: env, Artifact: f.Artifact, Path: f.Place.Path, Line: f.Line, Column: f.Column, Locator: f.Place.Locator,
		Version: f.Place.Value.Version, Digest: f.Place.Value.Digest, Pinned: f.Place.Value.Digest != "",
	}
	p.Keeps = !p.Pinned && slices.ContainsFunc(l.Images, func(i manifest.ImagePlace) bool { return i.Place.Locator == p.Locator && i.Keeps })
	return p
}

// missingPlaces says where an environment doesn't name what others do, and what
// stands outside of them all.
func (l *ladder) missingPlaces(s *Survey) {
	base := map[string]*sight{}
	for _, at := range l.outside {
		if base[at.image] == nil {
			base[at.image] = at
		}
	}
	for _, image := range sortedKeys(base) {
		at := base[image]
		a := l.artifact(image)
		if a == nil {
			s.Notes = append(s.Notes, Note{at.file, at.line, at.column, fmt.Sprintf("names %s outside of every environment, and none names it: it is left out of rung.yaml", l.names[image])})
			continue
		}
		var without []promotion.Environment
		for _, e := range s.Environments {
			if !slices.Contains(a.Environments, e.Name) {
				without = append(without, e.Name)
			}
		}
		text := fmt.Sprintf("names %s outside of every environment: rung leaves it alone", a.Name)
		if len(without) > 0 {
			text += fmt.Sprintf("; if %s takes its version from here, give it one of its own (images: in a kustomization, image.tag in values), otherwise rung passes through it", joined(without))
		}
		s.Notes = append(s.Notes, Note{at.file, at.line, at.column, text})
	}
	for _, e := range s.Environments {
		if len(l.envs[string(e.Name)].held) == 0 {
			s.Notes = append(s.Notes, Note{Path: e.Paths[0], Text: fmt.Sprintf("is taken for environment %s, and names no artifact: rung passes through it", e.Name)})
		}
	}
}

// sortedNotes is in the order of files, each note once.
func sortedNotes(notes []Note) []Note {
	slices.SortStableFunc(notes, func(a, b Note) int {
		if (a.Path == "") != (b.Path == "") {
			return cmp.Compare(b.Path, a.Path) // what is about no file comes last
		}
		return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column), cmp.Compare(a.Text, b.Text))
	})
	return slices.Compact(notes)
}

// Edits are the files that need marks, with them written.
func (s *Survey) Edits(t Tree) (map[string][]byte, error) {
	type key struct {
		path     string
		artifact promotion.Artifact
	}
	lines := map[key][]int{}
	for _, m := range s.Marks {
		k := key{m.Path, m.Artifact}
		lines[k] = append(lines[k], m.Line)
	}
	keys := make([]key, 0, len(lines))
	for k := range lines {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b key) int { return cmp.Or(cmp.Compare(a.path, b.path), cmp.Compare(a.artifact, b.artifact)) })
	images := map[promotion.Artifact]string{}
	for _, a := range s.Artifacts {
		images[a.Name] = a.Image
	}
	edits := map[string][]byte{}
	for _, k := range keys {
		data, edited := edits[k.path]
		if !edited {
			data, _ = t.file(k.path)
		}
		out, err := manifest.Mark(k.path, data, manifest.Artifact{Name: k.artifact, Image: images[k.artifact]}, lines[k])
		if err != nil {
			return nil, refuse("%v", err)
		}
		edits[k.path] = out
	}
	return edits, nil
}
