package observe

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rungbot/rung/internal/gitrepo"
	"github.com/rungbot/rung/internal/manifest"
	"github.com/rungbot/rung/internal/pipeline"
	"github.com/rungbot/rung/internal/promotion"
)

func itoa(n int) string { return strconv.Itoa(n) }

// configuration reads rung.yaml, rung.d and the policies at the base head.
func (p *pass) configuration(ctx context.Context) error {
	paths, key, err := p.configFiles(ctx, p.s.Base.Tree)
	if err != nil {
		return err
	}
	if !slices.Contains(paths.config, pipeline.RootFile) {
		p.s.Configured = false
		return nil
	}
	if key != p.mem.configKey {
		result, policies, err := p.readConfig(ctx, p.s.Base.Tree, paths)
		if err != nil {
			return err
		}
		p.mem.configKey, p.mem.config, p.mem.policies = key, result, policies
		clear(p.mem.files)
		clear(p.mem.exact)
		clear(p.mem.impacts)
		for _, a := range p.mem.registry {
			a.at = time.Time{} // what the registry said was read by other rules
		}
	}
	p.s.Configured = true
	p.s.Problems = p.mem.config.Problems
	p.s.Policies = p.mem.policies
	if p.mem.config.Pipeline == nil {
		p.s.Problem = "rung.yaml can't be used: " + problemText(p.mem.config.Problems)
		return nil
	}
	p.s.Pipeline = *p.mem.config.Pipeline
	return nil
}

func problemText(problems []promotion.ConfigProblem) string {
	if len(problems) == 0 {
		return "it can't be read"
	}
	return problems[0].String()
}

type configPaths struct {
	config   []string // rung.yaml and rung.d/*.yaml
	policies []string // every file that policies: may name
}

// configFiles lists what the configuration is read from, with a key that changes
// when any of it does.
func (p *pass) configFiles(ctx context.Context, tree promotion.Hash) (configPaths, string, error) {
	var found configPaths
	var key strings.Builder
	for _, name := range []string{pipeline.RootFile, "rung.d", "policies"} {
		e, there, err := p.Git.Lookup(ctx, tree, name)
		if err != nil {
			return found, "", err
		}
		if !there {
			continue
		}
		fmt.Fprintf(&key, "%s %s\n", name, e.Hash)
		files, err := p.Git.Walk(ctx, tree, name)
		if err != nil {
			return found, "", err
		}
		for _, f := range files {
			switch {
			case name == "policies":
				found.policies = append(found.policies, f.Path)
			case pipeline.IsConfigPath(f.Path) || strings.HasPrefix(f.Path, "rung.d/"):
				found.config = append(found.config, f.Path)
			}
		}
	}
	return found, key.String(), nil
}

// readConfig reads the configuration of a tree, and the policies that it binds.
func (p *pass) readConfig(ctx context.Context, tree promotion.Hash, paths configPaths) (pipeline.Result, map[string][]byte, error) {
	files, err := p.Git.ReadFiles(ctx, tree, paths.config)
	if itsOwn(err) {
		return pipeline.Result{Problems: []promotion.ConfigProblem{unread(err)}}, nil, nil
	}
	if err != nil {
		return pipeline.Result{}, nil, err
	}
	result := pipeline.Load(files, pipeline.Options{PolicyFiles: paths.policies})
	if result.Pipeline == nil || len(result.Pipeline.PolicyPaths) == 0 {
		return result, nil, nil
	}
	policies, err := p.Git.ReadFiles(ctx, tree, result.Pipeline.PolicyPaths)
	if itsOwn(err) {
		result.Problems = append(result.Problems, unread(err))
		return result, nil, nil
	}
	return result, policies, err
}

// fileRead is what a file says of the artifacts.
type fileRead struct {
	found []manifest.Found
	err   error
}

// places finds the pairs' places in the base head's files.
func (p *pass) places(ctx context.Context) error {
	p.s.Places = map[promotion.Pair][]promotion.Place{}
	p.s.Blobs = map[string]promotion.Hash{}
	p.s.PlaceProblems = map[promotion.Environment]string{}
	for _, env := range p.s.Pipeline.Environments {
		places, problem, err := p.placesOf(ctx, &env)
		if err != nil {
			return err
		}
		for pair, list := range places {
			p.s.Places[pair] = list
		}
		if problem != "" {
			p.s.PlaceProblems[env.Name] = problem
		}
	}
	return nil
}

// placesOf finds the places under one environment of the base head. problem is the
// first file that could not be read safely.
func (p *pass) placesOf(ctx context.Context, env *promotion.EnvironmentSpec) (map[promotion.Pair][]promotion.Place, string, error) {
	files, err := p.Git.WalkInto(ctx, p.s.Base.Tree, env.Near)
	if err != nil {
		return nil, "", err
	}
	var problem string
	var want []gitrepo.File
	for _, f := range files {
		if leadsAway(env, f) {
			return nil, "", fmt.Errorf("%w: the way to environment %s leads through %s, a symlink or submodule", gitrepo.ErrPath, env.Name, f.Path)
		}
		if !env.Holds(f.Path) || !manifest.IsManifest(f.Path) {
			continue
		}
		if !f.Mode.Regular() {
			continue // a link names nothing by itself; it is never written through
		}
		want = append(want, f)
	}
	reads, err := p.readPlaces(ctx, p.rules(), want)
	if err != nil {
		return nil, "", err
	}
	places := map[promotion.Pair][]promotion.Place{}
	for i, f := range want {
		if reads[i].err != nil && problem == "" {
			problem = reads[i].err.Error()
		}
		for _, found := range reads[i].found {
			pair := promotion.Pair{Environment: env.Name, Artifact: found.Artifact}
			place := found.Place
			place.Path = f.Path
			places[pair] = append(places[pair], place)
			p.s.Blobs[f.Path] = f.Hash
		}
	}
	return places, problem, nil
}

// leadsAway reports whether a link or submodule stands where a directory above one
// of the environment's paths should.
func leadsAway(env *promotion.EnvironmentSpec, f gitrepo.File) bool {
	if f.Mode != gitrepo.ModeSymlink && f.Mode != gitrepo.ModeGitlink {
		return false
	}
	return slices.ContainsFunc(append([]string{env.Path}, env.Paths...), func(p string) bool { return strings.HasPrefix(p, f.Path+"/") })
}

// rules are a configuration that places are read by, with the key of the files that
// it was read from.
type rules struct {
	*promotion.Pipeline
	key string
}

// rules are those of the base head.
func (p *pass) rules() rules { return rules{&p.s.Pipeline, p.mem.configKey} }

// rulesAt are those of a tree: what people changed is judged by rung.yaml as it was
// before they changed it, as rung verify does. Where there is none that can be used
// it is the base head's.
func (p *pass) rulesAt(ctx context.Context, tree promotion.Hash) (rules, error) {
	paths, key, err := p.configFiles(ctx, tree)
	switch {
	case err != nil:
		return rules{}, err
	case key == p.mem.configKey, !slices.Contains(paths.config, pipeline.RootFile):
		return p.rules(), nil
	case key != p.mem.past.key:
		result, _, err := p.readConfig(ctx, tree, paths)
		if err != nil {
			return rules{}, err
		}
		p.mem.past = rules{result.Pipeline, key}
	}
	if p.mem.past.Pipeline == nil {
		return p.rules(), nil
	}
	return p.mem.past, nil
}

// readPlaces reads the places of files, from memory where the same bytes were
// read before, otherwise all blobs in one request.
func (p *pass) readPlaces(ctx context.Context, by rules, files []gitrepo.File) ([]fileRead, error) {
	if len(p.mem.files) > 100000 {
		clear(p.mem.files)
	}
	var missing []promotion.Hash
	name := func(f gitrepo.File) string {
		if by.key == p.mem.configKey {
			return f.Path + " " + string(f.Hash)
		}
		return f.Path + " " + string(f.Hash) + " " + by.key
	}
	for _, f := range files {
		if _, known := p.mem.files[name(f)]; !known {
			missing = append(missing, f.Hash)
		}
	}
	blobs := map[promotion.Hash][]byte{}
	if len(missing) > 0 {
		if err := p.blobs(ctx, missing, blobs); err != nil {
			return nil, err
		}
	}
	reads := make([]fileRead, len(files))
	for i, f := range files {
		key := name(f)
		read, known := p.mem.files[key]
		if !known {
			if data, fits := blobs[f.Hash]; fits {
				report, err := manifest.Find(f.Path, data, manifest.Artifacts(by.Pipeline))
				read = fileRead{report.Found, err}
			} else {
				read = fileRead{err: &manifest.Error{Path: f.Path, Reason: "the file is too large to be read"}}
			}
			p.mem.files[key] = read
		}
		reads[i] = read
	}
	return reads, nil
}

// ledger reads the ledger's tip, and refuses one that is lost, reset, rewound or
// not rung's own.
func (p *pass) ledger(ctx context.Context) error {
	tip := p.refs[promotion.LedgerRef]
	pinned := p.s.Pipeline.Ledger
	switch {
	case tip == "" && p.mem.tip != "":
		p.s.Ledger.Problem = fmt.Sprintf("the ledger is lost: the branch rung/ledger is gone, it was at %s%s", p.mem.tip.Short(), restore)
		return nil
	case tip == "" && pinned != "":
		p.s.Ledger.Problem = fmt.Sprintf("the ledger is lost: rung.yaml names %s as its first commit, and there is no branch rung/ledger%s", pinned.Short(), restore)
		return nil
	case tip == "":
		return p.begin(ctx)
	case tip == p.mem.tip && p.mem.ledger.Problem == "" && p.mem.ledger.Tip == tip && !p.Ledger.Stale():
		p.s.Ledger = p.mem.ledger
	default:
		st, err := p.Ledger.Read(ctx, p.Git, tip)
		if problem, fault := ledgerFault(err); fault {
			p.s.Ledger.Problem = problem
			return nil
		}
		if err != nil {
			return err
		}
		if err := p.lineage(ctx, &st); err != nil {
			return err
		}
		if st.Problem == "" {
			p.mem.ledger, p.mem.tip = st, tip
		}
		p.s.Ledger = st
	}
	if pinned != "" && p.s.Ledger.Problem == "" && p.s.Ledger.First != pinned {
		p.s.Ledger.Problem = fmt.Sprintf("the ledger was reset: rung.yaml names %s as its first commit, the branch rung/ledger begins at %s%s", pinned.Short(), p.s.Ledger.First.Short(), restore)
	}
	return nil
}

// changes walks the base branch's first-parent commits after the ledger's base.
func (p *pass) changes(ctx context.Context) error {
	from := p.s.Ledger.Base
	if from == "" || p.s.Ledger.Problem != "" {
		return nil
	}
	commits, relation, err := p.Git.CatchUp(ctx, from, p.s.Base.Head)
	if err != nil {
		return err
	}
	switch relation {
	case gitrepo.Same:
		return nil
	case gitrepo.Diverged:
		p.s.Base.Rewound = true
		return nil
	case gitrepo.TooFar:
		p.s.Problem = fmt.Sprintf("the base branch is too many commits ahead of %s, up to which the ledger is written", from.Short())
		return nil
	case gitrepo.Foxtrot:
		return p.foxtrot(ctx, from)
	}
	before := from
	for i := range commits {
		change, err := p.change(ctx, &commits[i], before)
		if err != nil {
			return err
		}
		p.s.Base.Changes = append(p.s.Base.Changes, change)
		before = commits[i].Hash
	}
	if len(p.mem.exact) > 5000 {
		clear(p.mem.exact)
	}
	return p.rulesOfLandings(ctx)
}

// rulesOfLandings reads the configuration that stood before what landed, where it
// has changed by that commit or since: it is what a landing is judged by.
func (p *pass) rulesOfLandings(ctx context.Context) error {
	governed := false
	for i := len(p.s.Base.Changes) - 1; i >= 0; i-- {
		c := &p.s.Base.Changes[i]
		governed = governed || c.Governs
		if !governed || len(c.Exact) == 0 || len(c.Parents) == 0 {
			continue
		}
		parent, err := p.Git.Commit(ctx, c.Parents[0])
		if err != nil {
			return err
		}
		paths, _, err := p.configFiles(ctx, parent.Tree)
		if err != nil {
			return err
		}
		result, policies, err := p.readConfig(ctx, parent.Tree, paths)
		if err != nil {
			return err
		}
		if result.Pipeline != nil {
			c.Rules = &promotion.Rules{Pipeline: *result.Pipeline, Problems: result.Problems, Policies: policies}
		}
	}
	return nil
}

// foxtrot takes everything between two commits of different first-parent lines
// as one change.
func (p *pass) foxtrot(ctx context.Context, from promotion.Hash) error {
	c, err := p.Git.Commit(ctx, p.s.Base.Head)
	if err != nil {
		return err
	}
	change, err := p.change(ctx, &c, from)
	if err != nil {
		return err
	}
	change.Exact = nil
	p.s.Base.Changes = []promotion.BaseChange{change}
	return nil
}

// change examines one base commit against the one before it.
func (p *pass) change(ctx context.Context, c *gitrepo.Commit, before promotion.Hash) (promotion.BaseChange, error) {
	out := promotion.BaseChange{
		Commit: c.Hash, Parents: slices.Clone(c.Parents), When: c.Committer.When.UTC(), Message: clip(c.Message, 4096),
		Author: c.Author.Name, Places: map[promotion.Pair][]promotion.PlaceChange{}, Exact: map[promotion.Pair]bool{},
	}
	if len(out.Parents) == 0 {
		out.Parents = []promotion.Hash{before}
	} else {
		out.Parents[0] = before
	}
	parent, err := p.Git.Commit(ctx, before)
	if err != nil {
		return out, err
	}
	diff, err := p.Git.Diff(ctx, parent.Tree, c.Tree, "")
	if err != nil {
		return out, err
	}
	by, err := p.rulesAt(ctx, parent.Tree)
	if err != nil {
		return out, err
	}
	var touched []gitrepo.Change
	for _, d := range diff {
		if governs(d.Path, by.Pipeline) {
			out.Governs = true
		}
		env := by.EnvironmentAt(d.Path)
		if env == nil {
			continue
		}
		if !slices.Contains(out.Environments, env.Name) {
			out.Environments = append(out.Environments, env.Name)
		}
		touched = append(touched, d)
	}
	if err := p.placeChanges(ctx, by, touched, out.Places); err != nil {
		return out, err
	}
	out.Files = filesOf(out.Places, touched)
	if err := p.exact(ctx, by, touched, &out); err != nil {
		return out, err
	}
	if m, known := p.mem.merged[c.Hash]; known {
		out.PullRequest, out.MergedBy, out.OpenedBy = m.number, m.by, m.opened
	}
	return out, nil
}

// placeChanges compares the places of changed files on both sides.
func (p *pass) placeChanges(ctx context.Context, by rules, touched []gitrepo.Change, into map[promotion.Pair][]promotion.PlaceChange) error {
	touched = slices.DeleteFunc(slices.Clone(touched), func(d gitrepo.Change) bool { return !manifest.IsManifest(d.Path) })
	sides, err := p.bothSides(ctx, by, touched)
	if err != nil {
		return err
	}
	for i, d := range touched {
		env := by.EnvironmentAt(d.Path)
		was, is := sides[2*i], sides[2*i+1]
		for key, before := range was {
			after := is[key]
			if after.Value != before.Value {
				pair := promotion.Pair{Environment: env.Name, Artifact: before.artifact}
				into[pair] = append(into[pair], promotion.PlaceChange{Path: d.Path, Locator: before.Locator, Before: before.Value, After: after.Value})
			}
		}
		for key, after := range is {
			if _, there := was[key]; !there {
				pair := promotion.Pair{Environment: env.Name, Artifact: after.artifact}
				into[pair] = append(into[pair], promotion.PlaceChange{Path: d.Path, Locator: after.Locator, After: after.Value})
			}
		}
	}
	for _, list := range into {
		slices.SortFunc(list, func(a, b promotion.PlaceChange) int {
			return strings.Compare(a.Path+" "+a.Locator, b.Path+" "+b.Locator)
		})
	}
	return nil
}

// bothSides are the places of changed manifests, before and after each, read in one
// request; none of what is no plain file.
func (p *pass) bothSides(ctx context.Context, by rules, touched []gitrepo.Change) ([]map[string]artifactPlace, error) {
	sides := make([]map[string]artifactPlace, 2*len(touched))
	var files []gitrepo.File
	var of []int // the side of each file
	for i, d := range touched {
		for j, e := range []gitrepo.Entry{d.Before, d.After} {
			if e.Hash != "" && e.Mode.Regular() {
				files, of = append(files, gitrepo.File{Path: d.Path, Mode: e.Mode, Hash: e.Hash}), append(of, 2*i+j)
			}
		}
	}
	reads, err := p.readPlaces(ctx, by, files)
	for i, r := range reads {
		places := map[string]artifactPlace{}
		for _, f := range r.found {
			places[string(f.Artifact)+" "+f.Place.Locator] = artifactPlace{f.Place, f.Artifact}
		}
		sides[of[i]] = places
	}
	return sides, err
}

// filesOf are the blobs of the changed files that hold each pair's places.
func filesOf(places map[promotion.Pair][]promotion.PlaceChange, touched []gitrepo.Change) map[promotion.Pair][]promotion.RecordFile {
	files := map[promotion.Pair][]promotion.RecordFile{}
	for pair, list := range places {
		for _, d := range touched {
			if slices.ContainsFunc(list, func(c promotion.PlaceChange) bool { return c.Path == d.Path }) {
				files[pair] = append(files[pair], promotion.RecordFile{Path: d.Path, Before: d.Before.Hash, After: d.After.Hash})
			}
		}
	}
	return files
}

type artifactPlace struct {
	promotion.Place
	artifact promotion.Artifact
}

// exact finds the open promotions that, applied together to the bytes before,
// give exactly the bytes after, under all environments.
func (p *pass) exact(ctx context.Context, by rules, touched []gitrepo.Change, out *promotion.BaseChange) error {
	byPath := map[string][]promotion.PlaceChange{}
	var pairs []promotion.Pair
	for pair := range out.Places {
		r := p.s.Ledger.Open[pair].Record
		if r.Kind != promotion.RecordPropose && r.Kind != promotion.RecordAuthorize {
			continue
		}
		pairs = append(pairs, pair)
		for _, c := range r.Places {
			byPath[c.Path] = append(byPath[c.Path], c)
		}
	}
	if len(pairs) == 0 {
		return nil
	}
	for _, d := range touched {
		changes, promised := byPath[d.Path]
		if !promised || !d.Before.Mode.Regular() || d.Before.Mode != d.After.Mode {
			return nil
		}
		blobs, err := p.Git.Blobs(ctx, d.Before.Hash, d.After.Hash)
		if err != nil {
			return err
		}
		applied, err := manifest.Apply(d.Path, blobs[d.Before.Hash], manifest.Artifacts(by.Pipeline), changes)
		if err != nil || string(applied) != string(blobs[d.After.Hash]) {
			return nil //nolint:nilerr // what does not apply is not exact; the change is then one by hand
		}
		delete(byPath, d.Path)
	}
	if len(byPath) > 0 {
		return nil
	}
	for _, pair := range pairs {
		out.Exact[pair] = true
	}
	return nil
}

// governs reports whether a path is configuration, a policy, CODEOWNERS or a
// workflow: what decides about promotions.
func governs(path string, pl *promotion.Pipeline) bool {
	return pipeline.IsConfigPath(path) || strings.HasPrefix(path, "rung.d/") || strings.HasPrefix(path, "policies/") ||
		slices.Contains(pl.PolicyPaths, path) || strings.HasPrefix(path, ".github/") ||
		path == "CODEOWNERS" || path == "docs/CODEOWNERS"
}

func clip(s string, n int) string {
	if len(s) > n {
		return strings.ToValidUTF8(s[:n], "")
	}
	return s
}
