// Package decide chooses what to do: a pure function from what was observed to
// a plan.
//
// State: none. Decide reads a Snapshot, asks the gates, and returns a Plan; it
// does no I/O, reads no clock (Snapshot.Now is the time) and may be called from
// several goroutines. The same Snapshot gives the same Plan. The order of play
// is fixed: account for what landed or was changed by hand, settle what is
// verified, hear commands, roll back or put back what people changed, then
// promote, then look at other people's pull requests. A pass builds on what it has itself just recorded, so that one
// push can carry a landing and the next rung's proposal.
//
// What it does not do: it does not judge (gates do), build trees, sign, push or
// call the forge (act does), and it never looks at a payload of a webhook.
package decide

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/rungbot/rung/internal/gate"
	"github.com/rungbot/rung/internal/promotion"
	"github.com/rungbot/rung/internal/prose"
)

// Judgement is what all the gates say of one promotion.
type Judgement = gate.Judgement

// Judges are the gates, as decide uses them. Both functions are pure.
type Judges struct {
	// Promotion judges a promotion or rollback by every gate that applies.
	Promotion func(*promotion.Facts) Judgement
	// Settle says whether the verification of a release has ended: the
	// outcome (empty while it goes on), the sentence behind it, and when to
	// look again.
	Settle func(spec promotion.EnvironmentSpec, artifact promotion.Artifact, landed, now time.Time, readings []promotion.HealthReading) (outcome string, verdict promotion.Verdict)
	// By are the same gates by another configuration: the Snapshot's, as it was
	// before.
	By func(*promotion.Snapshot) Judges
	// Problems are what is wrong with the policies, beside the Snapshot's own.
	Problems []promotion.ConfigProblem
	// Compare orders two versions by an artifact's rule: negative when a is
	// older than b.
	Compare func(rule promotion.VersionRule, a, b promotion.Version) int
}

// maxUnrecorded is how many base commits that concern no environment may pass
// before the ledger's base is moved on by a record of its own.
const maxUnrecorded = 200

// Decide chooses the plan of one pass.
func Decide(s *promotion.Snapshot, judges Judges) promotion.Plan {
	p := &pass{
		s: s, judges: judges,
		live:   map[promotion.Pair]promotion.LiveEntry{},
		past:   map[promotion.Pair][]promotion.LiveEntry{},
		open:   map[promotion.Pair]promotion.LedgerEntry{},
		bars:   map[promotion.Digest]promotion.Record{},
		freeze: map[string]promotion.Record{},
		wants:  map[promotion.Pair]*rollback{},

		announced: map[versionOf]promotion.LedgerEntry{},
	}
	p.begin()
	if p.blocked() {
		return p.end()
	}
	p.account()
	p.found()
	if s.Pipeline.Mode != promotion.ModeObserve {
		p.settle()
	}
	p.hear()
	p.announce()
	p.wantRollbacks()
	// Rollbacks first: what they bar is promoted nowhere in this pass.
	dealt := map[promotion.Pair]bool{}
	for _, pair := range p.pairs {
		want := p.wants[pair]
		dealt[pair] = want != nil && p.rollBack(pair, want) || p.putBack(pair)
	}
	for _, pair := range p.pairs {
		if !dealt[pair] {
			p.pair(pair)
		}
	}
	p.ordinary()
	p.onboard()
	return p.end()
}

// unusable tells of what events held that can't be used, such as a version that is
// none: who sent it looks for it where everything else is shown.
func (p *pass) unusable() {
	for _, u := range p.s.Unusable {
		p.plan.Notes = append(p.plan.Notes, fmt.Sprintf("%s: %s (sent by %s)", prose.Time(u.At), u.Text, gate.Who(u.By)))
	}
}

// pass is one Decide under way: the snapshot, and the world as it will be once
// the plan so far is carried out.
type pass struct {
	s      *promotion.Snapshot
	judges Judges
	plan   promotion.Plan

	pairs []promotion.Pair // every pair that has a place, in pipeline order
	live  map[promotion.Pair]promotion.LiveEntry
	past  map[promotion.Pair][]promotion.LiveEntry // live before this pass's records, newest first
	open  map[promotion.Pair]promotion.LedgerEntry // propose, authorize or withdraw
	// bars and freeze are the newest records of this pass over the ledger's.
	bars   map[promotion.Digest]promotion.Record
	freeze map[string]promotion.Record
	wants  map[promotion.Pair]*rollback
	// announced are the newest announcements, those of this pass over the
	// ledger's.
	announced map[versionOf]promotion.LedgerEntry
	// revoking is true when a branch is deleted to stop a merge, which can't
	// wait; the branches of what has landed can.
	revoking bool
}

func (p *pass) begin() {
	for k, v := range p.s.Ledger.Live {
		p.live[k] = v
	}
	for k, v := range p.s.Ledger.Open {
		p.open[k] = v
	}
	for d, e := range p.s.Ledger.Quarantine {
		p.bars[d] = e.Record
	}
	for k, e := range p.s.Ledger.Freezes {
		p.freeze[k] = e.Record
	}
	for name, list := range p.s.Ledger.Announced {
		for _, e := range list {
			p.announced[versionOf{name, e.Record.Artifact.Version}] = e
		}
	}
	for _, env := range p.s.Pipeline.Environments {
		for _, art := range p.s.Pipeline.Artifacts {
			pair := promotion.Pair{Environment: env.Name, Artifact: art.Name}
			if len(p.s.Places[pair]) > 0 || p.live[pair].Land.Statement != "" {
				p.pairs = append(p.pairs, pair)
			}
		}
	}
}

// blocked handles what stops a whole pass: a world that could not be observed,
// a repository that is not configured, a ledger that can't be trusted.
func (p *pass) blocked() bool {
	s := p.s
	switch {
	case s.Problem != "":
		p.plan.Notes = append(p.plan.Notes, s.Problem)
	case !s.Configured:
		p.plan.Notes = append(p.plan.Notes, "not configured: the base branch has no rung.yaml")
		return true
	case s.Ledger.Problem != "":
		p.plan.Notes = append(p.plan.Notes, s.Ledger.Problem)
	case s.Base.Rewound:
		p.plan.Notes = append(p.plan.Notes, fmt.Sprintf("the base branch was rewound: %s, up to which the ledger is written, is no ancestor of %s; everything is held until it is back", s.Ledger.Base.Short(), s.Base.Head.Short()))
	default:
		if s.Ledger.Tip == "" {
			return p.start()
		}
		return false
	}
	p.holdEverything(p.plan.Notes[len(p.plan.Notes)-1])
	return true
}

// holdEverything shows one reason on every pair and every open pull request, and
// answers commands with it, so that none is lost unseen.
func (p *pass) holdEverything(reason string) {
	for i := range p.s.Commands {
		if c := &p.s.Commands[i]; c.Error == "" && c.Verb != "help" {
			p.refuse(c, "Everything is held: "+prose.Text(reason, 600)+". Nothing was done; say it again once that is put right.")
			continue
		}
		p.command(&p.s.Commands[i])
	}
	for _, pair := range p.pairs {
		p.state(promotion.PairState{Pair: pair, Live: p.value(pair), Phase: promotion.PhaseHeld, Sentence: reason})
	}
	for i := range p.s.PullRequests {
		pr := &p.s.PullRequests[i]
		if pr.State != "open" {
			continue
		}
		if _, promoted := p.pairOf(pr); promoted {
			p.check(pr, promotion.Check{Conclusion: "action_required", Title: "Held", Summary: heldSummary(reason)})
			continue
		}
		p.ordinaryCheck(pr)
	}
}

// start makes the ledger's first commit: it records what is live now, so that
// every later change has something to stand on. In mode observe it only goes on
// as if that were written, to say what rung would do. It reports whether the
// pass is over.
func (p *pass) start() bool {
	observing := p.s.Pipeline.Mode == promotion.ModeObserve
	if observing {
		p.plan.Notes = append(p.plan.Notes, "mode is observe: no ledger is started, nothing is promoted")
	}
	p.plan.StartLedger = true
	p.plan.Base = p.s.Base.Head
	p.inherit()
	for _, pair := range p.pairs {
		p.adoptFound(pair, "found at onboarding")
		if !observing {
			p.idle(pair, "")
		}
	}
	if !observing {
		p.plan.Next = p.s.Now
	}
	return !observing
}

// resolved adds the digest that the registry serves for a version that is not
// pinned, so that a rollback can come back to it.
func (p *pass) resolved(name promotion.Artifact, v promotion.Value) promotion.Value {
	if v.Digest != "" {
		return v
	}
	for _, r := range p.s.Available[name].Releases {
		if r.Version == v.Version {
			v.Digest = r.Digest
		}
	}
	return v
}

// onboard asks for the pull request that pins the ledger in rung.yaml.
func (p *pass) onboard() {
	if p.s.Pipeline.Ledger != "" || p.s.Ledger.First == "" {
		return
	}
	// Only a reading of the forge shows whether somebody closed it before.
	forced := !p.s.ForgeRead
	p.plan.Notes = append(p.plan.Notes, fmt.Sprintf("rung.yaml does not name the ledger yet: merge the pull request that adds `ledger: %s`, or write that line yourself if there was one before", p.s.Ledger.First))
	for _, pr := range p.s.PullRequests {
		if "refs/heads/"+pr.HeadRef == promotion.OnboardRef {
			return // open, or closed by somebody: it is not forced on people
		}
	}
	p.plan.Onboard = !forced
}

// end settles what depends on the whole plan.
func (p *pass) end() promotion.Plan {
	p.unusable()
	p.answerWhy()
	p.plan.Rotate = p.s.Ledger.Pending != "" && p.s.Ledger.Problem == "" && p.s.Problem == "" && p.s.Configured && !p.s.Base.Rewound
	slices.SortStableFunc(p.plan.Pairs, func(a, b promotion.PairState) int {
		return slices.Index(p.pairs, a.Pair) - slices.Index(p.pairs, b.Pair)
	})
	if p.s.Pipeline.Mode == promotion.ModeObserve {
		p.plan.Records, p.plan.Builds, p.plan.Deletes, p.plan.Opens, p.plan.Merges = nil, nil, nil, nil, nil
		p.plan.StartLedger, p.plan.Rotate, p.plan.Onboard, p.plan.Reopens, p.plan.Base = false, false, false, nil, ""
		if !p.plan.Next.After(p.s.Now) {
			p.plan.Next = time.Time{} // to look at what would have been written
		}
	}
	p.plan.Lone = len(p.plan.Records) > 0 && len(p.plan.Builds) == 0 && !p.revoking && len(p.plan.Merges) == 0 &&
		!p.plan.StartLedger && !p.plan.Rotate && !slices.ContainsFunc(p.plan.Records, func(r promotion.Record) bool {
		return r.Kind != promotion.RecordLand && r.Kind != promotion.RecordSettle && r.Kind != promotion.RecordAdopt && r.Kind != promotion.RecordAnnounce
	})
	if !p.plan.Next.IsZero() && p.plan.Next.Before(p.s.Now) {
		p.plan.Next = p.s.Now
	}
	return p.plan
}

// record plans a record and lets the rest of the pass see it. It returns how
// later records of the pass cite it.
func (p *pass) record(r promotion.Record) (ref string) {
	if r.IssuedAt.IsZero() {
		r.IssuedAt = p.s.Now.UTC().Truncate(time.Second)
	}
	ref = fmt.Sprintf("#%d", len(p.plan.Records))
	p.plan.Records = append(p.plan.Records, r)
	e := promotion.LedgerEntry{Record: r, Statement: ref}
	pair := promotion.Pair{Environment: r.Environment}
	if r.Artifact != nil {
		pair.Artifact = r.Artifact.Name
	}
	switch r.Kind {
	case promotion.RecordLand, promotion.RecordAdopt:
		if r.Artifact == nil {
			break
		}
		if before, there := p.live[pair]; there {
			p.past[pair] = slices.Insert(p.past[pair], 0, before)
		}
		p.live[pair] = promotion.LiveEntry{Land: e}
		if r.Kind == promotion.RecordLand {
			delete(p.open, pair)
		}
	case promotion.RecordSettle:
		l := p.live[pair]
		l.Settle = &e
		p.live[pair] = l
	case promotion.RecordPropose, promotion.RecordAuthorize, promotion.RecordWithdraw:
		p.open[pair] = e
	case promotion.RecordQuarantine, promotion.RecordUnquarantine:
		p.bars[r.Digest] = r
	case promotion.RecordFreeze, promotion.RecordUnfreeze:
		p.freeze[r.Scope] = r
	}
	return ref
}

// earlier are a pair's releases before the one that is live now, newest first:
// those that this pass's records have replaced, then the ledger's.
func (p *pass) earlier(pair promotion.Pair) []promotion.LiveEntry {
	return slices.Concat(p.past[pair], p.s.Ledger.History[pair])
}

func (p *pass) base() promotion.RecordBase {
	return promotion.RecordBase{Ref: p.s.Base.Ref, Judged: p.s.Base.Head}
}

func (p *pass) look(t time.Time) {
	if !t.IsZero() && (p.plan.Next.IsZero() || t.Before(p.plan.Next)) {
		p.plan.Next = t
	}
}

func (p *pass) state(st promotion.PairState) {
	for _, pl := range p.s.Places[st.Pair] {
		if pl.Value.Digest == "" {
			st.Unpinned = true
		}
	}
	if l, ok := p.live[st.Pair]; ok {
		st.LandedAt = l.Land.Record.IssuedAt
		if r := l.Land.Record; r.Kind == promotion.RecordAdopt && r.Landed != nil {
			st.ByHand = handWords(&r)
		}
		if l.Settle != nil {
			st.Settled = l.Settle.Record.Outcome
		}
	}
	p.look(st.Look)
	p.plan.Pairs = append(p.plan.Pairs, st)
}

// value is what is live: what all places of the pair agree on. A place may say
// less than another (a version without its digest, or the reverse); together
// they say it whole, and the ledger knows the version of a bare digest.
func (p *pass) value(pair promotion.Pair) promotion.Value {
	var v promotion.Value
	for _, pl := range p.s.Places[pair] {
		if v.Version == "" {
			v.Version = pl.Value.Version
		}
		if v.Digest == "" {
			v.Digest = pl.Value.Digest
		}
	}
	if a := p.live[pair].Land.Record.Artifact; v.Version == "" && a != nil && a.Digest == v.Digest {
		v.Version = a.Version
	}
	return v
}

// running is what is live, with the digest that the ledger knows of a version
// that is not pinned.
func (p *pass) running(pair promotion.Pair) promotion.Value {
	v := p.value(pair)
	if a := p.live[pair].Land.Record.Artifact; v.Digest == "" && a != nil && a.Version == v.Version {
		v.Digest = a.Digest
	}
	return v
}

// agree reports whether two values can both be true of one release, and say at
// least one thing in common.
func agree(a, b promotion.Value) bool {
	if a.Digest != "" && b.Digest != "" {
		return a.Digest == b.Digest
	}
	return a.Version == b.Version && a.Version != ""
}

// disagreement says that a pair's places name different versions, or that a
// place that was there has vanished.
func (p *pass) disagreement(pair promotion.Pair) string {
	places := p.s.Places[pair]
	if problem := p.s.PlaceProblems[pair.Environment]; problem != "" {
		return problem
	}
	if len(places) == 0 {
		return fmt.Sprintf("%s named %s before and no longer does; put the place back, or take %s out of the environment's configuration", pair.Environment, pair.Artifact, pair.Artifact)
	}
	for _, pl := range places[1:] {
		if !agree(pl.Value, places[0].Value) {
			return fmt.Sprintf("%s and %s name different versions of %s (%s and %s); make them agree by hand", where(places[0]), where(pl), pair.Artifact, short(places[0].Value), short(pl.Value))
		}
	}
	return ""
}

func where(pl promotion.Place) string { return pl.Path + " (" + pl.Locator + ")" }

func short(v promotion.Value) string {
	if v.Version != "" {
		return string(v.Version)
	}
	return v.Digest.Short()
}

func (p *pass) artifact(name promotion.Artifact, v promotion.Value) *promotion.RecordArtifact {
	a := &promotion.RecordArtifact{Name: name, Version: v.Version, Digest: v.Digest}
	if spec, ok := p.s.Pipeline.Artifact(name); ok {
		a.PURL = purl(spec.Image, v)
	}
	if v.Digest != "" {
		a.SourceRepository, a.SourceCommit = p.source(name, v.Digest)
	}
	return a
}

// purl is the package URL of an image, as the purl specification's type oci has
// it.
func purl(image string, v promotion.Value) string {
	if v.Digest == "" {
		return ""
	}
	name := image[strings.LastIndexByte(image, '/')+1:]
	u := "pkg:oci/" + strings.ToLower(name) + "@" + strings.Replace(string(v.Digest), ":", "%3A", 1) + "?repository_url=" + image
	if v.Version != "" {
		u += "&tag=" + strings.ReplaceAll(string(v.Version), "+", "%2B")
	}
	return u
}

// adopted shows places as a change from nothing: what was found.
func adopted(places []promotion.Place) []promotion.PlaceChange {
	changes := make([]promotion.PlaceChange, len(places))
	for i, pl := range places {
		changes[i] = promotion.PlaceChange{Path: pl.Path, Locator: pl.Locator, After: pl.Value}
	}
	return changes
}

// barred returns the standing quarantine of a digest, as of this pass.
func (p *pass) barred(d promotion.Digest) (promotion.Record, bool) {
	if d == "" {
		return promotion.Record{}, false
	}
	if r, ok := p.bars[d]; ok && r.Kind == promotion.RecordQuarantine {
		return r, true
	}
	// Of several indexes that hold it the first by digest speaks.
	for _, index := range slices.Sorted(maps.Keys(p.bars)) {
		if r := p.bars[index]; r.Kind == promotion.RecordQuarantine && slices.Contains(r.Children, d) {
			return r, true
		}
	}
	return promotion.Record{}, false
}

// freezes are the standing freezes over a pair, widest first.
func (p *pass) freezes(pair promotion.Pair) []promotion.Bar {
	var bars []promotion.Bar
	for _, scope := range []string{"+all", string(pair.Environment), pair.String()} {
		r, ok := p.freeze[scope]
		if !ok || r.Kind != promotion.RecordFreeze || !r.Until.IsZero() && !p.s.Now.Before(r.Until) {
			continue
		}
		bars = append(bars, bar(scope, r))
	}
	return bars
}

func bar(scope string, r promotion.Record) promotion.Bar {
	return promotion.Bar{Scope: scope, Reason: r.Reason, By: r.Actor.Person, At: r.IssuedAt, Until: r.Until}
}

// pairOf is the pair whose promotion branch a pull request has, if rung has an
// open promotion there.
func (p *pass) pairOf(pr *promotion.PullRequestState) (promotion.Pair, bool) {
	name, ok := strings.CutPrefix("refs/heads/"+pr.HeadRef, promotion.PromotionBranches)
	if !ok || pr.Fork {
		return promotion.Pair{}, false
	}
	var pair promotion.Pair
	if err := pair.UnmarshalText([]byte(name)); err != nil {
		return promotion.Pair{}, false
	}
	_, active := p.active(pair)
	return pair, active
}

// active is the pair's promotion that is neither landed nor withdrawn.
func (p *pass) active(pair promotion.Pair) (promotion.LedgerEntry, bool) {
	e, ok := p.open[pair]
	return e, ok && (e.Record.Kind == promotion.RecordPropose || e.Record.Kind == promotion.RecordAuthorize)
}

// pullRequest is the pull request of a pair's open promotion: the one that its
// record names, or the newest of its branch that is younger than the promotion.
func (p *pass) pullRequest(pair promotion.Pair) *promotion.PullRequestState {
	number, after := 0, 0
	if rec := p.open[pair].Record.PullRequest; rec != nil {
		number, after = rec.Number, rec.After
	}
	var newest *promotion.PullRequestState
	for i := range p.s.PullRequests {
		pr := &p.s.PullRequests[i]
		if "refs/heads/"+pr.HeadRef != promotion.PromotionBranch(pair) || pr.Fork {
			continue
		}
		if number != 0 && pr.Number == number || number == 0 && pr.Number > after && (newest == nil || pr.Number > newest.Number) {
			newest = pr
		}
	}
	return newest
}

// lastPullRequest is the pair's newest pull request that the ledger knows.
func (p *pass) lastPullRequest(pair promotion.Pair) int {
	last := 0
	for _, r := range []promotion.Record{p.live[pair].Land.Record, p.open[pair].Record} {
		if r.PullRequest != nil {
			last = max(last, r.PullRequest.Number, r.PullRequest.After)
		}
	}
	return last
}
