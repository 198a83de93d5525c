package decide

import (
	"fmt"
	"slices"
	"strings"

	"github.com/rungbot/rung/internal/command"
	"github.com/rungbot/rung/internal/promotion"
	"github.com/rungbot/rung/internal/prose"
)

// defaultPermission is who may use a command unless rung.yaml says otherwise.
var defaultPermission = map[string]string{
	"why": "read", "help": "read",
	"hold": "write", "resume": "write", "retry": "write", "rollback": "write", "quarantine": "write", "unquarantine": "write",
	"freeze": "maintain", "unfreeze": "maintain", "adopt": "maintain",
}

var permissions = []string{"none", "read", "triage", "write", "maintain", "admin"}

// rank orders permissions; a word that is not known is below all.
func rank(permission string) int { return slices.Index(permissions, permission) }

// hear answers the commands that came in, oldest first.
func (p *pass) hear() {
	commands := slices.Clone(p.s.Commands)
	slices.SortStableFunc(commands, func(a, b promotion.Command) int { return a.At.Compare(b.At) })
	for i := range commands {
		p.command(&commands[i])
	}
}

// command carries out or refuses one command.
func (p *pass) command(c *promotion.Command) {
	pair, text := p.subject(c)
	switch {
	case p.s.Public && c.Access.Error == "" && (c.Access.Permission == "none" || c.Access.Permission == "read"):
		// Everybody has read here: rung is not made to write by strangers.
		p.plan.Comments = append(p.plan.Comments, promotion.Comment{To: c.Comment, React: "confused", Issue: c.PullRequest})
		return
	case c.Error != "":
		p.refuse(c, prose.Text(c.Error, 600)+". Say `/help` for what there is.")
		return
	case c.Verb == "help":
		p.reply(c, "eyes", prose.Help())
		return
	}
	if denied := p.denied(c, pair); denied != "" {
		p.refuse(c, denied)
		return
	}
	if text != "" && p.carriedOut(c) {
		p.done(c) // it comes again, and what it was said on is not known any more
		return
	}
	byDigest := c.Digest != "" && strings.HasSuffix(c.Verb, "quarantine")
	if text != "" && c.Verb != "freeze" && c.Verb != "unfreeze" && !byDigest {
		p.refuse(c, text)
		return
	}
	if p.s.Pipeline.Mode == promotion.ModeObserve && c.Verb != "why" {
		p.refuse(c, "mode is observe: rung changes nothing here")
		return
	}
	switch c.Verb {
	case "why":
		p.why(c, pair)
	case "rollback":
		p.sayRollback(c, pair)
	case "hold":
		p.sayFreeze(c, pair.String())
	case "resume":
		p.sayUnfreeze(c, pair.String())
	case "freeze":
		p.sayFreeze(c, string(c.Environment))
	case "unfreeze":
		p.sayUnfreeze(c, string(c.Environment))
	case "quarantine":
		p.sayQuarantine(c, pair)
	case "unquarantine":
		p.sayUnquarantine(c, pair)
	case "retry":
		p.sayRetry(c, pair)
	case "adopt":
		p.sayAdopt(c, pair)
	}
}

// subject is the pair that a command speaks of: as named, or that of the pull
// request where it was said.
func (p *pass) subject(c *promotion.Command) (promotion.Pair, string) {
	var pair promotion.Pair
	if c.Subject != nil {
		pair = c.Subject.Pair
	}
	if c.Artifact != "" {
		pair.Artifact = c.Artifact
	}
	if c.Environment != "" && c.Environment != command.AllEnvironments {
		pair.Environment = c.Environment
	}
	switch {
	case c.Environment != "" && c.Environment != command.AllEnvironments && !p.knowsEnvironment(c.Environment):
		return pair, fmt.Sprintf("there is no environment %s here", prose.Code(string(c.Environment), 64))
	case pair.Artifact == "" || pair.Environment == "":
		return pair, "this is not a promotion's pull request: name the artifact and the environment, such as `/" + c.Verb + " checkout in prod`"
	case !slices.Contains(p.pairs, pair):
		return pair, fmt.Sprintf("%s has no place for %s", prose.Code(string(pair.Environment), 64), prose.Code(string(pair.Artifact), 64))
	}
	return pair, ""
}

func (p *pass) knowsEnvironment(e promotion.Environment) bool {
	_, ok := p.s.Pipeline.Environment(e)
	return ok
}

// denied says why the author may not use the command, or nothing.
func (p *pass) denied(c *promotion.Command, pair promotion.Pair) string {
	if c.Access.Error != "" || rank(c.Access.Permission) < 0 {
		return "what you may do here could not be read, so nothing was done; try again in a minute"
	}
	for _, env := range p.ruledBy(c, pair) {
		if text := p.deniedIn(c, env); text != "" {
			return text
		}
	}
	if c.Verb == "unquarantine" || c.Force {
		return p.notApprover(c, pair)
	}
	return ""
}

// ruledBy are the environments whose rules a command must meet: the one that it
// speaks of, or all of them where it closes or opens everything. A digest that
// is named belongs to no environment; the defaults rule then, as for an empty
// name.
func (p *pass) ruledBy(c *promotion.Command, pair promotion.Pair) []promotion.Environment {
	switch {
	case c.Digest != "":
		return []promotion.Environment{""}
	case c.Environment != command.AllEnvironments:
		return []promotion.Environment{pair.Environment}
	}
	all := []promotion.Environment{}
	for _, env := range p.s.Pipeline.Environments {
		all = append(all, env.Name)
	}
	return all
}

// deniedIn says why one environment's rules refuse the command, or the force: in it,
// or nothing.
func (p *pass) deniedIn(c *promotion.Command, name promotion.Environment) string {
	var rules map[string]promotion.Who
	if env, ok := p.s.Pipeline.Environment(name); ok {
		rules = env.Commands
	}
	who := rules[c.Verb]
	if who.Permission == "" && len(who.Teams) == 0 && len(who.Users) == 0 {
		who.Permission = defaultPermission[c.Verb]
	}
	if text := refusedBy(&who, c, fmt.Sprintf("`/%s`", c.Verb)); text != "" || !c.Force {
		return text
	}
	who = rules["force"]
	return refusedBy(&who, c, fmt.Sprintf("`/%s` with `force:`", c.Verb))
}

// refusedBy says why a rule refuses the command's author, or nothing.
func refusedBy(who *promotion.Who, c *promotion.Command, what string) string {
	if who.Permission != "" && (rank(who.Permission) < 0 || rank(c.Access.Permission) < rank(who.Permission)) {
		return fmt.Sprintf("%s needs %s access to this repository; you have %s", what, who.Permission, c.Access.Permission)
	}
	if !belongs(c.Author, c.Access.Teams, who.Teams, who.Users) {
		return fmt.Sprintf("%s is for %s here", what, named(who.Teams, who.Users))
	}
	return ""
}

// belongs reports whether a person is one of the users or in one of the teams;
// with neither anybody is.
func belongs(person promotion.Person, in, teams, users []string) bool {
	if len(teams) == 0 && len(users) == 0 {
		return true
	}
	for _, t := range in {
		if slices.Contains(teams, t) {
			return true
		}
	}
	return slices.ContainsFunc(users, func(u string) bool { return strings.EqualFold(u, person.Login) })
}

func named(teams, users []string) string {
	var all []string
	for _, n := range append(slices.Clone(teams), users...) {
		all = append(all, prose.Code(n, 80))
	}
	return strings.Join(all, " and ")
}

// notApprover says why somebody is not an eligible approver of what they ask
// for: lifting a quarantine or forcing a rollback wants one who did not cause it.
func (p *pass) notApprover(c *promotion.Command, pair promotion.Pair) string {
	for _, name := range p.approvedBy(c, pair) {
		env, ok := p.s.Pipeline.Environment(name)
		if ok && !belongs(c.Author, c.Access.Teams, env.Approvals.Teams, env.Approvals.Users) {
			return fmt.Sprintf("`/%s` is for the approvers of %s: %s", c.Verb, name, named(env.Approvals.Teams, env.Approvals.Users))
		}
	}
	causers := p.live[pair].Land.Record.Causers
	if d := p.subjectDigest(c, pair); d != "" {
		if rec, ok := p.barred(d); ok {
			causers = append(slices.Clone(causers), rec.Causers...)
		}
	}
	if c.Subject != nil {
		causers = append(slices.Clone(causers), c.Subject.Causers...)
	}
	for _, causer := range causers {
		if causer.ID != 0 && causer.ID == c.Author.ID || causer.ID == 0 && strings.EqualFold(causer.Login, c.Author.Login) {
			return fmt.Sprintf("`/%s` is for somebody who did not cause this version to be here", c.Verb)
		}
	}
	return ""
}

// approvedBy are the environments whose approvers may lift or force something:
// the one that the command speaks of and the one where the digest was barred;
// where neither is known, all.
func (p *pass) approvedBy(c *promotion.Command, pair promotion.Pair) []promotion.Environment {
	var names []promotion.Environment
	if c.Digest == "" && p.knowsEnvironment(pair.Environment) {
		names = append(names, pair.Environment)
	}
	if rec, ok := p.barred(p.subjectDigest(c, pair)); ok && p.knowsEnvironment(rec.Environment) {
		names = append(names, rec.Environment)
	}
	if len(names) > 0 {
		return names
	}
	for _, env := range p.s.Pipeline.Environments {
		names = append(names, env.Name)
	}
	return names
}

func (p *pass) subjectDigest(c *promotion.Command, pair promotion.Pair) promotion.Digest {
	switch {
	case c.Digest != "":
		return c.Digest
	case c.Subject != nil && c.Subject.Pair == pair && c.Artifact == "":
		return c.Subject.Digest
	}
	return p.value(pair).Digest
}

func (p *pass) refuse(c *promotion.Command, text string) { p.reply(c, "confused", text) }

func (p *pass) reply(c *promotion.Command, react, text string) {
	p.plan.Comments = append(p.plan.Comments, promotion.Comment{To: c.Comment, React: react, Issue: c.PullRequest, Body: text})
}

func (p *pass) done(c *promotion.Command) {
	if c.Comment != 0 {
		p.plan.Comments = append(p.plan.Comments, promotion.Comment{To: c.Comment, React: "+1"})
	}
}

// heard reports whether the standing record of a subject is this command's own
// or younger than it: then the command is answered, not done again.
func heard(c *promotion.Command, r promotion.Record) bool {
	_, own := because(c)
	return r.Kind != "" && (r.Cause.Kind == own.Kind && r.Cause.ID == own.ID || r.IssuedAt.After(c.At))
}

// carriedOut reports whether a standing record was written because of this very
// command.
func (p *pass) carriedOut(c *promotion.Command) bool {
	_, own := because(c)
	is := func(r promotion.Record) bool { return r.Cause.Kind == own.Kind && r.Cause.ID == own.ID }
	for _, r := range p.freeze {
		if is(r) {
			return true
		}
	}
	for _, e := range p.s.Ledger.Quarantine {
		if is(e.Record) {
			return true
		}
	}
	for _, e := range p.open {
		if is(e.Record) {
			return true
		}
	}
	return false
}

// because is who said a command, and the event that it came with.
func because(c *promotion.Command) (promotion.Actor, promotion.Cause) {
	cause := promotion.Cause{Kind: "comment", ID: fmt.Sprint(c.Comment), At: c.At}
	if c.Comment == 0 {
		cause = promotion.Cause{Kind: "click", ID: c.Click, At: c.At}
	}
	return promotion.Actor{Kind: "person", Person: c.Author}, cause
}

// sayRollback turns the command into a wish: the digest of this pull request,
// or what is live, is not live here any more.
func (p *pass) sayRollback(c *promotion.Command, pair promotion.Pair) {
	actor, cause := because(c)
	bad := p.running(pair)
	if c.Subject != nil && c.Subject.Pair == pair && c.Artifact == "" {
		said := promotion.Value{Version: c.Subject.Version, Digest: c.Subject.Digest}
		if !c.Subject.Landed && !agree(bad, said) {
			p.refuse(c, fmt.Sprintf("%s has not landed in %s, so there is nothing to roll back. Close this pull request to veto it here, or say `/quarantine` to bar it everywhere.", prose.Code(string(said.Version), 128), pair.Environment))
			return
		}
		if !agree(bad, said) {
			text := fmt.Sprintf("%s is not live in %s any more: it runs %s.", prose.Value(said), pair.Environment, prose.Value(bad))
			if rec, barred := p.barred(said.Digest); barred {
				text += fmt.Sprintf(" It is quarantined since %s.", prose.Time(rec.IssuedAt))
			}
			p.reply(c, "eyes", text)
			return
		}
	}
	if rec, barred := p.barred(bad.Digest); p.wants[pair] != nil || barred && heard(c, rec) && p.open[pair].Record.Restores != "" {
		p.reply(c, "eyes", fmt.Sprintf("%s is already being rolled back in %s.", prose.Value(bad), pair.Environment))
		return
	}
	if p.rolledBack(c, pair) {
		p.reply(c, "eyes", fmt.Sprintf("%s runs %s, which came after this was said, so nothing was done. Say it again to go further back.", pair.Environment, prose.Value(bad)))
		return
	}
	p.wants[pair] = &rollback{
		bad: bad, version: c.Version, force: c.Force, reason: c.Reason, actor: actor, cause: cause,
		answer: func(done bool, text string) {
			text = prose.Text(text, 1000)
			if !done {
				p.reply(c, "confused", text+".")
				return
			}
			p.reply(c, "+1", text+"."+p.elsewhere(bad.Digest, pair))
		},
	}
}

// rolledBack reports whether what a /rollback spoke of is gone already: this
// command's own quarantine stands for another digest of the pair, or what is
// live landed after it was said. A landing in the future is a clock that is
// wrong, and says nothing.
func (p *pass) rolledBack(c *promotion.Command, pair promotion.Pair) bool {
	_, own := because(c)
	live := p.live[pair].Land.Record
	for d, r := range p.bars {
		mine := r.Cause.Kind == own.Kind && r.Cause.ID == own.ID && r.Environment == pair.Environment
		if mine && r.Artifact != nil && r.Artifact.Name == pair.Artifact && d != p.running(pair).Digest {
			return true
		}
	}
	return live.Cause.At.After(c.At) && !live.Cause.At.After(p.s.Now)
}

// elsewhere lists where else a digest is live, each with its command.
func (p *pass) elsewhere(d promotion.Digest, not promotion.Pair) string {
	var b strings.Builder
	for _, pair := range p.pairs {
		if pair != not && p.value(pair).Digest == d && d != "" {
			if b.Len() == 0 {
				b.WriteString("\n\nThe same digest is live elsewhere:\n")
			}
			fmt.Fprintf(&b, "- %s: `/rollback %s in %s`\n", pair.Environment, pair.Artifact, pair.Environment)
		}
	}
	return b.String()
}

func (p *pass) sayFreeze(c *promotion.Command, scope string) {
	if scope == string(c.Environment) && c.Environment != command.AllEnvironments && !p.knowsEnvironment(c.Environment) {
		p.refuse(c, fmt.Sprintf("there is no environment %s here", prose.Code(scope, 64)))
		return
	}
	if r, ok := p.freeze[scope]; ok && heard(c, r) {
		p.done(c)
		return
	}
	actor, cause := because(c)
	reason := c.Reason
	if reason == "" {
		reason = "held by " + login(c.Author)
	}
	p.record(promotion.Record{Kind: promotion.RecordFreeze, Scope: scope, Until: c.Until, Reason: reason, Actor: actor, Cause: cause, Base: p.base()})
	p.done(c)
}

func (p *pass) sayUnfreeze(c *promotion.Command, scope string) {
	r, ok := p.freeze[scope]
	switch {
	case !ok || r.Kind != promotion.RecordFreeze && !heard(c, r):
		p.reply(c, "eyes", fmt.Sprintf("%s is not frozen.", prose.Code(scope, 128)))
		return
	case heard(c, r):
		p.done(c)
		return
	}
	actor, cause := because(c)
	p.record(promotion.Record{Kind: promotion.RecordUnfreeze, Scope: scope, Actor: actor, Cause: cause, Base: p.base(), Reason: c.Reason})
	p.done(c)
}

func (p *pass) sayQuarantine(c *promotion.Command, pair promotion.Pair) {
	d := p.subjectDigest(c, pair)
	if d == "" {
		p.refuse(c, "what runs there is not pinned by digest; name the digest: `/quarantine sha256:…`")
		return
	}
	if r, ok := p.bars[d]; ok && (r.Kind == promotion.RecordQuarantine || heard(c, r)) {
		p.reply(c, "eyes", fmt.Sprintf("%s is quarantined since %s: %s", prose.Code(d.Short(), 32), prose.Time(r.IssuedAt), prose.Text(r.Reason, 512)))
		return
	}
	if c.Digest == "" && p.unseen(c, pair) {
		p.refuse(c, fmt.Sprintf("%s came here after you wrote that, so nothing was done; look at it and say it again, or name the digest.", prose.Code(d.Short(), 32)))
		return
	}
	actor, cause := because(c)
	reason := c.Reason
	if reason == "" {
		reason = "quarantined by " + login(c.Author)
	}
	r := promotion.Record{Kind: promotion.RecordQuarantine, Digest: d, Reason: reason, Actor: actor, Cause: cause, Base: p.base()}
	if c.Digest == "" {
		r.Environment = pair.Environment
	}
	if c.Subject != nil && c.Subject.Digest == d {
		r.Causers = c.Subject.Causers
	}
	if rec := p.live[pair].Land.Record; rec.Artifact != nil && rec.Artifact.Digest == d {
		r.Children = rec.Children
	} else if rec := p.open[pair].Record; rec.Artifact != nil && rec.Artifact.Digest == d {
		r.Children = rec.Children
	}
	p.record(r)
	if list := p.elsewhere(d, promotion.Pair{}); list != "" {
		p.reply(c, "+1", fmt.Sprintf("%s is quarantined.%s", prose.Code(d.Short(), 32), list))
		return
	}
	p.done(c)
}

// unseen reports whether what a command speaks of without naming it, the digest
// of this pull request or the one that is live, came there after it was said:
// its author saw another. A time in the future is a clock that is wrong.
func (p *pass) unseen(c *promotion.Command, pair promotion.Pair) bool {
	since := p.live[pair].Land.Record.Cause.At
	if c.Subject != nil && c.Subject.Pair == pair && c.Artifact == "" {
		since = c.Subject.Since
	}
	return since.After(c.At) && !since.After(p.s.Now)
}

func (p *pass) sayUnquarantine(c *promotion.Command, pair promotion.Pair) {
	d := p.subjectDigest(c, pair)
	r, ok := p.bars[d]
	switch {
	case !ok:
		if rec, barred := p.barred(d); barred {
			r, d = rec, rec.Digest
			break
		}
		p.reply(c, "eyes", fmt.Sprintf("%s is not quarantined.", prose.Code(d.Short(), 32)))
		return
	case r.Kind != promotion.RecordQuarantine || heard(c, r):
		p.done(c)
		return
	}
	actor, cause := because(c)
	p.record(promotion.Record{Kind: promotion.RecordUnquarantine, Digest: d, Reason: c.Reason, Actor: actor, Cause: cause, Base: p.base()})
	p.done(c)
}

// sayRetry lifts a veto: the version is proposed again.
func (p *pass) sayRetry(c *promotion.Command, pair promotion.Pair) {
	open := p.open[pair]
	r := open.Record
	if r.Kind != promotion.RecordWithdraw || r.Reason != promotion.WithdrawVetoed || heard(c, r) {
		if _, active := p.active(pair); active || heard(c, r) {
			p.done(c)
			return
		}
		p.reply(c, "eyes", "nothing was vetoed here; rung looks at it again by itself")
		return
	}
	actor, cause := because(c)
	r.Previous, r.IssuedAt = nil, p.s.Now
	r.Reason, r.Actor, r.Cause = promotion.WithdrawStale, actor, cause
	p.record(r)
	p.done(c)
}

// sayAdopt accepts a version that was changed by hand.
func (p *pass) sayAdopt(c *promotion.Command, pair promotion.Pair) {
	r := p.live[pair].Land.Record
	if r.Kind != promotion.RecordAdopt || r.Cause.Kind == "comment" {
		p.reply(c, "eyes", "nothing here was changed by hand since the last record")
		return
	}
	actor, cause := because(c)
	r.Previous, r.IssuedAt, r.Actor, r.Cause, r.Reason = nil, p.s.Now, actor, cause, c.Reason
	p.record(r)
	p.done(c)
}

// why explains a pair. The verdicts of this pass come later, so the answer is
// made at the end, by answerWhy.
func (p *pass) why(c *promotion.Command, pair promotion.Pair) {
	p.plan.Comments = append(p.plan.Comments, promotion.Comment{To: c.Comment, React: "eyes", Issue: c.PullRequest, Body: whyMark + pair.String()})
}

const whyMark = "\x00why:"

// answerWhy fills in the answers to /why.
func (p *pass) answerWhy() {
	for i := range p.plan.Comments {
		name, ok := strings.CutPrefix(p.plan.Comments[i].Body, whyMark)
		if !ok {
			continue
		}
		p.plan.Comments[i].Body = "rung has nothing to say about " + prose.Code(name, 128)
		for _, st := range p.plan.Pairs {
			if st.Pair.String() == name {
				p.plan.Comments[i].Body = prose.Why(st)
			}
		}
	}
}
