package observe

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/rungbot/rung/internal/gitrepo"
	"github.com/rungbot/rung/internal/manifest"
	"github.com/rungbot/rung/internal/pipeline"
	"github.com/rungbot/rung/internal/promotion"
)

// impacts examines the open pull requests that are no promotion of rung's: what
// they would bring in. Each head is examined once.
func (p *pass) impacts(ctx context.Context) error {
	for number := range p.mem.impacts {
		if pr := p.mem.prs[number]; pr == nil || pr.State != "open" {
			delete(p.mem.impacts, number)
		}
	}
	for i := range p.s.PullRequests {
		pr := &p.s.PullRequests[i]
		if pr.State != "open" {
			continue
		}
		if _, promoted := p.promotionOf(pr); promoted {
			continue
		}
		im := p.mem.impacts[pr.Number]
		if im == nil || im.Head != pr.Head {
			var err error
			if im, err = p.impact(ctx, pr); err != nil {
				return err
			}
			p.mem.impacts[pr.Number] = im
		}
		pr.Impact = p.withBars(im)
	}
	return nil
}

// withBars adds which of the digests that it brings in are barred now.
func (p *pass) withBars(im *promotion.Impact) *promotion.Impact {
	out := *im
	out.Quarantined = nil
	for _, changes := range im.Places {
		for _, c := range changes {
			if _, barred := p.s.Ledger.Barred(c.After.Digest); barred && c.After.Digest != "" && !slices.Contains(out.Quarantined, c.After.Digest) {
				out.Quarantined = append(out.Quarantined, c.After.Digest)
			}
		}
	}
	slices.Sort(out.Quarantined)
	return &out
}

func (p *pass) impact(ctx context.Context, pr *promotion.PullRequestState) (*promotion.Impact, error) {
	im := &promotion.Impact{Head: pr.Head, Places: map[promotion.Pair][]promotion.PlaceChange{}}
	head, base, err := p.ends(ctx, pr.Head)
	missing := errors.Is(err, gitrepo.ErrMissing)
	if err == nil {
		err = p.examine(ctx, base.Tree, head.Tree, im)
	}
	if missing || itsOwn(err) || errors.Is(err, errUnrelated) {
		im.Error = "the head can't be read: " + err.Error()
		return im, nil
	}
	return im, err
}

// examine finds what lies between the trees of a pull request's base and its head.
func (p *pass) examine(ctx context.Context, base, head promotion.Hash, im *promotion.Impact) error {
	diff, err := p.Git.Diff(ctx, base, head, "")
	if err != nil {
		return err
	}
	var touched []gitrepo.Change
	for _, d := range diff {
		if governs(d.Path, &p.s.Pipeline) {
			im.Governs = true
		}
		if p.s.Pipeline.EnvironmentAt(d.Path) != nil {
			touched = append(touched, d)
		}
	}
	if err := p.placeChanges(ctx, p.rules(), touched, im.Places); err != nil {
		return err
	}
	if im.Problems, err = p.unreadable(ctx, touched); err != nil {
		return err
	}
	if im.Disguised, err = p.disguised(ctx, head, diff); err != nil {
		return err
	}
	if im.Governs {
		return p.governance(ctx, head, im)
	}
	return nil
}

// unreadable are the files that name an artifact and could not be read: merged, they
// hold their environment.
func (p *pass) unreadable(ctx context.Context, touched []gitrepo.Change) ([]promotion.ConfigProblem, error) {
	var problems []promotion.ConfigProblem
	for _, d := range touched {
		if !manifest.IsManifest(d.Path) || d.After.Hash == "" || !d.After.Mode.Regular() {
			continue
		}
		reads, err := p.readPlaces(ctx, p.rules(), []gitrepo.File{{Path: d.Path, Mode: d.After.Mode, Hash: d.After.Hash}})
		if err != nil {
			return nil, err
		}
		if reads[0].err == nil {
			continue
		}
		env := p.s.Pipeline.EnvironmentAt(d.Path).Name
		problem := promotion.ConfigProblem{Path: d.Path, Environments: []promotion.Environment{env}}
		var at *manifest.Error
		if errors.As(reads[0].err, &at) {
			problem.Line, problem.Column, problem.Text = at.Line, at.Column, at.Reason
		} else {
			problem.Text = reads[0].err.Error()
		}
		problem.Text += fmt.Sprintf("; merged, it holds %s", env)
		problems = append(problems, problem)
	}
	return problems, nil
}

// ends are a pull request's head and the commit at which it left the base
// branch.
func (p *pass) ends(ctx context.Context, head promotion.Hash) (h, left gitrepo.Commit, err error) {
	if err = p.Git.Fetch(ctx, head); err != nil {
		return h, left, err
	}
	if h, err = p.Git.Commit(ctx, head); err != nil {
		return h, left, err
	}
	at, found, err := p.Git.MergeBase(ctx, p.s.Base.Head, head)
	if err != nil {
		return h, left, err
	}
	if !found {
		return h, left, fmt.Errorf("%w: it has no history in common with the base branch within bounds", errUnrelated)
	}
	if err = p.Git.Fetch(ctx, at); err != nil {
		return h, left, err
	}
	left, err = p.Git.Commit(ctx, at)
	return h, left, err
}

var errUnrelated = errors.New("it can't be compared with the base branch")

// governance reads the configuration as the pull request would have it, and says
// what is wrong with it or what would change.
func (p *pass) governance(ctx context.Context, tree promotion.Hash, im *promotion.Impact) error {
	paths, _, err := p.configFiles(ctx, tree)
	if err != nil {
		return err
	}
	if !slices.Contains(paths.config, pipeline.RootFile) {
		im.Summary = append(im.Summary, "rung.yaml is taken away: rung stops promoting here")
		return nil
	}
	result, policies, err := p.readConfig(ctx, tree, paths)
	if err != nil {
		return err
	}
	im.Problems = append(im.Problems, result.Problems...)
	if p.LintPolicies != nil {
		im.Problems = append(im.Problems, p.LintPolicies(policies)...)
	}
	if result.Pipeline == nil {
		return nil
	}
	im.Summary = differences(&p.s.Pipeline, result.Pipeline)
	return nil
}

// differences says in sentences how two pipelines differ.
func differences(was, is *promotion.Pipeline) []string {
	var out []string
	if was.Mode != is.Mode {
		out = append(out, fmt.Sprintf("mode: %s → %s", was.Mode, is.Mode))
	}
	if was.Ledger != is.Ledger {
		out = append(out, fmt.Sprintf("ledger: %s → %s", orNone(was.Ledger.Short()), orNone(is.Ledger.Short())))
	}
	if was.LedgerBefore != is.LedgerBefore {
		out = append(out, fmt.Sprintf("the ledger that ended with %s → %s is followed by another", orNone(was.LedgerBefore.Short()), orNone(is.LedgerBefore.Short())))
	}
	for _, e := range is.Environments {
		old, there := was.Environment(e.Name)
		if !there {
			out = append(out, fmt.Sprintf("environment %s is new", e.Name))
			continue
		}
		out = append(out, environmentDifferences(old, &e)...)
	}
	for _, e := range was.Environments {
		if _, there := is.Environment(e.Name); !there {
			out = append(out, fmt.Sprintf("environment %s is taken away", e.Name))
		}
	}
	for _, a := range is.Artifacts {
		if old, there := was.Artifact(a.Name); !there {
			out = append(out, fmt.Sprintf("artifact %s is new", a.Name))
		} else if old.Image != a.Image {
			out = append(out, fmt.Sprintf("artifact %s: image %s → %s", a.Name, old.Image, a.Image))
		}
	}
	for _, a := range was.Artifacts {
		if _, there := is.Artifact(a.Name); !there {
			out = append(out, fmt.Sprintf("artifact %s is taken away", a.Name))
		}
	}
	if len(out) == 0 {
		out = append(out, "no setting of a pipeline changes")
	}
	return out
}

func environmentDifferences(was, is *promotion.EnvironmentSpec) []string {
	var out []string
	differ := func(what, a, b string) {
		if a != b {
			out = append(out, fmt.Sprintf("%s %s: %s → %s", is.Name, what, orNone(a), orNone(b)))
		}
	}
	differ("path", was.Path, is.Path)
	differ("paths", strings.Join(was.Paths, ", "), strings.Join(is.Paths, ", "))
	differ("after", fmt.Sprint(was.After), fmt.Sprint(is.After))
	differ("soak", was.Soak.String(), is.Soak.String())
	differ("approvals", fmt.Sprint(was.Approvals), fmt.Sprint(is.Approvals))
	differ("policies", strings.Join(was.Policies, ", "), strings.Join(is.Policies, ", "))
	differ("health", fmt.Sprint(was.Health), fmt.Sprint(is.Health))
	differ("supersede", string(was.Supersede), string(is.Supersede))
	differ("pin", string(was.Pin), string(is.Pin))
	differ("manualChanges", string(was.ManualChanges), string(is.ManualChanges))
	differ("rollback", fmt.Sprint(was.AutoRollback), fmt.Sprint(is.AutoRollback))
	differ("protected", fmt.Sprint(was.Protected), fmt.Sprint(is.Protected))
	differ("merge", was.Method, is.Method)
	return out
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}
