package pipeline

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/rungbot/rung/internal/promotion"
)

// The limits of a configuration.
const (
	// MaxFiles is how many files of rung.d are read.
	MaxFiles = 100
	// maxFileBytes bounds one file.
	maxFileBytes = 256 << 10
	// maxEntries bounds one mapping, maxItems one list.
	maxEntries, maxItems = 500, 100
	// maxEnvironments and maxArtifacts bound the whole pipeline.
	maxEnvironments, maxArtifacts = 200, 1000
	// maxPaths bounds the directories and files of all environments.
	maxPaths     = 2000
	maxTextBytes = 1024
	maxProblems  = 100
)

const (
	// RootFile is the configuration's main file.
	RootFile = "rung.yaml"
	// PartsDirectory holds further files, one per environment or team.
	PartsDirectory = "rung.d"
)

// NoEnvironment stands in ConfigProblem.Environments of a problem that holds
// no environment: one in a file of rung.d that defines none (what it does
// define is left out or matches no version). It can't be the name of an
// environment, and keeps the list from being empty, which would hold
// everything.
const NoEnvironment promotion.Environment = "+none"

// Options are what Load needs to know beside the files.
type Options struct {
	// PolicyFiles are the paths of all files under policies/ at the same
	// commit; other paths do no harm. A policy that is named but not among them is a problem. Files of cases
	// (*_test.yaml) are never taken for policies.
	PolicyFiles []string
}

// Result is a configuration as far as it can be used.
type Result struct {
	// Pipeline is nil when rung.yaml is absent or can't be read at all.
	// Environments that a Problem holds are part of it as far as they are
	// known, so that a rollback finds them; those on a cycle are left out.
	Pipeline *promotion.Pipeline
	// Problems are sorted by position; empty for a sound configuration.
	Problems []promotion.ConfigProblem
}

// IsConfigPath reports whether path is a file that Load reads.
func IsConfigPath(path string) bool {
	return path == RootFile || partFileGrammar.MatchString(path)
}

// Load reads rung.yaml and rung.d/*.yaml, given by path from the repository's
// root; other files are ignored, unless they lie in rung.d, where they would be
// taken for configuration. It never fails: what is wrong is in the Problems.
func Load(files map[string][]byte, opts Options) Result {
	b := &builder{
		policyFiles:  slices.Sorted(slices.Values(opts.PolicyFiles)),
		environments: map[promotion.Environment]*environment{},
		artifacts:    map[promotion.Artifact]*artifact{},
	}
	if !b.read(files) {
		return Result{Problems: b.sortedProblems()}
	}
	if ledger := b.root.Ledger; ledger.written() {
		if _, err := promotion.ParseHash(ledger.Value); err != nil {
			b.report(ledger.At, "ledger: %v; it is the ledger branch's first commit, and rung writes it itself", err)
			b.root.Ledger = located[string]{}
		}
	}
	if before := b.root.LedgerBefore; before.written() {
		if _, err := promotion.ParseHash(before.Value); err != nil {
			b.report(before.At, "ledgerBefore: %v; it is the last commit of a ledger whose keys are lost", err)
			b.root.LedgerBefore = located[string]{}
		}
	}
	b.readArtifacts()
	b.readEnvironments()
	b.readPatterns()
	for _, e := range b.ordered() {
		b.settle(e)
	}
	b.checkPaths()
	order := b.sortGraph()
	return Result{Pipeline: b.assemble(order, files), Problems: b.sortedProblems()}
}

// source is one file on its way into the pipeline.
type source struct {
	path string
	part bool
	file rootFile
	// parsed is false when nothing of it could be read.
	parsed   bool
	problems int
	// What it defines, and no file before it.
	environments []promotion.Environment
	artifacts    []promotion.Artifact
}

// problem is a ConfigProblem before it is known what it holds.
type problem struct {
	at   position
	text string
	// holds are environments held beside those of the file, or, with only
	// set, instead of everything.
	holds []promotion.Environment
	only  bool
}

// environment is one environment on its way into the pipeline.
type environment struct {
	name   promotion.Environment
	at     position
	source *source
	file   *environmentFile
	floor  floor
	spec   promotion.EnvironmentSpec
	// after has the position of each predecessor.
	after map[promotion.Environment]position
}

type artifact struct {
	at     position
	source *source
	spec   promotion.ArtifactSpec
}

type builder struct {
	policyFiles  []string
	sources      []*source // rung.yaml first, then by path
	root         *rootFile
	defaults     settingsFile
	environments map[promotion.Environment]*environment
	artifacts    map[promotion.Artifact]*artifact
	problems     []problem
}

func (b *builder) report(at position, format string, args ...any) {
	b.add(problem{at: at, text: fmt.Sprintf(format, args...)})
}

func (b *builder) add(p problem) {
	b.problems = append(b.problems, p)
	if s := b.source(p.at.Path); s != nil {
		s.problems++
	}
}

func (b *builder) source(path string) *source {
	for _, s := range b.sources {
		if s.path == path {
			return s
		}
	}
	return nil
}

// unreadable names a file that could not be read at all, or is empty.
func (b *builder) unreadable() string {
	for _, s := range b.sources {
		if !s.parsed {
			return s.path
		}
	}
	return ""
}

// unknown reports a name that nothing defines. If a file could not be read,
// that file may define it: then only who names it is held, not everything.
func (b *builder) unknown(at position, by promotion.Environment, format string, args ...any) {
	p := problem{at: at, text: fmt.Sprintf(format, args...)}
	if file := b.unreadable(); file != "" {
		p.text += fmt.Sprintf(" (%s can't be read and may define it)", file)
		p.holds, p.only = []promotion.Environment{by}, true
	}
	b.add(p)
}

// read parses all files. It returns false when rung.yaml can't be used.
func (b *builder) read(files map[string][]byte) bool {
	if _, has := files[RootFile]; !has {
		b.report(position{Path: RootFile, Line: 1, Column: 1}, "there is no rung.yaml: write one that begins with version: 1")
		return false
	}
	paths, strange, parts := []string{RootFile}, 0, 0
	for _, path := range slices.Sorted(maps.Keys(files)) {
		switch {
		case !strings.HasPrefix(path, PartsDirectory+"/"):
		case !partFileGrammar.MatchString(path):
			if strange++; strange <= 10 {
				b.add(problem{
					at: position{Path: PartsDirectory, Line: 1, Column: 1}, only: true, holds: []promotion.Environment{NoEnvironment},
					text: fmt.Sprintf("%s is not read: files of rung.d are named *.yaml, in letters, digits, '.', '_' and '-', without subdirectories", quote(path)),
				})
			}
		default:
			if parts++; parts <= MaxFiles {
				paths = append(paths, path)
			}
		}
	}
	for _, path := range paths {
		s := &source{path: path, part: path != RootFile}
		b.sources = append(b.sources, s)
		w := &walker{path: path, part: s.part, problem: func(at position, text string) { b.add(problem{at: at, text: text}) }}
		s.parsed = w.parse(files[path], &s.file)
	}
	if parts > MaxFiles {
		b.sources = append(b.sources, &source{path: PartsDirectory, part: true})
		b.report(position{Path: PartsDirectory, Line: 1, Column: 1}, "there are %d files in rung.d; only the first %d by name are read", parts, MaxFiles)
	}
	b.root = &b.sources[0].file
	b.defaults = b.root.Defaults.Value
	return b.sources[0].parsed
}

// ordered are the environments in the order of the files.
func (b *builder) ordered() []*environment {
	var list []*environment
	for _, s := range b.sources {
		for _, name := range s.environments {
			list = append(list, b.environments[name])
		}
	}
	return list
}

func (b *builder) assemble(order []promotion.Environment, files map[string][]byte) *promotion.Pipeline {
	p := &promotion.Pipeline{
		Mode:         promotion.Mode(cmp.Or(b.root.Mode.Value, string(promotion.ModeObserve))),
		Commits:      promotion.Commits(cmp.Or(b.root.Commits.Value, string(promotion.CommitsRung))),
		Ledger:       promotion.Hash(b.root.Ledger.Value),
		LedgerBefore: promotion.Hash(b.root.LedgerBefore.Value),
		Artifacts:    []promotion.ArtifactSpec{},
		Environments: []promotion.EnvironmentSpec{},
		Digest:       configDigest(files),
	}
	for _, name := range slices.Sorted(maps.Keys(b.artifacts)) {
		a := b.artifacts[name]
		if a.spec.Image == "" {
			continue // without an image nothing can be found
		}
		if a.source.part && a.source.problems > 0 {
			a.spec.Versions = noVersion
		}
		p.Artifacts = append(p.Artifacts, a.spec)
	}
	for _, name := range order {
		e := b.environments[name].spec
		p.Environments = append(p.Environments, e)
		p.PolicyPaths = append(p.PolicyPaths, e.Policies...)
	}
	slices.Sort(p.PolicyPaths)
	p.PolicyPaths = slices.Compact(p.PolicyPaths)
	return p
}

// configDigest covers names and bytes of the files that Load reads.
func configDigest(files map[string][]byte) string {
	h := sha256.New()
	for _, path := range slices.Sorted(maps.Keys(files)) {
		if IsConfigPath(path) {
			_, _ = fmt.Fprintf(h, "%d:%s%d:", len(path), path, len(files[path])) // a hash never fails
			_, _ = io.Writer(h).Write(files[path])
		}
	}
	return "sha256:" + hex.EncodeToString(h.Sum(nil))
}

// sortedProblems turns problems into what callers see: by position, at most
// maxProblems, each with what it holds.
func (b *builder) sortedProblems() []promotion.ConfigProblem {
	list := make([]promotion.ConfigProblem, 0, len(b.problems))
	for _, p := range b.problems {
		list = append(list, promotion.ConfigProblem{
			Path: p.at.Path, Line: max(p.at.Line, 1), Column: max(p.at.Column, 1), Text: p.text,
			Environments: b.holds(p),
		})
	}
	slices.SortStableFunc(list, func(x, y promotion.ConfigProblem) int {
		return cmp.Or(
			cmp.Compare(rank(x.Path), rank(y.Path)), cmp.Compare(x.Path, y.Path),
			cmp.Compare(x.Line, y.Line), cmp.Compare(x.Column, y.Column), cmp.Compare(x.Text, y.Text),
		)
	})
	return limited(list)
}

func rank(path string) int {
	if path == RootFile {
		return 0
	}
	return 1
}

// holds says which environments a problem holds; nil is everything.
func (b *builder) holds(p problem) []promotion.Environment {
	held := slices.Clone(p.holds)
	if !p.only {
		s := b.source(p.at.Path)
		if s == nil || !s.part {
			return nil
		}
		held = append(held, s.environments...)
		if len(held) == 0 {
			held = append(held, NoEnvironment)
		}
	}
	slices.Sort(held)
	return slices.Compact(held)
}

// limited cuts a long list, and says so with the union of what the rest holds.
func limited(list []promotion.ConfigProblem) []promotion.ConfigProblem {
	if len(list) <= maxProblems {
		return list
	}
	rest := list[maxProblems-1:]
	last := rest[0]
	last.Text = fmt.Sprintf("%d more problems from here on; mend the first ones and look again", len(rest))
	for _, p := range rest {
		if len(p.Environments) == 0 {
			last.Environments = nil
			break
		}
		last.Environments = append(slices.Clone(last.Environments), p.Environments...)
	}
	slices.Sort(last.Environments)
	last.Environments = slices.Compact(last.Environments)
	return append(list[:maxProblems-1:maxProblems-1], last)
}
