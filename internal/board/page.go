package board

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/rungbot/rung/internal/promotion"
	"github.com/rungbot/rung/internal/queue"
)

// page is what the template renders. Its strings are cleaned, not escaped.
type page struct {
	Title, Version, Style string
	Now                   moment
	// Refresh is after how many seconds the page loads again; 0: never.
	Refresh int
	// Problem is shown instead of repositories.
	Problem string
	// Empty is true when no repository was ever looked at.
	Empty bool
	// Alone is true on the page of one repository.
	Alone                              bool
	Repositories, Listed, Unconfigured []repository
	// Health is the doctor's last look in one line, Checkup the whole of it.
	Health, Checkup *checkup
}

// repository is one repository as the page shows it.
type repository struct {
	Key, FullName, URL, Page string
	// Broken says why the stored view could not be read.
	Broken     string
	Configured bool
	Mode       string
	// Seen is when what is shown was observed; Tried when the last pass ended,
	// which is later where it failed.
	Seen, Tried, Next moment
	Error             string
	Base, Ledger      commit
	Problems, Notes   []string
	Freezes, Barred   []bar
	Environments      []string
	Rows              []row
	Counts            []count
	Empty             string
}

type commit struct{ Short, URL string }

type count struct {
	word
	N int
}

type bar struct {
	Scope, Reason, By string
	At, Until         moment
}

// row is one artifact in every environment.
type row struct {
	Artifact string
	Cells    []cell
}

// cell is one artifact in one environment.
type cell struct {
	Environment string
	// Absent is true where the environment never named the artifact.
	Absent          bool
	State           word
	Version, Digest string
	Target          string
	TargetDigest    string
	Rollback        bool
	Unpinned        bool
	Sentence        string
	Look            moment
	Landed          moment
	Settled         string
	ByHand          string
	PullRequest     int
	PullRequestURL  string
	Gates           []verdict
	Passing         int
}

type verdict struct {
	Gate, Sentence string
	State          word
	Look           moment
	Evidence       []evidence
	Rules          []rule
}

type evidence struct{ Name, Value, URL string }

type rule struct {
	Name, Message string
	State         word
}

// show turns a stored view into what the page shows.
func show(stored queue.View, now time.Time) repository {
	r := repository{Key: clean(string(stored.Key)), Tried: ago(stored.At, now)}
	var v promotion.View
	if err := json.Unmarshal(stored.Data, &v); err != nil {
		r.Broken = "what is kept of the last pass can't be read (" + clean(err.Error()) + "); the next pass makes it again"
		return r
	}
	if v.Repository.Owner == "" || v.Repository.Name == "" {
		r.Broken = "what is kept of the last pass names no repository; the next pass makes it again"
		return r
	}
	r.FullName, r.URL = clean(v.Repository.FullName()), link(v.Repository.URL)
	r.Page = "/r/" + url.PathEscape(v.Repository.Owner) + "/" + url.PathEscape(v.Repository.Name)
	r.Configured, r.Mode = v.Configured, modeWords(v.Mode)
	r.Seen, r.Next, r.Error = ago(v.At, now), ahead(v.Next, now), clean(v.Error)
	r.Base, r.Ledger = r.commit(v.Base), r.commit(v.Ledger)
	for _, p := range v.Problems {
		r.Problems = append(r.Problems, problemLine(p))
	}
	for _, n := range v.Notes {
		r.Notes = append(r.Notes, clean(n))
	}
	r.Freezes, r.Barred = bars(v.Freezes, now), bars(v.Quarantine, now)
	r.grid(&v, now)
	return r
}

func problemLine(p promotion.ConfigProblem) string {
	s := clean(p.String())
	if len(p.Environments) == 0 {
		return s + " (holds everything)"
	}
	names := make([]string, len(p.Environments))
	for i, e := range p.Environments {
		names[i] = clean(string(e))
	}
	return s + " (holds " + strings.Join(names, ", ") + ")"
}

func (r *repository) commit(h promotion.Hash) commit {
	if h.Zero() {
		return commit{}
	}
	c := commit{Short: clean(h.Short())}
	if _, err := promotion.ParseHash(string(h)); err == nil && r.URL != "" {
		c.URL = r.URL + "/commit/" + string(h)
	}
	return c
}

func bars(in []promotion.Bar, now time.Time) []bar {
	out := make([]bar, 0, len(in))
	for _, b := range in {
		scope := clean(b.Scope)
		switch {
		case scope == "+all":
			scope = "everything"
		case strings.HasPrefix(scope, "sha256:"):
			scope = promotion.Digest(scope).Short()
		}
		out = append(out, bar{scope, clean(b.Reason), clean(b.By.Login), ago(b.At, now), ahead(b.Until, now)})
	}
	slices.SortFunc(out, func(a, b bar) int { return strings.Compare(a.Scope, b.Scope) })
	return out
}

// grid lays the pairs out: artifacts down, environments across in the order of
// the pipeline. Pairs that the pipeline does not know come last.
func (r *repository) grid(v *promotion.View, now time.Time) {
	var environments []promotion.Environment
	var artifacts []promotion.Artifact
	if v.Pipeline != nil {
		for _, e := range v.Pipeline.Environments {
			environments = append(environments, e.Name)
		}
		for _, a := range v.Pipeline.Artifacts {
			artifacts = append(artifacts, a.Name)
		}
	}
	states := map[promotion.Pair]*promotion.PairState{}
	for i := range v.Pairs {
		st := &v.Pairs[i]
		states[st.Pair] = st
		if !slices.Contains(environments, st.Pair.Environment) {
			environments = append(environments, st.Pair.Environment)
		}
		if !slices.Contains(artifacts, st.Pair.Artifact) {
			artifacts = append(artifacts, st.Pair.Artifact)
		}
	}
	for _, e := range environments {
		r.Environments = append(r.Environments, clean(string(e)))
	}
	counts := map[word]int{}
	for _, a := range artifacts {
		line := row{Artifact: clean(string(a))}
		for _, e := range environments {
			c := cell{Environment: clean(string(e)), Absent: true}
			if st := states[promotion.Pair{Environment: e, Artifact: a}]; st != nil {
				c = r.cell(st, now)
				counts[c.State]++
			}
			line.Cells = append(line.Cells, c)
		}
		r.Rows = append(r.Rows, line)
	}
	for w, n := range counts {
		r.Counts = append(r.Counts, count{w, n})
	}
	slices.SortFunc(r.Counts, func(a, b count) int { return strings.Compare(a.Text, b.Text) })
	if len(states) == 0 && v.Configured {
		r.Rows, r.Empty = nil, "No environment names an artifact of rung.yaml yet. rung looks for them under the directories of the environments."
	}
}

func (r *repository) cell(st *promotion.PairState, now time.Time) cell {
	c := cell{
		Environment: clean(string(st.Pair.Environment)), State: phaseWord(st),
		Version: clean(string(st.Live.Version)), Digest: clean(st.Live.Digest.Short()),
		Target: clean(string(st.Target.Version)), TargetDigest: clean(st.Target.Digest.Short()),
		Rollback: st.Kind == promotion.KindRollback, Unpinned: st.Unpinned,
		Sentence: clean(st.Sentence), Look: ahead(st.Look, now), Landed: ago(st.LandedAt, now), Settled: clean(st.Settled),
		PullRequest: max(st.PullRequest, 0), PullRequestURL: link(st.URL),
	}
	if !strings.Contains(st.Sentence, st.ByHand) { // said once is enough
		c.ByHand = clean(st.ByHand)
	}
	if c.PullRequest > 0 && c.PullRequestURL == "" && r.URL != "" {
		c.PullRequestURL = fmt.Sprintf("%s/pull/%d", r.URL, c.PullRequest)
	}
	for _, v := range st.Verdicts {
		if v.Status == promotion.StatusPass {
			c.Passing++
		}
		c.Gates = append(c.Gates, gate(v, now))
	}
	return c
}

func gate(v promotion.Verdict, now time.Time) verdict {
	g := verdict{Gate: clean(v.Gate), Sentence: clean(v.Sentence), State: statusWord(v.Status), Look: ahead(v.Look, now)}
	for _, e := range v.Evidence {
		g.Evidence = append(g.Evidence, evidence{clean(e.Name), clean(e.Value), link(e.URL)})
	}
	for _, r := range v.Rules {
		g.Rules = append(g.Rules, rule{clean(r.Policy) + " / " + clean(r.Rule), clean(r.Message), statusWord(r.Status)})
	}
	return g
}

func sameName(a, b string) bool { return strings.EqualFold(a, b) }

// sortRepositories puts what is broken first, then goes by name.
func sortRepositories(repos []repository) {
	slices.SortStableFunc(repos, func(a, b repository) int {
		if (a.Broken != "") != (b.Broken != "") {
			if a.Broken != "" {
				return -1
			}
			return 1
		}
		return strings.Compare(strings.ToLower(a.FullName), strings.ToLower(b.FullName))
	})
}
