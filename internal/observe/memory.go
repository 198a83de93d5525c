package observe

import (
	"slices"
	"strings"
	"time"

	"github.com/rungbot/rung/internal/forge"
	"github.com/rungbot/rung/internal/hint"
	"github.com/rungbot/rung/internal/pipeline"
	"github.com/rungbot/rung/internal/promotion"
)

// memory is what an Observer remembers between passes. All of it can be lost.
type memory struct {
	base string // the base branch's full name

	// config is the configuration of configKey, the blobs that it was read from.
	configKey string
	config    pipeline.Result
	past      rules // another configuration that base commits were judged by
	policies  map[string][]byte
	files     map[string]fileRead // places by blob, path and artifacts

	ledger promotion.LedgerState
	tip    promotion.Hash // the last tip that was read
	line   map[promotion.Hash]bool
	exact  map[promotion.Hash]promotion.BaseChange // examined base commits

	// cold means that nothing of the forge is known.
	cold   bool
	readAt time.Time
	// archived is true when the repository was read-only at the last reading.
	archived bool
	public   bool
	rules    promotion.BranchRules
	rulesAt  time.Time // when rules were read
	prs      map[int]*promotion.PullRequestState
	dirty    map[int]bool // pull requests to read again
	merged   map[promotion.Hash]merge
	// onboarding is true once it is known whether rung's onboarding pull request
	// was ever opened.
	onboarding bool
	// builtOn is the base commit that a head was built on; asked is when it was
	// asked last whether a head can be merged into a base.
	builtOn map[promotion.Hash]promotion.Hash
	asked   map[question]time.Time
	// statuses are the names of statuses and checks that came in.
	statuses map[string]bool
	commits  map[promotion.Hash][]promotion.CheckFacts

	registry  map[promotion.Artifact]*available
	told      []hint.Hint // announcements, oldest first
	unusable  []hint.Hint // what events held that can't be used, oldest first
	served    map[promotion.Digest]servedAt
	health    map[healthKey]promotion.HealthReading
	refused   map[promotion.Pair]promotion.Refusal
	refusals  map[promotion.Pair]int
	impacts   map[int]*promotion.Impact
	commented time.Time // up to when comments were listed; zero before the first
}

// question is a head and the base that it is to be merged into.
type question struct{ head, base promotion.Hash }

// merge is how a base commit came there. opened and reviews are of its pull
// request, where there was one and it was read.
type merge struct {
	number  int
	by      promotion.Person
	opened  promotion.Person
	reviews []promotion.ReviewFacts
}

type servedAt struct {
	served bool
	at     time.Time
}

type healthKey struct {
	pair   promotion.Pair
	source string
	digest promotion.Digest
}

func newMemory() memory {
	return memory{
		files: map[string]fileRead{}, line: map[promotion.Hash]bool{}, exact: map[promotion.Hash]promotion.BaseChange{}, cold: true,
		prs: map[int]*promotion.PullRequestState{}, dirty: map[int]bool{}, merged: map[promotion.Hash]merge{}, statuses: map[string]bool{},
		commits: map[promotion.Hash][]promotion.CheckFacts{}, registry: map[promotion.Artifact]*available{},
		served: map[promotion.Digest]servedAt{}, health: map[healthKey]promotion.HealthReading{},
		refused: map[promotion.Pair]promotion.Refusal{}, refusals: map[promotion.Pair]int{}, impacts: map[int]*promotion.Impact{},
		builtOn: map[promotion.Hash]promotion.Hash{}, asked: map[question]time.Time{},
	}
}

// take turns hints into what must be read again.
func (m *memory) take(hints []hint.Hint, now time.Time, resync time.Duration) {
	if resync > 0 && !m.readAt.IsZero() && now.Sub(m.readAt) >= resync {
		m.cold, m.commented = true, time.Time{}
	}
	for _, h := range hints {
		switch h.Kind {
		case hint.KindEverything, hint.KindRepository, hint.KindAccess:
			m.cold = true
			if h.Kind == hint.KindRepository {
				m.base = ""
			}
		case hint.KindPullRequest, hint.KindReview:
			m.dirty[h.Number] = true
		case hint.KindCommand:
			if _, known := m.prs[h.Number]; !known {
				m.dirty[h.Number] = true
			}
		case hint.KindRefs:
			m.takeRef(h)
		case hint.KindCheck:
			m.takeCheck(h.Name, h.Head)
		case hint.KindStatus:
			m.takeCheck(h.Context, h.SHA)
		case hint.KindCheckSuite, hint.KindWorkflow, hint.KindMergeGroup:
			if len(m.rules.RequiredChecks) > 0 {
				m.dirtyHead(h.Head)
			}
		case hint.KindRerequest, hint.KindClick:
			m.dirtyHead(h.Head)
			for _, pr := range m.prs {
				if pr.Head == h.Head {
					pr.Check = nil
				}
			}
		case hint.KindPublished:
			m.takePublished(h)
		case hint.KindRefused:
			m.unusable = append(m.unusable, h)
		}
	}
	m.unusable = slices.DeleteFunc(m.unusable, func(h hint.Hint) bool { return now.Sub(h.At) > keepUnusable })
	m.unusable = m.unusable[max(0, len(m.unusable)-maxUnusable):]
}

// What events held that can't be used is shown for a day, the newest of it.
const (
	keepUnusable = 24 * time.Hour
	maxUnusable  = 10
)

// unusables are the sentences about it.
func (m *memory) unusables() []promotion.Unusable {
	list := make([]promotion.Unusable, len(m.unusable))
	for i, h := range m.unusable {
		list[i] = promotion.Unusable{At: h.At, By: h.Sender, Text: h.Reason}
	}
	return list
}

func (m *memory) takeRef(h hint.Hint) {
	if h.Own {
		return
	}
	for number, pr := range m.prs {
		if "refs/heads/"+pr.HeadRef == h.Ref {
			m.dirty[number] = true
		}
	}
}

// takeCheck reads a pull request again only for a check that is required, or
// while it is not known which are.
func (m *memory) takeCheck(name string, head promotion.Hash) {
	m.statuses[name] = true
	required := slices.ContainsFunc(m.rules.RequiredChecks, func(c promotion.RequiredCheck) bool { return c.Name == name })
	if required || !m.rules.Known {
		m.dirtyHead(head)
	}
}

func (m *memory) dirtyHead(head promotion.Hash) {
	for number, pr := range m.prs {
		if pr.Head == head && pr.State == "open" {
			m.dirty[number] = true
		}
	}
}

// takePublished looks at the registries of the artifacts that an event may be
// about, and keeps who and what announced them.
func (m *memory) takePublished(h hint.Hint) {
	m.told = hint.Told(m.told, h)
	for name, a := range m.registry {
		if h.About(name, a.image) {
			a.at = time.Time{}
		}
	}
}

// learn keeps what the forge said.
func (m *memory) learn(state forge.State, q forge.Query, now time.Time) {
	if q.Base != "" {
		m.rules, m.rulesAt = state.Rules, now
	}
	if q.OpenPullRequests && state.OpenComplete {
		m.cold, m.readAt = false, now
		for number, pr := range m.prs {
			if pr.State == "open" && !slices.ContainsFunc(state.PullRequests, func(r forge.PullRequest) bool { return r.Number == number }) {
				delete(m.prs, number) // closed since; read by head where it matters
			}
		}
	}
	for i := range state.PullRequests {
		r := &state.PullRequests[i]
		m.prs[r.Number] = stateOf(r)
		delete(m.dirty, r.Number)
		if r.MergeCommit != "" {
			m.merged[r.MergeCommit] = merge{r.Number, r.MergedBy, r.Author, r.Reviews}
		}
	}
	m.onboarding = m.onboarding || slices.Contains(q.Heads, strings.TrimPrefix(promotion.OnboardRef, "refs/heads/"))
	for _, n := range q.PullRequests {
		delete(m.dirty, n)
	}
	for c, checks := range state.Commits {
		m.commits[c] = checks
	}
}

func stateOf(r *forge.PullRequest) *promotion.PullRequestState {
	pr := &promotion.PullRequestState{
		Number: r.Number, Title: r.Title, URL: r.URL, State: r.State, Draft: r.Draft, Fork: r.Fork, HeadRef: r.HeadRef, Head: r.Head,
		Mergeable: r.Mergeable, MergeCommit: r.MergeCommit, Author: r.Author, MergedBy: r.MergedBy, ClosedBy: r.ClosedBy, ClosedAt: r.ClosedAt,
		Reviews: r.Reviews, Checks: r.Checks, ChecksComplete: r.ChecksComplete,
	}
	for _, own := range r.Own {
		if own.Name == promotion.CheckName && own.Head == r.Head {
			pr.Check = &promotion.OwnCheck{ID: own.ID, Head: own.Head, Conclusion: own.Conclusion, Fingerprint: own.ExternalID}
			break
		}
	}
	return pr
}

// wrote keeps what act wrote: what rung did itself need not be read.
func (m *memory) wrote(s *promotion.Snapshot, plan *promotion.Plan, res promotion.Outcome) {
	for pair, number := range res.Opened {
		pr, known := m.prs[number]
		if !known {
			pr = &promotion.PullRequestState{
				Number: number, State: "open", HeadRef: strings.TrimPrefix(promotion.PromotionBranch(pair), "refs/heads/"),
				Mergeable: forge.MergeUnknown, Author: s.App, ChecksComplete: true, URL: pullURL(s.Repository, number),
			}
			m.prs[number] = pr
		}
		if head := res.Heads[pair]; head != "" {
			pr.Head, pr.Mergeable, pr.Checks, pr.Check = head, forge.MergeUnknown, nil, nil
		} else if head := s.Heads[pair].Commit; head != "" && pr.Head == "" {
			pr.Head = head
		}
	}
	for _, b := range plan.Builds {
		if head := res.Heads[b.Pair]; head != "" {
			if len(m.builtOn) > 1000 {
				clear(m.builtOn)
			}
			m.builtOn[head] = b.Base
		}
	}
	for _, c := range res.Checks {
		for _, pr := range m.prs {
			if pr.Number == c.PullRequest || c.PullRequest == 0 && pr.Head == c.Check.Head {
				check := c.Check
				pr.Check = &check
			}
		}
	}
	for _, done := range res.Merged {
		m.merged[done.Commit] = merge{number: done.Number, by: s.App}
		if pr := m.prs[done.Number]; pr != nil {
			pr.State, pr.MergeCommit, pr.MergedBy = "merged", done.Commit, s.App
		}
		delete(m.refused, done.Pair)
		delete(m.refusals, done.Pair)
	}
	for pair, no := range res.Refused {
		m.refusals[pair]++
		no.Until = s.Now.Add(min(time.Duration(5<<min(m.refusals[pair], 8))*time.Second, 10*time.Minute))
		m.refused[pair] = no
		for _, mg := range plan.Merges {
			if mg.Pair == pair {
				m.dirty[mg.Number] = true
			}
		}
	}
	for _, n := range plan.Reopens {
		m.dirty[n] = true
	}
	if plan.Onboard {
		m.cold = true // its pull request wants a check too
	}
}

func pullURL(r promotion.Repository, number int) string {
	if r.URL == "" {
		return ""
	}
	return r.URL + "/pull/" + itoa(number)
}
