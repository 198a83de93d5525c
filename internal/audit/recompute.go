package audit

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rungbot/rung/internal/gate"
	"github.com/rungbot/rung/internal/gate/approval"
	"github.com/rungbot/rung/internal/gate/health"
	"github.com/rungbot/rung/internal/gate/policy"
	"github.com/rungbot/rung/internal/ledger"
	"github.com/rungbot/rung/internal/progress"
	"github.com/rungbot/rung/internal/promotion"
)

// Recomputed counts the judgements that were judged again: authorizes, lands that
// were judged anew, and settles. A land that repeats the verdicts of its authorize
// is compared with that instead.
type Recomputed struct {
	// Same came out as they were recorded.
	Same int `json:"same"`
	// Differ did not; each is a finding.
	Differ int `json:"differ"`
	// NotKept are those whose record kept no facts: it is from before records
	// did, or the facts were too large and stand there by their digest.
	NotKept int `json:"notKept"`
	// NotJudged kept facts of a version that this rung doesn't judge.
	NotJudged int `json:"notJudged"`
}

// String is the count in a line.
func (r Recomputed) String() string {
	text := fmt.Sprintf("judged again: %d the same, %d otherwise", r.Same, r.Differ)
	if r.NotKept > 0 {
		text += fmt.Sprintf(", %d not kept", r.NotKept)
	}
	if r.NotJudged > 0 {
		text += fmt.Sprintf(", %d of another version of the facts: use a newer rung", r.NotJudged)
	}
	return text
}

// judgement is a record that says what gates said, with what stood in the ledger
// when it was written.
type judgement struct {
	*recorded
	// frozen are the freezes over its pair.
	frozen []promotion.Record
	// settled are the outcomes of the digest so far, by environment.
	settled map[promotion.Environment]string
	// landed is when the settled release landed.
	landed time.Time
}

// witness remembers what a judgement is held to.
func (l *ledgerWalk) witness(r *recorded) {
	rec := &r.Record
	if !l.options.Recompute || rec.Artifact == nil {
		return
	}
	if rec.Kind == promotion.RecordSettle {
		key := rec.Artifact.Name
		if l.outcomes[key] == nil {
			l.outcomes[key] = map[promotion.Digest]map[promotion.Environment]string{}
		}
		if l.outcomes[key][rec.Artifact.Digest] == nil {
			l.outcomes[key][rec.Artifact.Digest] = map[promotion.Environment]string{}
		}
		l.outcomes[key][rec.Artifact.Digest][rec.Environment] = rec.Outcome
	}
	j := judgement{recorded: r}
	switch {
	case rec.Kind == promotion.RecordSettle:
		if live := l.files[r.path]; live != nil && len(live.entries) > 0 {
			j.landed = live.entries[0].Record.IssuedAt
		}
	case rec.Kind == promotion.RecordAuthorize, rec.Kind == promotion.RecordLand && rec.Authorized == "":
		j.settled = map[promotion.Environment]string{}
		for env, outcome := range l.outcomes[rec.Artifact.Name][rec.Artifact.Digest] {
			j.settled[env] = outcome
		}
		for _, scope := range []string{"+all", string(rec.Environment), r.pair().String()} {
			if f := l.files[ledger.FreezePath(scope)].newest(); f != nil && f.Record.Kind == promotion.RecordFreeze {
				j.frozen = append(j.frozen, f.Record)
			}
		}
	default:
		return
	}
	l.judgements = append(l.judgements, j)
}

// recompute judges again what records kept the facts of, by the configuration and
// the policies of the base commit that they were judged at.
func (b *baseWalk) recompute(ctx context.Context) error {
	if !b.options.Recompute {
		return nil
	}
	count := &Recomputed{}
	b.report.Recomputed = count
	judging := progress.Begin(ctx, "judging again", "records", len(b.ledger.judgements))
	for _, j := range b.ledger.judgements {
		if err := ctx.Err(); err != nil {
			return err
		}
		judging.Add(1)
		rec := &j.Record
		switch {
		case rec.Kind == promotion.RecordSettle && rec.Window == nil, rec.Kind != promotion.RecordSettle && rec.Facts == nil:
			count.NotKept++
			continue
		case rec.Facts != nil && rec.Facts.Version != promotion.FactsVersion:
			count.NotJudged++
			continue
		}
		expected, found, err := b.again(j)
		if err != nil {
			return err
		}
		if found == "" {
			count.Same++
			continue
		}
		count.Differ++
		b.find(Finding{
			Code: VerdictMismatch, Object: j.commit.String() + ":" + j.path, Environment: rec.Environment, Artifact: j.pair().Artifact,
			Expected: clip(expected), Found: clip(found),
		})
	}
	return nil
}

// again judges one record again. An empty found means that it comes out the same.
func (b *baseWalk) again(j judgement) (expected, found string, err error) {
	rec := &j.Record
	id, ok := parseOID(rec.Base.Judged)
	if _, there := b.parents[id]; !ok || !there {
		return "judged at a commit of the base branch", "judged at " + string(rec.Base.Judged), nil
	}
	c, p, err := b.configured(id)
	if err != nil {
		return "", "", err
	}
	if p == nil {
		return "a rung.yaml where it was judged", "none that can be used", nil
	}
	env, known := p.Environment(rec.Environment)
	spec, named := p.Artifact(j.pair().Artifact)
	switch {
	case !known || !named:
		return "an environment and an artifact that rung.yaml has where it was judged", j.pair().String(), nil
	case rec.Kind == promotion.RecordSettle:
		expected, found = settledAgain(j, env)
		return expected, found, nil
	}
	if expected, found = j.witnessed(); found != "" {
		return expected, found, nil
	}
	set, err := b.policiesAt(c.tree, env)
	if err != nil {
		return "", "", err
	}
	panel := gate.Panel{Policy: set.Judge, Approval: approval.Judge, App: rec.Repository.App}
	expected, found = compare(rec, panel.Judge(rec.Restore(p.Mode, p.Commits, *env, spec.Image)))
	return expected, found, nil
}

// policiesAt compiles the policies that an environment binds, as a tree has them.
func (b *baseWalk) policiesAt(tree oid, env *promotion.EnvironmentSpec) (policy.Set, error) {
	var key strings.Builder
	files := map[string][]byte{}
	for _, path := range env.Policies {
		e, err := b.lookup(tree, path)
		if err != nil {
			return policy.Set{}, err
		}
		if !e.regular() {
			continue // the gate says that it is not there
		}
		fmt.Fprintf(&key, "%s %s\n", path, e.id)
		if files[path], err = b.read(e.id, kindBlob); err != nil {
			return policy.Set{}, err
		}
	}
	if set, compiled := b.ledger.policies[key.String()]; compiled {
		return set, nil
	}
	if len(b.ledger.policies) >= maxCached {
		clear(b.ledger.policies)
	}
	set, _ := policy.Compile(files)
	b.ledger.policies[key.String()] = set
	return set, nil
}

// witnessed holds the kept facts to the ledger itself: what they say of the head,
// of freezes and of how the environments before settled stands in other records.
func (j *judgement) witnessed() (expected, found string) {
	rec, facts := &j.Record, j.Record.Facts
	switch {
	case facts.Now.After(rec.IssuedAt):
		return "facts from no later than " + utc(rec.IssuedAt), "facts from " + utc(facts.Now)
	case rec.Kind == promotion.RecordAuthorize && (facts.PullRequest == nil || facts.PullRequest.Head != headOf(rec)):
		return "facts of head " + string(headOf(rec)), "facts of another head"
	case rec.Restores != "":
		return "", ""
	}
	for _, p := range facts.Predecessors {
		if p.Settled != "" && j.settled[p.Environment] != p.Settled {
			return fmt.Sprintf("%s settled %q in %s", rec.Artifact.Version, j.settled[p.Environment], p.Environment), fmt.Sprintf("facts that say %q", p.Settled)
		}
	}
	for _, f := range j.frozen {
		over := f.Until.IsZero() || f.Until.After(facts.Now)
		if over && !f.IssuedAt.After(facts.Now) && !slices.ContainsFunc(facts.Freezes, func(b promotion.Bar) bool { return b.Scope == f.Scope }) {
			return "the freeze of " + f.Scope + " among the facts", "left out"
		}
	}
	return "", ""
}

func utc(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }

// compare holds what was recorded to what is judged now, verdict by verdict. A gate
// that the record doesn't know of must pass.
func compare(rec *promotion.Record, now gate.Judgement) (expected, found string) {
	verdict := map[string]promotion.Verdict{}
	for _, v := range now.Verdicts {
		verdict[v.Gate] = v
	}
	for _, g := range rec.Gates {
		v, judged := verdict[g.Gate]
		delete(verdict, g.Gate)
		if !judged {
			return "a gate that this rung has", g.Gate
		}
		if v.Status != g.Status {
			return fmt.Sprintf("recorded: %s is %s", g.Gate, g.Status), fmt.Sprintf("judged again: %s: %s", v.Status, v.Sentence)
		}
		if rec.Kind == promotion.RecordAuthorize && v.Status != promotion.StatusPass {
			return "an authorize where every gate passes", fmt.Sprintf("%s is %s: %s", g.Gate, v.Status, v.Sentence)
		}
	}
	for _, v := range now.Verdicts {
		if _, left := verdict[v.Gate]; left && v.Status != promotion.StatusPass {
			return "recorded: nothing of " + v.Gate, fmt.Sprintf("judged again: %s: %s", v.Status, v.Sentence)
		}
	}
	if expected, found = comparePolicies(rec.Policies, now.Policies); found != "" {
		return expected, found
	}
	same := func(a, b promotion.RecordApproval) bool {
		return samePerson(a.Person, b.Person) && a.Commit == b.Commit
	}
	if !slices.EqualFunc(rec.Approvals, now.Approvals, same) {
		return fmt.Sprintf("recorded: %d approvals that count", len(rec.Approvals)), fmt.Sprintf("judged again: %d", len(now.Approvals))
	}
	return "", ""
}

// comparePolicies compares the policies' results, rule by rule.
func comparePolicies(recorded, now []promotion.RecordPolicy) (expected, found string) {
	if len(recorded) != len(now) {
		return fmt.Sprintf("recorded: %d policies", len(recorded)), fmt.Sprintf("judged again: %d", len(now))
	}
	for i, was := range recorded {
		is := now[i]
		if was.Path != is.Path || was.Digest != is.Digest {
			return "recorded: " + was.Path + " " + was.Digest, "judged again: " + is.Path + " " + is.Digest
		}
		same := func(a, b promotion.RuleResult) bool { return a.Rule == b.Rule && a.Status == b.Status }
		if !slices.EqualFunc(was.Rules, is.Rules, same) {
			return "recorded: " + was.Path + ": " + ruleWords(was.Rules) + engineWords(was.Engine), "judged again: " + ruleWords(is.Rules)
		}
	}
	return "", ""
}

func ruleWords(rules []promotion.RuleResult) string {
	var words []string
	for _, r := range rules {
		words = append(words, r.Rule+" "+string(r.Status))
	}
	return strings.Join(words, ", ")
}

func engineWords(engine string) string {
	if engine == policy.Engine {
		return ""
	}
	return ", by " + engine + ", this rung has " + policy.Engine
}

// settledAgain judges the end of a verification window again. Its instants are
// whole seconds, so that it is judged at both ends of the one in which it ended.
func settledAgain(j judgement, env *promotion.EnvironmentSpec) (expected, found string) {
	rec, w := &j.Record, j.Record.Window
	if !w.Began.Equal(j.landed) {
		return "a window that began at " + utc(j.landed), utc(w.Began)
	}
	var outcome string
	var verdict promotion.Verdict
	for _, at := range []time.Time{w.Ended, w.Ended.Add(time.Second)} {
		outcome, verdict = health.Settle(*env, rec.Artifact.Name, w.Began, at, w.Readings)
		if outcome == rec.Outcome {
			return "", ""
		}
	}
	if outcome == "" {
		outcome = "undecided"
	}
	return "recorded: settled " + rec.Outcome, "judged again: " + outcome + ": " + verdict.Sentence
}
