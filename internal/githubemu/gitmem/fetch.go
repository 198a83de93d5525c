package gitmem

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/rungbot/rung/internal/githubemu/gitstore"
	"github.com/rungbot/rung/internal/githubemu/gitstore/smarthttp"
)

// fetchRequest is one version 2 fetch.
type fetchRequest struct {
	wants, haves, shallows              []string
	done, thin, includeTag, waitForDone bool
	depth                               int
	noBlobs                             bool
	blobLimit                           int // bytes a blob must stay below; meaningful with limitBlobs
	limitBlobs                          bool
}

func (r wire) parseFetch(arguments []string) (fetchRequest, error) {
	var f fetchRequest
	for _, a := range arguments {
		word, value, _ := strings.Cut(a, " ")
		var err error
		switch word {
		case "want", "have", "shallow":
			if !gitstore.ValidID(value) {
				return f, fmt.Errorf("fetch: %q: no object id", a)
			}
			list := map[string]*[]string{"want": &f.wants, "have": &f.haves, "shallow": &f.shallows}[word]
			*list = append(*list, value)
		case "deepen":
			if f.depth, err = strconv.Atoi(value); err != nil || f.depth <= 0 {
				return f, fmt.Errorf("fetch: %q: not a depth", a)
			}
		case "filter":
			if err := r.parseFilter(&f, value); err != nil {
				return f, err
			}
		case "done":
			f.done = true
		case "thin-pack":
			f.thin = true
		case "include-tag":
			f.includeTag = true
		case "wait-for-done":
			f.waitForDone = true
		case "no-progress", "ofs-delta":
		default:
			return f, fmt.Errorf("fetch: unexpected line: %q", a)
		}
	}
	return f, nil
}

func (r wire) parseFilter(f *fetchRequest, spec string) error {
	limit, isLimit := strings.CutPrefix(spec, "blob:limit=")
	switch {
	case r.options.NoFilter:
		return fmt.Errorf("fetch: unexpected line: filter %q", spec)
	case spec == "blob:none":
		f.noBlobs = true
		return nil
	case isLimit:
		n, err := strconv.Atoi(limit)
		if err == nil && n >= 0 {
			f.blobLimit, f.limitBlobs = n, true
			return nil
		}
	}
	return fmt.Errorf("fetch: filter %q is not served", spec)
}

// fetch answers as git's upload_pack_v2 does: acknowledgments as long as the
// client negotiates, then what is shallow, then the pack.
func (r wire) fetch(arguments []string, out *bytes.Buffer) error {
	f, err := r.parseFetch(arguments)
	if err != nil {
		return err
	}
	for _, id := range f.wants {
		if _, ok := r.get(id); !ok {
			writeLine(out, "ERR upload-pack: not our ref "+id)
			return nil
		}
	}
	if len(f.wants) == 0 {
		return nil
	}
	f.haves = slices.DeleteFunc(f.haves, func(id string) bool {
		_, ok := r.get(id)
		return !ok
	})
	if negotiating := slices.ContainsFunc(arguments, func(a string) bool { return strings.HasPrefix(a, "have ") }); negotiating && !f.done {
		if !r.acknowledge(f, out) {
			writeSpecial(out, smarthttp.Flush)
			return nil
		}
		writeSpecial(out, smarthttp.Delim)
	}
	s := r.selection(f)
	if f.depth > 0 || len(f.shallows) > 0 {
		writeLine(out, "shallow-info")
		s.cut(out)
		writeSpecial(out, smarthttp.Delim)
	}
	writeLine(out, "packfile")
	_, err = smarthttp.SideBand{W: out, Channel: 1}.Write(writePack(s.objects()))
	writeSpecial(out, smarthttp.Flush)
	return err
}

// acknowledge answers the haves and says whether the pack follows.
func (r wire) acknowledge(f fetchRequest, out *bytes.Buffer) bool {
	writeLine(out, "acknowledgments")
	if len(f.haves) == 0 {
		writeLine(out, "NAK")
	}
	for _, id := range f.haves {
		writeLine(out, "ACK "+id)
	}
	if f.waitForDone || len(f.haves) == 0 || !r.enough(f) {
		return false
	}
	writeLine(out, "ready")
	return true
}

// enough says whether every wanted commit reaches something the client has.
// Like git it does not look behind commits older than the oldest have, which a
// clock that went back can make a mistake.
func (r wire) enough(f fetchRequest) bool {
	theirs := map[string]bool{}
	var oldest int64
	for _, id := range f.haves {
		theirs[id] = true
		if c := r.commit(id); c != nil {
			if oldest == 0 || c.time < oldest {
				oldest = c.time
			}
			for _, parent := range c.parents {
				theirs[parent] = true
			}
		}
	}
	for _, want := range f.wants {
		id, o, ok := r.peel(want)
		if !ok || o.kind != "commit" {
			continue // nothing can be said of it
		}
		reached := false
		r.ancestors([]string{id}, nil, func(id string) []string {
			reached = reached || theirs[id]
			var next []string
			for _, parent := range r.parents(id) {
				reached = reached || theirs[parent]
				if c := r.commit(parent); c != nil && c.time >= oldest {
					next = append(next, parent)
				}
			}
			return next
		})
		if !reached {
			return false
		}
	}
	return true
}

// selection chooses the objects of one answer.
type selection struct {
	wire
	request fetchRequest
	wants   []string        // the request's and, when deepening, what lies behind its old boundary
	edges   []string        // what the client has
	grafts  map[string]bool // commits that count as having no parents
}

func (r wire) selection(f fetchRequest) *selection {
	return &selection{wire: r, request: f, wants: slices.Clone(f.wants), edges: slices.Clone(f.haves), grafts: map[string]bool{}}
}

// cut finds the boundary of a shallow answer and writes its changes.
func (s *selection) cut(out *bytes.Buffer) {
	client := setOf(s.request.shallows)
	if s.request.depth > 0 {
		boundary, inner := s.byDepth()
		for _, id := range boundary {
			if !client[id] {
				writeLine(out, "shallow "+id)
				s.grafts[id] = true
			}
		}
		for _, id := range s.request.shallows {
			if inner[id] {
				writeLine(out, "unshallow "+id)
				s.wants = append(s.wants, s.repository.parents(id)...)
				s.edges = append(s.edges, id)
			}
		}
	}
	for _, id := range s.request.shallows {
		s.grafts[id] = true // the client has nothing behind it, whatever happens
	}
}

// byDepth walks from the wanted commits, depth of them deep. The last ones are
// the boundary.
func (s *selection) byDepth() (boundary []string, inner map[string]bool) {
	inner = map[string]bool{}
	seen := map[string]bool{}
	var level []string
	for _, want := range s.request.wants {
		if id, o, ok := s.peel(want); ok && o.kind == "commit" {
			level = append(level, id)
		}
	}
	for depth := 1; len(level) > 0; depth++ {
		var next []string
		for _, id := range level {
			if seen[id] || s.commit(id) == nil {
				continue
			}
			seen[id] = true
			if depth >= s.request.depth {
				boundary = append(boundary, id)
				continue
			}
			inner[id] = true
			next = append(next, s.repository.parents(id)...)
		}
		level = next
	}
	return boundary, inner
}

// parents leads nowhere from a graft.
func (s *selection) parents(id string) []string {
	if s.grafts[id] {
		return nil
	}
	return s.repository.parents(id)
}

// objects returns what the client asked for and lacks.
func (s *selection) objects() []object {
	var tips, roots []string // wanted commits and everything else
	picked := newPick(s)
	for _, want := range s.wants {
		id := want
		o, ok := s.get(id)
		for ; ok && o.kind == "tag"; o, ok = s.get(id) {
			picked.add(id)
			id = tagTarget(o.data)
		}
		if ok && o.kind == "commit" {
			tips = append(tips, id)
		} else {
			roots = append(roots, id)
		}
	}
	held := s.ancestors(s.edges, nil, s.parents)
	has := setOf(held)
	commits := s.ancestors(tips, has, s.parents)
	s.excludeTrees(picked, commits, has)
	for _, id := range commits {
		picked.add(id)
	}
	for _, id := range commits {
		picked.walk(s.commit(id).tree, true)
	}
	for _, id := range roots {
		if o, ok := s.get(id); ok && o.kind == "blob" {
			picked.add(id) // asked for by name: no filter applies
		} else {
			picked.walk(id, true)
		}
	}
	if s.request.includeTag {
		s.addTags(picked)
	}
	return picked.objects
}

// excludeTrees marks what the client has in trees that git looks at: those of
// commits just behind the new ones, and, for a thin pack to a shallow client,
// those of the commits it named. Without thin-pack a boundary hides the former,
// and unchanged trees are sent again.
func (s *selection) excludeTrees(picked *pick, commits []string, has map[string]bool) {
	for _, id := range commits {
		for _, parent := range s.parents(id) {
			if c := s.commit(parent); c != nil && has[parent] {
				picked.exclude(c.tree)
			}
		}
	}
	for _, id := range s.edges {
		c := s.commit(id)
		switch {
		case c == nil:
			picked.exclude(id)
		case s.request.thin && len(s.grafts) > 0:
			picked.exclude(c.tree)
		}
	}
}

// addTags adds annotated tags of commits that are sent.
func (s *selection) addTags(picked *pick) {
	refs := s.snapshot()
	for _, ref := range slices.Sorted(maps.Keys(refs)) {
		id := refs[ref]
		o, ok := s.get(id)
		if !ok || o.kind != "tag" || !strings.HasPrefix(ref, "refs/tags/") {
			continue
		}
		if target, _, ok := s.peel(id); ok && picked.done[target] {
			picked.add(id)
		}
	}
}

// pick gathers objects in order, each once.
type pick struct {
	*selection
	done    map[string]bool // picked, or excluded
	objects []object
}

func newPick(s *selection) *pick { return &pick{selection: s, done: map[string]bool{}} }

func (p *pick) add(id string) {
	if o, ok := p.get(id); ok && !p.done[id] {
		p.done[id] = true
		p.objects = append(p.objects, o)
	}
}

// exclude keeps an object and all below it out.
func (p *pick) exclude(id string) {
	if p.done[id] {
		return
	}
	p.done[id] = true
	entries, err := p.tree(id)
	if err != nil {
		return // a blob
	}
	for _, e := range entries {
		if e.Mode != modeGitlink {
			p.exclude(e.ID)
		}
	}
}

// walk adds a tree and all below it, less filtered blobs.
func (p *pick) walk(id string, isTree bool) {
	if p.done[id] {
		return
	}
	if !isTree {
		o, _ := p.get(id)
		if !p.request.noBlobs && (!p.request.limitBlobs || len(o.data) < p.request.blobLimit) {
			p.add(id)
		}
		return
	}
	p.add(id)
	entries, err := p.tree(id)
	if err != nil {
		return
	}
	for _, e := range entries {
		if e.Mode != modeGitlink {
			p.walk(e.ID, e.Mode == modeTree)
		}
	}
}
