package report

import (
	"fmt"
	"slices"
	"time"

	"github.com/rungbot/rung/internal/audit"
	"github.com/rungbot/rung/internal/ledger"
	"github.com/rungbot/rung/internal/promotion"
)

// How a release came about.
const (
	Promoted   = "promotion"
	RolledBack = "rollback"
	// PutBack: rung took a change by hand back, as rung.yaml asks.
	PutBack = "revert"
	// ByHand: people changed the version themselves, and rung recorded it.
	ByHand = "by hand"
	// Found: it was there when the ledger began, or when it came into rung.yaml.
	Found = "found"
)

// Release is one time that a version became live in an environment. Times are
// UTC, as the records say them; a zero time means that there is no such record.
type Release struct {
	Environment promotion.Environment `json:"environment"`
	Artifact    promotion.Artifact    `json:"artifact"`
	Before      promotion.Value       `json:"before,omitzero"`
	After       promotion.Value       `json:"after"`
	PURL        string                `json:"purl,omitempty"`
	// Announced is who published the version, where an event told of it.
	Announced *Announcement `json:"announced,omitempty"`
	// How is promotion, rollback, revert, by hand or found.
	How string `json:"how"`
	// From is the environment that the version climbed from.
	From promotion.Environment `json:"from,omitempty"`
	// Restores is the statement of the release that a rollback or a revert
	// brings back, Reverts that of the change by hand which a revert takes back.
	Restores string `json:"restores,omitempty"`
	Reverts  string `json:"reverts,omitempty"`
	// Places are where the version stands, each with what stood there before.
	Places []promotion.PlaceChange `json:"places"`
	// Why is a person's reason, or what brought it about.
	Why        string    `json:"why,omitempty"`
	Proposed   time.Time `json:"proposed,omitzero"`
	Authorized time.Time `json:"authorized,omitzero"`
	Landed     time.Time `json:"landed"`
	// Replaced is when another release took its place.
	Replaced time.Time `json:"replaced,omitzero"`
	// Causers are the logins of who made it happen; they can't approve it.
	Causers   []string                   `json:"causers"`
	Approvals []promotion.RecordApproval `json:"approvals"`
	Gates     []promotion.RecordGate     `json:"gates"`
	Policies  []promotion.RecordPolicy   `json:"policies"`
	// Unmet are the gates that did not pass when it was merged.
	Unmet []string `json:"unmet"`
	// Answer is what became of a change by hand.
	Answer      *Answer `json:"answer,omitempty"`
	PullRequest int     `json:"pullRequest,omitempty"`
	// MergedBy is rung, a login, or empty where nobody knows.
	MergedBy string         `json:"mergedBy,omitempty"`
	Method   string         `json:"method,omitempty"`
	Commit   promotion.Hash `json:"commit,omitempty"`
	// Ledger is the ledger commit with its land or adopt record, and Statement
	// that record's payload digest.
	Ledger    promotion.Hash `json:"ledger"`
	Statement string         `json:"statement"`
	// Outcome is good, bad, inconclusive, or empty while it is not settled.
	Outcome       string    `json:"outcome,omitempty"`
	Settled       time.Time `json:"settled,omitzero"`
	OutcomeReason string    `json:"outcomeReason,omitempty"`

	causers []promotion.Person
}

// Answer is what became of a change by hand. Without any field but Rule nobody has
// answered.
type Answer struct {
	// Rule is what rung.yaml said about such changes: adopt, hold or revert.
	Rule promotion.ManualChanges `json:"rule,omitempty"`
	// Adopted is when somebody took responsibility for it with /adopt.
	Adopted time.Time `json:"adopted,omitzero"`
	By      string    `json:"by,omitempty"`
	Reason  string    `json:"reason,omitempty"`
	// PutBack is when rung's pull request that takes it back landed.
	PutBack time.Time `json:"putBack,omitzero"`
}

// SelfApproved are the logins of those who approved what they had caused; rung
// counts no such approval, so that there is one only if it was recorded wrongly.
func (r *Release) SelfApproved() []string {
	var all []string
	for _, a := range r.Approvals {
		if slices.ContainsFunc(r.causers, func(p promotion.Person) bool { return p.ID != 0 && p.ID == a.ID || p.Login != "" && p.Login == a.Login }) {
			all = append(all, a.Login)
		}
	}
	return all
}

// Attempt is a promotion that was withdrawn.
type Attempt struct {
	Environment promotion.Environment `json:"environment"`
	Artifact    promotion.Artifact    `json:"artifact"`
	Value       promotion.Value       `json:"value"`
	Proposed    time.Time             `json:"proposed,omitzero"`
	Withdrawn   time.Time             `json:"withdrawn"`
	Reason      string                `json:"reason,omitempty"`
	By          string                `json:"by,omitempty"`
	PullRequest int                   `json:"pullRequest,omitempty"`
	// Announced is who published the version, where an event told of it.
	Announced *Announcement  `json:"announced,omitempty"`
	Ledger    promotion.Hash `json:"ledger"`
}

// Event is a record that is about no single release: a quarantine, a freeze, a
// change of keys, a range of configuration, each with who and why.
type Event struct {
	Kind    promotion.RecordKind `json:"kind"`
	At      time.Time            `json:"at"`
	Subject string               `json:"subject"`
	By      string               `json:"by,omitempty"`
	Reason  string               `json:"reason,omitempty"`
	Until   time.Time            `json:"until,omitzero"`
	Ledger  promotion.Hash       `json:"ledger"`

	scope promotion.Environment
}

// Reader folds records into releases. Its zero value is ready.
type Reader struct {
	// Releases, Attempts, Events and Announced are in the order of the ledger.
	Releases  []*Release
	Attempts  []Attempt
	Events    []Event
	Announced []*Announcement
	// Repository is where the records say that they belong.
	Repository string

	open map[promotion.Pair]*underway
	live map[promotion.Pair]*Release
	// statements are the announcements by the digest that records cite.
	statements map[string]*Announcement
	// began is the time of the ledger's first record.
	began time.Time
}

// underway is a promotion between its propose and its end.
type underway struct {
	propose, authorize promotion.Record
}

// Read takes the next record. It is what audit.Options.Each wants.
func (r *Reader) Read(e audit.Entry) {
	if e.Doubted {
		return
	}
	if r.open == nil {
		r.open, r.live, r.began = map[promotion.Pair]*underway{}, map[promotion.Pair]*Release{}, e.Record.IssuedAt
		r.statements = map[string]*Announcement{}
	}
	rec := e.Record
	r.Repository = rec.Repository.URI
	pair := ledger.PairOf(rec)
	switch rec.Kind {
	case promotion.RecordPropose:
		if was := r.open[pair]; was != nil && was.propose.Promotion == rec.Promotion {
			rec.IssuedAt = was.propose.IssuedAt // said again, with another causer
		}
		r.open[pair] = &underway{propose: rec}
	case promotion.RecordAuthorize:
		if was := r.open[pair]; was != nil {
			was.authorize = rec
		}
	case promotion.RecordWithdraw:
		r.withdraw(e, pair)
	case promotion.RecordLand:
		r.land(e, pair)
	case promotion.RecordAdopt:
		if rec.Artifact == nil {
			r.event(e, "configuration "+rangeWords(rec.Range), "")
			return
		}
		r.adopt(e, pair)
	case promotion.RecordSettle:
		if is := r.live[pair]; is != nil {
			is.Outcome, is.Settled, is.OutcomeReason = rec.Outcome, rec.IssuedAt, rec.Reason
		}
	case promotion.RecordQuarantine, promotion.RecordUnquarantine:
		r.event(e, string(rec.Digest), "")
	case promotion.RecordFreeze, promotion.RecordUnfreeze:
		env, _, _ := cutScope(rec.Scope)
		r.event(e, rec.Scope, env)
	case promotion.RecordRotate:
		r.event(e, keysWords(rec), "")
	case promotion.RecordAnnounce:
		r.announce(e)
	}
}

func (r *Reader) event(e audit.Entry, subject string, scope promotion.Environment) {
	r.Events = append(r.Events, Event{
		Kind: e.Record.Kind, At: e.Record.IssuedAt, Subject: subject, By: who(e.Record.Actor), Reason: e.Record.Reason,
		Until: e.Record.Until, Ledger: e.Ledger, scope: scope,
	})
}

func (r *Reader) withdraw(e audit.Entry, pair promotion.Pair) {
	a := Attempt{
		Environment: pair.Environment, Artifact: pair.Artifact, Withdrawn: e.Record.IssuedAt, Reason: e.Record.Reason,
		By: who(e.Record.Actor), Ledger: e.Ledger, PullRequest: number(e.Record),
	}
	if e.Record.Artifact != nil {
		a.Value = promotion.Value{Version: e.Record.Artifact.Version, Digest: e.Record.Artifact.Digest}
	}
	if was := r.open[pair]; was != nil {
		a.Proposed, a.Announced = was.propose.IssuedAt, r.statements[was.propose.Announced]
		a.PullRequest = max(a.PullRequest, number(was.authorize), number(was.propose))
	}
	delete(r.open, pair)
	r.Attempts = append(r.Attempts, a)
}

func (r *Reader) land(e audit.Entry, pair promotion.Pair) {
	is := r.release(e, pair, Promoted)
	if e.Record.Restores != "" {
		is.How = RolledBack
	}
	if e.Record.Reverts != "" {
		is.How = PutBack
		for _, changed := range r.Releases {
			if changed.Statement == e.Record.Reverts && changed.Answer != nil {
				changed.Answer.PutBack = is.Landed
			}
		}
	}
	if was := r.open[pair]; was != nil {
		is.Proposed, is.Authorized = was.propose.IssuedAt, was.authorize.IssuedAt
		is.PullRequest = max(is.PullRequest, number(was.authorize))
		is.Why = firstOf(e.Record.Reason, was.propose.Reason, causeWords(was.propose.Cause), is.Why)
		if len(is.Causers) == 0 {
			is.causers, is.Causers = was.propose.Causers, logins(was.propose.Causers)
		}
		if len(is.Approvals) == 0 {
			is.Approvals = list(was.authorize.Approvals)
		}
		if len(is.Gates) == 0 {
			is.Gates = list(was.authorize.Gates)
		}
		if len(is.Policies) == 0 {
			is.Policies = list(was.authorize.Policies)
		}
	}
	delete(r.open, pair)
}

func (r *Reader) adopt(e audit.Entry, pair promotion.Pair) {
	rec := &e.Record
	if rec.Landed == nil {
		r.release(e, pair, Found)
		return
	}
	if was := r.live[pair]; was != nil && was.How == ByHand && rec.Cause.Kind == "comment" && was.Commit == rec.Landed.Commit {
		was.Answer.Adopted, was.Answer.By, was.Answer.Reason = rec.IssuedAt, who(rec.Actor), rec.Reason // no other version
		return
	}
	r.release(e, pair, ByHand).Answer = &Answer{Rule: rec.ManualChanges}
}

// release adds what a land or an adopt says by itself.
func (r *Reader) release(e audit.Entry, pair promotion.Pair, how string) *Release {
	rec := &e.Record
	is := &Release{
		Environment: pair.Environment, Artifact: pair.Artifact, How: how, Restores: rec.Restores, Reverts: rec.Reverts, Places: list(rec.Places), Why: firstOf(rec.Reason, causeWords(rec.Cause)),
		After: promotion.Value{Version: rec.Artifact.Version, Digest: rec.Artifact.Digest}, PURL: rec.Artifact.PURL, Announced: r.statements[rec.Announced],
		Landed: rec.IssuedAt, Causers: logins(rec.Causers), causers: rec.Causers, Approvals: list(rec.Approvals), Gates: list(rec.Gates),
		Policies: list(rec.Policies), Unmet: []string{}, PullRequest: number(*rec), MergedBy: who(rec.Actor), Ledger: e.Ledger, Statement: e.Statement,
	}
	if rec.From != nil {
		is.From = rec.From.Environment
	}
	if how == Found {
		is.MergedBy = ""
	}
	if l := rec.Landed; l != nil {
		is.Commit, is.Method, is.Unmet = l.Commit, l.Method, list(l.Unmet)
	}
	if was := r.live[pair]; was != nil {
		is.Before, was.Replaced = was.After, is.Landed
	} else if len(rec.Places) > 0 {
		is.Before = rec.Places[0].Before
	}
	r.live[pair] = is
	r.Releases = append(r.Releases, is)
	return is
}

func list[T any](all []T) []T {
	if all == nil {
		return []T{}
	}
	return all
}

func number(r promotion.Record) int {
	if r.PullRequest == nil {
		return 0
	}
	return r.PullRequest.Number
}

func logins(people []promotion.Person) []string {
	all := make([]string, 0, len(people))
	for _, p := range people {
		all = append(all, p.Login)
	}
	return all
}

// who is an actor's login, rung for rung itself, or empty.
func who(a promotion.Actor) string {
	if a.Kind == "rung" {
		return "rung"
	}
	return a.Login
}

func causeWords(c promotion.Cause) string {
	if c.Kind == "" {
		return ""
	}
	if c.ID == "" {
		return c.Kind
	}
	return c.Kind + " " + c.ID
}

// keysWords say which trust list a rotate record puts in force, and whose trust it
// takes back.
func keysWords(r promotion.Record) string {
	if r.Trust == nil {
		return "the keys that may sign"
	}
	words := fmt.Sprintf("the keys that may sign, list %d", r.Trust.Serial)
	for _, v := range r.Trust.Revoked {
		words += fmt.Sprintf("; revoked %s after %s", v.Key, v.After.Short())
		if v.Reason != "" {
			words += " (" + v.Reason + ")"
		}
	}
	return words
}

func rangeWords(r *promotion.RecordRange) string {
	if r == nil {
		return ""
	}
	if r.From == "" {
		return "up to " + string(r.To)
	}
	return string(r.From) + ".." + string(r.To)
}

func firstOf(all ...string) string {
	for _, s := range all {
		if s != "" {
			return s
		}
	}
	return ""
}
