package decide_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rungbot/rung/internal/command"
	"github.com/rungbot/rung/internal/decide"
	"github.com/rungbot/rung/internal/promotion"
)

var (
	begin = time.Date(2025, 6, 2, 10, 0, 0, 0, time.UTC)

	rung  = promotion.Person{ID: 99, Login: "rung[bot]", Bot: true}
	ada   = promotion.Person{ID: 1, Login: "ada"}   // may do everything
	bob   = promotion.Person{ID: 2, Login: "bob"}   // may write
	carol = promotion.Person{ID: 3, Login: "carol"} // published it
	eve   = promotion.Person{ID: 4, Login: "eve"}   // may read
)

const (
	dev     = promotion.Environment("dev")
	staging = promotion.Environment("staging")
	prod    = promotion.Environment("prod")

	checkout = promotion.Artifact("checkout")
	payments = promotion.Artifact("payments")

	appID = 7
)

func at(e promotion.Environment) promotion.Pair {
	return promotion.Pair{Environment: e, Artifact: checkout}
}

// digest is a digest that tells a version apart from others.
func digest(version string) promotion.Digest {
	sum := sha256.Sum256([]byte(version))
	return promotion.Digest("sha256:" + hex.EncodeToString(sum[:]))
}

// value is a version with its digest.
func value(version string) promotion.Value {
	return promotion.Value{Version: promotion.Version(version), Digest: digest(version)}
}

// world is a repository as observe would show it, and a model of what act and
// the forge make of a plan, so that a story can run over several passes.
type world struct {
	t     testing.TB
	s     promotion.Snapshot
	n     int // commits and statements made so far
	prs   int
	bench decide.Bench
	// merges is false when plans' merges are not carried out.
	merges bool
	// said are all comments and checks that plans asked for.
	said []promotion.Comment
	// wrote is told of each plan's records with their entries.
	wrote func(plan *promotion.Plan, records []promotion.Record, entries []promotion.LedgerEntry)
}

// newWorld has dev → staging → prod in mode merge, with checkout 1.0.0 live
// and good everywhere. Nothing is asked of a promotion but its predecessors.
func newWorld(t testing.TB, change ...func(*world)) *world {
	w := &world{t: t, prs: 10, merges: true}
	w.s = promotion.Snapshot{
		Now: begin, Repository: promotion.Repository{ID: 42, Owner: "acme", Name: "gitops", URL: "https://forge.example/acme/gitops"},
		App: rung, AppID: appID, Configured: true, ForgeRead: true,
		Rules: promotion.BranchRules{Known: true},
		Pipeline: promotion.Pipeline{
			Mode:      promotion.ModeMerge,
			Artifacts: []promotion.ArtifactSpec{{Name: checkout, Image: "ghcr.io/acme/checkout"}},
			Environments: []promotion.EnvironmentSpec{
				environment(dev), environment(staging, dev), environment(prod, staging),
			},
		},
		Base:      promotion.BaseState{Ref: "refs/heads/main", Head: hash(1), When: begin},
		Places:    map[promotion.Pair][]promotion.Place{},
		Branches:  map[string]promotion.Hash{},
		Heads:     map[promotion.Pair]promotion.HeadState{},
		Available: map[promotion.Artifact]promotion.Availability{checkout: {Releases: []promotion.Release{release("1.0.0")}}},
		Served:    map[promotion.Digest]bool{digest("1.0.0"): true},
		Refused:   map[promotion.Pair]promotion.Refusal{},
		Health:    map[promotion.Pair][]promotion.HealthReading{},
	}
	w.n = 1
	for _, e := range []promotion.Environment{dev, staging, prod} {
		w.place(at(e), value("1.0.0"))
	}
	w.start()
	for _, c := range change {
		c(w)
	}
	return w
}

func environment(name promotion.Environment, after ...promotion.Environment) promotion.EnvironmentSpec {
	return promotion.EnvironmentSpec{
		Name: name, Path: "environments/" + string(name), After: after, Supersede: promotion.SupersedeUntilApproved,
		Pin: promotion.PinDigest, ManualChanges: promotion.ManualAdopt, Method: "merge",
	}
}

func hash(n int) promotion.Hash { return blob("object", n) }

func release(version string) promotion.Release {
	return promotion.Release{Version: promotion.Version(version), Digest: digest(version), Causers: []promotion.Person{carol}, Cause: promotion.Cause{Kind: "event", ID: "delivery-" + version, At: begin}}
}

func (w *world) hash() promotion.Hash { w.n++; return hash(w.n) }

// env gives an environment's configuration, to be changed.
func (w *world) env(name promotion.Environment) *promotion.EnvironmentSpec {
	e, ok := w.s.Pipeline.Environment(name)
	if !ok {
		w.t.Fatalf("no environment %s", name)
	}
	return e
}

// place puts one place of a pair into the base.
func (w *world) place(pair promotion.Pair, v promotion.Value) {
	w.s.Places[pair] = []promotion.Place{{Path: fmt.Sprintf("environments/%s/kustomization.yaml", pair.Environment), Locator: "kustomize:0:images[0]", Value: v}}
}

// publish makes the registry serve a newer version.
func (w *world) publish(versions ...string) {
	for _, v := range versions {
		a := w.s.Available[checkout]
		a.Releases = slices.Insert(a.Releases, 0, release(v))
		w.s.Available[checkout] = a
		w.s.Served[digest(v)] = true
	}
}

// start makes the ledger with an adopt and a good settle for each pair.
func (w *world) start() {
	l := &w.s.Ledger
	*l = promotion.LedgerState{
		Tip: w.hash(), Base: w.s.Base.Head, Live: map[promotion.Pair]promotion.LiveEntry{}, History: map[promotion.Pair][]promotion.LiveEntry{},
		Open: map[promotion.Pair]promotion.LedgerEntry{}, Quarantine: map[promotion.Digest]promotion.LedgerEntry{}, Freezes: map[string]promotion.LedgerEntry{},
	}
	l.First, w.s.Pipeline.Ledger = l.Tip, l.Tip
	for pair, places := range w.s.Places {
		v := places[0].Value
		land := promotion.Record{
			Kind: promotion.RecordAdopt, Environment: pair.Environment, Artifact: &promotion.RecordArtifact{Name: pair.Artifact, Version: v.Version, Digest: v.Digest},
			Actor: promotion.Actor{Kind: "rung", Person: rung}, Cause: promotion.Cause{Kind: "configuration", At: begin}, IssuedAt: begin,
			Base: promotion.RecordBase{Ref: w.s.Base.Ref, Judged: w.s.Base.Head}, Places: found(places), Reason: "found at onboarding",
		}
		settle := land
		settle.Kind, settle.Outcome = promotion.RecordSettle, promotion.SettledGood
		l.Live[pair] = promotion.LiveEntry{Land: w.entry(land), Settle: ptr(w.entry(settle))}
	}
}

// found are places as they were found.
func found(places []promotion.Place) []promotion.PlaceChange {
	var changes []promotion.PlaceChange
	for _, pl := range places {
		changes = append(changes, promotion.PlaceChange{Path: pl.Path, Locator: pl.Locator, After: pl.Value})
	}
	return changes
}

func ptr[T any](v T) *T { return &v }

func (w *world) entry(r promotion.Record) promotion.LedgerEntry {
	return promotion.LedgerEntry{Record: r, Statement: string(digest(string(w.hash()))), Blob: w.hash()}
}

// decide decides twice over the same snapshot: both plans must be equal.
func (w *world) decide() promotion.Plan {
	w.t.Helper()
	plan := decide.Decide(&w.s, w.bench.Judges(&w.s))
	var again decide.Bench
	if a, b := w.json(plan), w.json(decide.Decide(&w.s, again.Judges(&w.s))); a != b {
		w.t.Fatalf("two plans for one snapshot:\n%s\n%s", a, b)
	}
	return plan
}

func (w *world) json(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		w.t.Fatal(err)
	}
	return string(data)
}

// step decides and carries the plan out.
func (w *world) step() promotion.Plan {
	w.t.Helper()
	plan := w.decide()
	w.carryOut(&plan)
	return plan
}

// settled steps until a pass changes nothing, and returns the last plan.
func (w *world) settled() promotion.Plan {
	w.t.Helper()
	for range 60 {
		before := w.mark()
		plan := w.step()
		if w.mark() == before {
			return plan
		}
		w.s.Now = w.s.Now.Add(time.Second)
	}
	w.t.Fatalf("the passes never come to rest; the last records are %v", kinds(w.decide().Records))
	return promotion.Plan{}
}

// mark changes whenever anything in the world does.
func (w *world) mark() [3]int { return [3]int{w.n, w.prs, len(w.s.Branches)} }

// carryOut is what act, git and the forge make of a plan.
func (w *world) carryOut(plan *promotion.Plan) {
	w.t.Helper()
	w.s.Commands = nil
	w.said = append(w.said, plan.Comments...)
	entries := w.append(plan)
	for _, b := range plan.Builds {
		ref := promotion.PromotionBranch(b.Pair)
		if w.s.Branches[ref] != b.Old {
			w.t.Fatalf("%s stands at %q, the plan thinks at %q", ref, w.s.Branches[ref], b.Old)
		}
		head := w.hash()
		w.s.Branches[ref] = head
		w.s.Heads[b.Pair] = promotion.HeadState{Commit: head, Tree: w.hash(), Parents: []promotion.Hash{b.Base}, Ours: true, Ledger: w.s.Ledger.Tip}
		w.moved(ref, head)
	}
	for ref, old := range plan.Deletes {
		if w.s.Branches[ref] != old {
			w.t.Fatalf("%s stands at %q, the plan deletes it at %q", ref, w.s.Branches[ref], old)
		}
		delete(w.s.Branches, ref)
		for i := range w.s.PullRequests {
			if pr := &w.s.PullRequests[i]; "refs/heads/"+pr.HeadRef == ref && pr.State == "open" {
				pr.State, pr.ClosedBy = "closed", rung
			}
		}
	}
	for _, n := range plan.Reopens {
		w.pr(n).State = "open"
	}
	for _, o := range plan.Opens {
		taken := slices.ContainsFunc(w.s.PullRequests, func(pr promotion.PullRequestState) bool {
			return pr.State == "open" && "refs/heads/"+pr.HeadRef == o.Branch // the forge opens no second one
		})
		if o.Number == 0 && !taken {
			w.prs++
			w.s.PullRequests = append(w.s.PullRequests, promotion.PullRequestState{
				Number: w.prs, Title: o.Title, State: "open", HeadRef: strings.TrimPrefix(o.Branch, "refs/heads/"), Head: w.s.Branches[o.Branch],
				Mergeable: "mergeable", Author: rung, ChecksComplete: true, URL: fmt.Sprintf("https://forge.example/acme/gitops/pull/%d", w.prs),
			})
		}
	}
	for _, c := range plan.Checks {
		for i := range w.s.PullRequests {
			pr := &w.s.PullRequests[i]
			if pr.Number == c.PullRequest || c.Pair != (promotion.Pair{}) && "refs/heads/"+pr.HeadRef == promotion.PromotionBranch(c.Pair) && pr.State == "open" {
				c.Summary = strings.ReplaceAll(c.Summary, "{{head}}", pr.Head.Short()) // as act does
				pr.Check = &promotion.OwnCheck{ID: int64(w.n), Head: pr.Head, Conclusion: c.Conclusion, Fingerprint: c.Fingerprint()}
			}
		}
	}
	if w.merges {
		for _, m := range plan.Merges {
			if entries[m.Record].Record.Kind != promotion.RecordAuthorize {
				w.t.Fatalf("a merge rests on a %s record", entries[m.Record].Record.Kind)
			}
			w.merge(m.Pair, "merge", rung)
		}
	}
}

// moved shows a branch's new head on its open pull request.
func (w *world) moved(ref string, head promotion.Hash) {
	for i := range w.s.PullRequests {
		if pr := &w.s.PullRequests[i]; "refs/heads/"+pr.HeadRef == ref && pr.State == "open" {
			pr.Head, pr.Mergeable = head, "mergeable"
		}
	}
}

// append is what the ledger makes of a plan's records.
func (w *world) append(plan *promotion.Plan) []promotion.LedgerEntry {
	l := &w.s.Ledger
	if plan.StartLedger {
		w.start()
		clear(l.Live)
		w.s.Pipeline.Ledger = ""
	}
	var entries []promotion.LedgerEntry
	resolve := func(ref string) string {
		if n := 0; strings.HasPrefix(ref, "#") {
			if _, err := fmt.Sscanf(ref, "#%d", &n); err != nil || n >= len(entries) {
				w.t.Fatalf("a record cites %s of %d", ref, len(entries))
			}
			return entries[n].Statement
		}
		return ref
	}
	records := slices.Clone(plan.Records)
	for _, b := range plan.Builds {
		built(&records[b.Record])
	}
	for _, r := range records {
		w.shaped(r)
		if r.From != nil {
			r.From = &promotion.RecordFrom{Environment: r.From.Environment, Statement: resolve(r.From.Statement)}
		}
		r.Restores, r.Reverts = resolve(r.Restores), resolve(r.Reverts)
		r.Announced = resolve(r.Announced)
		e := w.entry(r)
		entries = append(entries, e)
		w.keep(r, e)
	}
	if len(plan.Records) > 0 || plan.StartLedger {
		l.Tip, l.IssuedAt = w.hash(), w.s.Now
		if plan.Base != "" {
			l.Base, w.s.Base.Changes = plan.Base, nil
		}
	}
	if w.wrote != nil {
		w.wrote(plan, records, entries)
	}
	return entries
}

// built is what act adds to a propose: the files' blobs and the tree.
func built(r *promotion.Record) {
	r.Files = files(r.Places)
	pr := promotion.RecordPullRequest{}
	if r.PullRequest != nil {
		pr = *r.PullRequest
	}
	pr.Tree = blob("tree", r.Files)
	r.PullRequest = &pr
}

// files are the blobs of the files that changes are in.
func files(changes []promotion.PlaceChange) []promotion.RecordFile {
	var all []promotion.RecordFile
	for _, c := range changes {
		all = append(all, promotion.RecordFile{Path: c.Path, Before: blob(c.Path, c.Before), After: blob(c.Path, c.After)})
	}
	return all
}

// blob is an object id that stands for some contents.
func blob(contents ...any) promotion.Hash {
	sum := sha256.Sum256(fmt.Append(nil, contents...))
	return promotion.Hash(hex.EncodeToString(sum[:20]))
}

func (w *world) keep(r promotion.Record, e promotion.LedgerEntry) {
	l, pair := &w.s.Ledger, promotion.Pair{Environment: r.Environment}
	if r.Artifact != nil {
		pair.Artifact = r.Artifact.Name
	}
	switch r.Kind {
	case promotion.RecordLand, promotion.RecordAdopt:
		if r.Artifact == nil {
			return
		}
		if before, there := l.Live[pair]; there {
			l.History[pair] = slices.Insert(l.History[pair], 0, before)
		}
		l.Live[pair] = promotion.LiveEntry{Land: e}
		if r.Kind == promotion.RecordLand {
			delete(l.Open, pair)
		}
	case promotion.RecordSettle:
		live := l.Live[pair]
		live.Settle = &e
		l.Live[pair] = live
	case promotion.RecordPropose, promotion.RecordAuthorize, promotion.RecordWithdraw:
		l.Open[pair] = e
	case promotion.RecordQuarantine, promotion.RecordUnquarantine:
		l.Quarantine[r.Digest] = e
	case promotion.RecordFreeze, promotion.RecordUnfreeze:
		l.Freezes[r.Scope] = e
	case promotion.RecordAnnounce:
		if l.Announced == nil {
			l.Announced = map[promotion.Artifact][]promotion.LedgerEntry{}
		}
		same := func(old promotion.LedgerEntry) bool { return old.Record.Artifact.Version == r.Artifact.Version }
		l.Announced[r.Artifact.Name] = append(slices.DeleteFunc(l.Announced[r.Artifact.Name], same), e)
	}
}

// pr finds a pull request by number.
func (w *world) pr(number int) *promotion.PullRequestState {
	w.t.Helper()
	for i := range w.s.PullRequests {
		if w.s.PullRequests[i].Number == number {
			return &w.s.PullRequests[i]
		}
	}
	w.t.Fatalf("there is no pull request %d", number)
	return nil
}

// openPR is the open pull request of a pair.
func (w *world) openPR(pair promotion.Pair) *promotion.PullRequestState {
	w.t.Helper()
	for i := range w.s.PullRequests {
		if pr := &w.s.PullRequests[i]; pr.State == "open" && "refs/heads/"+pr.HeadRef == promotion.PromotionBranch(pair) {
			return pr
		}
	}
	w.t.Fatalf("%s has no open pull request; the pairs are %s", pair, w.json(w.decide().Pairs))
	return nil
}

// merge brings a pair's promotion to the base branch.
func (w *world) merge(pair promotion.Pair, method string, by promotion.Person) promotion.Hash {
	w.t.Helper()
	pr, head := w.openPR(pair), w.s.Heads[pair]
	places := w.s.Ledger.Open[pair].Record.Places
	c := promotion.BaseChange{
		Commit: w.hash(), Parents: []promotion.Hash{w.s.Base.Head}, When: w.s.Now, Places: map[promotion.Pair][]promotion.PlaceChange{pair: places},
		Files: map[promotion.Pair][]promotion.RecordFile{pair: files(places)}, Environments: []promotion.Environment{pair.Environment}, Exact: map[promotion.Pair]bool{pair: true}, PullRequest: pr.Number, MergedBy: by,
	}
	switch method {
	case "merge":
		c.Parents = append(c.Parents, head.Commit)
	case "fast-forward":
		c.Commit = head.Commit
	}
	w.s.Base.Changes = append(w.s.Base.Changes, c)
	w.s.Base.Head, w.s.Base.When = c.Commit, w.s.Now
	for i, p := range places {
		w.s.Places[pair][i].Value = p.After
	}
	pr.State, pr.MergedBy, pr.MergeCommit = "merged", by, c.Commit
	return c.Commit
}

// change puts another version into a pair's places by hand.
func (w *world) change(pair promotion.Pair, v promotion.Value, by promotion.Person) *promotion.BaseChange {
	var places []promotion.PlaceChange
	for i, p := range w.s.Places[pair] {
		places = append(places, promotion.PlaceChange{Path: p.Path, Locator: p.Locator, Before: p.Value, After: v})
		w.s.Places[pair][i].Value = v
	}
	return w.commit(promotion.BaseChange{
		Places: map[promotion.Pair][]promotion.PlaceChange{pair: places}, Files: map[promotion.Pair][]promotion.RecordFile{pair: files(places)},
		Environments: []promotion.Environment{pair.Environment}, MergedBy: by,
	})
}

// commit adds a commit to the base branch.
func (w *world) commit(c promotion.BaseChange) *promotion.BaseChange {
	c.Commit, c.Parents, c.When = w.hash(), []promotion.Hash{w.s.Base.Head}, w.s.Now
	w.s.Base.Changes = append(w.s.Base.Changes, c)
	w.s.Base.Head, w.s.Base.When = c.Commit, w.s.Now
	return &w.s.Base.Changes[len(w.s.Base.Changes)-1]
}

// climb lets a version climb until the passes come to rest.
func (w *world) climb(version string) {
	w.t.Helper()
	w.publish(version)
	w.settled()
}

// say adds a command, with what its author may do.
func (w *world) say(id int64, by promotion.Person, pull int, line string) *promotion.Command {
	w.t.Helper()
	c, ok := command.Parse(line)
	if !ok {
		w.t.Fatalf("%q is no command", line)
	}
	c.Comment, c.At, c.Author, c.PullRequest = id, w.s.Now, by, pull
	c.Access = promotion.Access{Permission: map[promotion.Person]string{ada: "admin", bob: "write", carol: "write", eve: "read"}[by]}
	c.Subject = w.subject(pull)
	w.s.Commands = append(w.s.Commands, c)
	return &w.s.Commands[len(w.s.Commands)-1]
}

// subject is what observe says of a pull request that a command was said on.
func (w *world) subject(pull int) *promotion.CommandSubject {
	if pull == 0 {
		return nil
	}
	about := func(pair promotion.Pair, r promotion.Record, landed bool) *promotion.CommandSubject {
		return &promotion.CommandSubject{Pair: pair, Version: r.Artifact.Version, Digest: r.Artifact.Digest, Landed: landed, Causers: r.Causers}
	}
	for _, pair := range slices.SortedFunc(maps.Keys(w.s.Places), func(a, b promotion.Pair) int { return strings.Compare(a.String(), b.String()) }) {
		e, open := w.s.Ledger.Open[pair]
		for _, pr := range w.s.PullRequests {
			if open && pr.Number == pull && "refs/heads/"+pr.HeadRef == promotion.PromotionBranch(pair) && pr.State != "merged" {
				return about(pair, e.Record, false)
			}
		}
		for _, l := range append([]promotion.LiveEntry{w.s.Ledger.Live[pair]}, w.s.Ledger.History[pair]...) {
			if r := l.Land.Record; r.PullRequest != nil && r.PullRequest.Number == pull && r.Kind == promotion.RecordLand {
				return about(pair, r, true)
			}
		}
	}
	return nil
}

// approve adds an approving review of somebody with write.
func (w *world) approve(pair promotion.Pair, by promotion.Person) {
	pr := w.openPR(pair)
	pr.Reviews = append(pr.Reviews, promotion.ReviewFacts{ID: int64(w.n), Author: by, State: "approved", Commit: pr.Head, At: w.s.Now, Access: &promotion.Access{Permission: "write"}})
}

// kinds are the kinds of records with what they are about.
func kinds(records []promotion.Record) []string {
	var out []string
	for _, r := range records {
		s := string(r.Kind)
		switch {
		case r.Artifact != nil:
			s += fmt.Sprintf(" %s/%s %s", r.Environment, r.Artifact.Name, r.Artifact.Version)
		case r.Digest != "":
			s += " " + r.Digest.Short()
		case r.Scope != "":
			s += " " + r.Scope
		}
		if r.Kind == promotion.RecordWithdraw || r.Kind == promotion.RecordSettle {
			s += " " + r.Outcome + map[bool]string{true: r.Reason}[r.Kind == promotion.RecordWithdraw]
		}
		out = append(out, s)
	}
	return out
}

func (w *world) wantRecords(plan promotion.Plan, want ...string) {
	w.t.Helper()
	if got := kinds(plan.Records); !slices.Equal(got, want) {
		w.t.Errorf("records are\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

// wantLive says what stands where.
func (w *world) wantLive(pair promotion.Pair, version string) {
	w.t.Helper()
	if got := w.s.Places[pair][0].Value; got.Version != promotion.Version(version) {
		w.t.Errorf("%s runs %s, want %s", pair, got.Version, version)
	}
}

// state is a pair as a plan shows it.
func (w *world) state(plan promotion.Plan, pair promotion.Pair) promotion.PairState {
	w.t.Helper()
	var found *promotion.PairState
	for i := range plan.Pairs {
		if plan.Pairs[i].Pair == pair {
			if found != nil {
				w.t.Errorf("%s is shown twice: %q and %q", pair, found.Sentence, plan.Pairs[i].Sentence)
			}
			found = &plan.Pairs[i]
		}
	}
	if found == nil {
		w.t.Fatalf("%s is not shown", pair)
	}
	return *found
}

// wantState says what a pair's phase and sentence are; the sentence is matched
// in part.
func (w *world) wantState(plan promotion.Plan, pair promotion.Pair, phase, sentence string) {
	w.t.Helper()
	st := w.state(plan, pair)
	if st.Phase != phase || !strings.Contains(st.Sentence, sentence) {
		w.t.Errorf("%s is %q: %q; want %q: %q", pair, st.Phase, st.Sentence, phase, sentence)
	}
}

// check is the check run that a plan writes for a pull request or pair.
func check(plan promotion.Plan, number int, pair promotion.Pair) *promotion.Check {
	for i := range plan.Checks {
		if c := &plan.Checks[i]; number != 0 && c.PullRequest == number || number == 0 && c.Pair == pair {
			return c
		}
	}
	return nil
}

// changesNothing says that a plan writes nothing but answers.
func (w *world) changesNothing(plan promotion.Plan) {
	w.t.Helper()
	if len(plan.Records)+len(plan.Builds)+len(plan.Deletes)+len(plan.Opens)+len(plan.Merges)+len(plan.Reopens) > 0 || plan.StartLedger || plan.Onboard {
		w.t.Errorf("the plan changes something: records %v, %d builds, deletes %v, %d opens, %d merges", kinds(plan.Records), len(plan.Builds), plan.Deletes, len(plan.Opens), len(plan.Merges))
	}
}
