package simulation

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/rungbot/rung/internal/githubemu"
)

// action is something that may happen, with how often.
type action struct {
	weight int
	name   string
	do     func(*world)
}

// actions is everything that may happen between two looks of rung.
var actions = []action{
	{14, "publish", (*world).publish},
	{3, "dispatch", (*world).dispatchAgain},
	{16, "deliver", (*world).deliver},
	{16, "time", (*world).time},
	{14, "review", (*world).review},
	{2, "dismiss", (*world).dismiss},
	{4, "merge", (*world).mergeByHand},
	{3, "close", (*world).closePull},
	{2, "reopen", (*world).reopen},
	{4, "hand edit", (*world).handEdit},
	{3, "revert", (*world).revert},
	{3, "extra commit", (*world).extraCommit},
	{3, "update branch", (*world).updateBranch},
	{4, "unrelated", (*world).unrelated},
	{4, "config", (*world).editConfig},
	{12, "command", (*world).command},
	{1, "click", (*world).click},
	{1, "permission", (*world).permission},
	{2, "rules", (*world).rules},
	{4, "status", (*world).status},
	{9, "fault", (*world).armFault},
	{4, "crash", (*world).armCrash},
	{3, "interlude", (*world).armInterlude},
	{1, "registry", (*world).toggleRegistry},
	{4, "health", (*world).flipHealth},
	{1, "suspend", (*world).suspend},
	{1, "token", func(w *world) { w.emu.ExpireTokens(); w.say("every token expires") }},
	{1, "restart", (*world).restart},
	{1, "delete branch", (*world).deleteBranch},
}

// rare happens once in so many steps.
const rareForcePush = 400

// step lets one random thing happen, and mostly rung look at it.
func (w *world) step() {
	w.steps++
	if w.rng.IntN(rareForcePush) == 0 {
		w.forcePush()
	} else {
		total := 0
		for _, a := range actions {
			total += a.weight
		}
		n := w.rng.IntN(total)
		for _, a := range actions {
			if n -= a.weight; n < 0 {
				a.do(w)
				break
			}
		}
	}
	time.Sleep(time.Second)
	if w.rng.IntN(4) > 0 {
		w.work()
	}
}

func pick[T any](w *world, of []T) (one T, ok bool) {
	if len(of) == 0 {
		return one, false
	}
	return of[w.rng.IntN(len(of))], true
}

func (w *world) chance(percent int) bool { return w.rng.IntN(100) < percent }

func (w *world) person() string {
	p, _ := pick(w, slices.Sorted(maps.Keys(w.people)))
	return p
}

// writer is somebody who may push, mostly.
func (w *world) writer() string {
	p, _ := pick(w, []string{"alice", "bob", "carol", "dave"})
	return p
}

func (w *world) state() githubemu.RepositoryState {
	s, err := w.emu.State(w.ctx, repository)
	w.must(err)
	return s
}

func (w *world) pulls(fits func(*githubemu.PullState) bool) []githubemu.PullState {
	var out []githubemu.PullState
	for _, p := range w.state().Pulls {
		if fits(&p) {
			out = append(out, p)
		}
	}
	return out
}

// openPull picks an open pull request, rather one of rung's.
func (w *world) openPull() (githubemu.PullState, bool) {
	if w.chance(80) {
		if p, ok := pick(w, w.pulls(func(p *githubemu.PullState) bool { return p.State == "open" && strings.HasPrefix(p.Head, "rung/p/") })); ok {
			return p, true
		}
	}
	return pick(w, w.pulls(func(p *githubemu.PullState) bool { return p.State == "open" }))
}

// outcome is for the trace: whether GitHub let somebody do it.
func outcome(err error) string {
	if err == nil {
		return ""
	}
	return ": " + err.Error()
}

func (w *world) publish() {
	artifact, _ := pick(w, artifacts)
	tags := w.registry.tags[artifact]
	known := slices.Sorted(maps.Keys(tags))
	version := fmt.Sprintf("1.%d.0", len(known))
	text := fmt.Sprintf("%s %s %d", artifact, version, w.seed)
	what := "publishes"
	switch n := w.rng.IntN(100); {
	case n < 8:
		// The same bytes under a new name.
		old, _ := pick(w, known)
		text = w.registry.texts[artifact][old]
		what = "publishes " + old + " again as"
	case n < 14:
		version, _ = pick(w, known)
		text += " moved"
		what = "moves"
	}
	digest := w.registry.publish(artifact, version, text)
	if w.chance(20) {
		w.health.set(w.health.bad, digest, true)
		what += " the bad"
	}
	who := w.writer()
	w.say("%s %s %s %s (%.15s)", who, what, artifact, version, digest)
	if w.chance(75) {
		w.dispatch(who, artifact, version)
	}
}

func (w *world) dispatch(who, artifact, version string) {
	err := w.emu.Dispatch(repository, who, "artifact-published", map[string]any{"artifact": artifact, "version": version})
	w.say("%s dispatches %s %s%s", who, artifact, version, outcome(err))
}

func (w *world) dispatchAgain() {
	artifact, _ := pick(w, artifacts)
	version, _ := pick(w, slices.Sorted(maps.Keys(w.registry.tags[artifact])))
	if w.chance(20) {
		version = "9.9.9"
	}
	w.dispatch(w.writer(), artifact, version)
}

// deliver moves webhooks: all, some, one out of turn, one twice, or some never.
func (w *world) deliver() {
	waiting := w.emu.Pending()
	if len(waiting) == 0 {
		return
	}
	switch n := w.rng.IntN(100); {
	case n < 45:
		w.say("all %d webhooks arrive", len(waiting))
		for w.emu.DeliverNext(w.ctx) {
		}
	case n < 60:
		k := 1 + w.rng.IntN(len(waiting))
		w.say("%d of %d webhooks arrive", k, len(waiting))
		for range k {
			w.emu.DeliverNext(w.ctx)
		}
	case n < 75:
		w.say("%d webhooks arrive out of order", len(waiting))
		for _, i := range w.rng.Perm(len(waiting)) {
			w.must(w.emu.Deliver(w.ctx, waiting[i].ID))
		}
	case n < 85:
		all := w.emu.Deliveries()
		d, _ := pick(w, all[max(0, len(all)-20):])
		w.say("the webhook %s %s arrives once more", d.Event, d.Action)
		w.redeliver(d)
	default:
		unlisted := w.chance(40)
		k := 1 + w.rng.IntN(len(waiting))
		w.say("%d of %d webhooks are lost (unlisted: %t)", k, len(waiting), unlisted)
		for _, d := range waiting[:k] {
			w.discard(d, unlisted)
		}
	}
}

func (w *world) discard(d githubemu.Delivery, unlisted bool) {
	w.must(w.emu.Discard(d.ID, unlisted))
	if unlisted && (d.Event == "issue_comment" || d.Event == "check_run" && d.Action == "requested_action" || d.Event == "repository_dispatch") {
		w.lost = true
	}
}

func (w *world) time() {
	d, _ := pick(w, []time.Duration{2 * time.Second, 10 * time.Second, 30 * time.Second, time.Minute, 3 * time.Minute, 7 * time.Minute, 12 * time.Minute})
	w.say("%s pass", d)
	w.elapse(d, max(d/12, time.Second))
}

func (w *world) review() {
	p, ok := w.openPull()
	if !ok {
		return
	}
	event := "APPROVE"
	if n := w.rng.IntN(100); n < 14 {
		event = "REQUEST_CHANGES"
	} else if n < 20 {
		event = "COMMENT"
	}
	who := w.person()
	if w.chance(50) {
		who = w.writer()
	}
	_, err := w.emu.Review(w.ctx, repository, p.Number, who, event, "seen")
	w.say("%s reviews #%d %s: %s%s", who, p.Number, p.Head, event, outcome(err))
}

func (w *world) dismiss() {
	p, ok := pick(w, w.pulls(func(p *githubemu.PullState) bool { return p.State == "open" && len(p.Reviews) > 0 }))
	if !ok {
		return
	}
	r, _ := pick(w, p.Reviews)
	who := w.writer()
	w.say("%s dismisses %s's %s of #%d%s", who, r.Author, r.State, p.Number, outcome(w.emu.DismissReview(w.ctx, repository, p.Number, who, r.ID)))
}

func (w *world) mergeByHand() {
	p, ok := w.openPull()
	if !ok {
		return
	}
	method, _ := pick(w, []string{"merge", "merge", "squash", "rebase"})
	who := w.writer()
	_, err := w.emu.Merge(w.ctx, repository, p.Number, who, method)
	w.say("%s merges #%d %s by hand (%s)%s", who, p.Number, p.Head, method, outcome(err))
}

func (w *world) closePull() {
	p, ok := w.openPull()
	if !ok {
		return
	}
	who := w.person()
	w.say("%s closes #%d %s%s", who, p.Number, p.Head, outcome(w.emu.SetPullState(w.ctx, repository, p.Number, who, "closed")))
}

func (w *world) reopen() {
	p, ok := pick(w, w.pulls(func(p *githubemu.PullState) bool { return p.State == "closed" }))
	if !ok {
		return
	}
	who := w.person()
	w.say("%s reopens #%d %s%s", who, p.Number, p.Head, outcome(w.emu.SetPullState(w.ctx, repository, p.Number, who, "open")))
}

func (w *world) read(path string) string {
	text, _ := w.emu.ReadFile(w.ctx, repository, "main", path)
	return text
}

var digestInText = regexp.MustCompile(`sha256:[0-9a-f]{64}`)

// handEdit changes a version by hand, on main or by a pull request.
func (w *world) handEdit() {
	e, _ := pick(w, w.config.Envs)
	artifact, _ := pick(w, artifacts)
	tags := w.registry.tags[artifact]
	tag, _ := pick(w, slices.Sorted(maps.Keys(tags)))
	files := map[string]string{}
	for path := range layout(&e, slices.IndexFunc(w.config.Envs, func(x environment) bool { return x.Name == e.Name }), map[string]string{}) {
		text := w.read(path)
		if edited := setVersion(text, artifact, tag, tags[tag]); edited != text {
			files[path] = edited
		}
	}
	if len(files) == 0 {
		return
	}
	who := w.writer()
	push := githubemu.Push{Repository: repository, Person: who, Message: "set " + artifact + " by hand", Files: files}
	if w.chance(60) {
		_, err := w.emu.PushFiles(w.ctx, push)
		w.say("%s sets %s %s in %s by hand%s", who, artifact, tag, e.Name, outcome(err))
		return
	}
	push.Branch = fmt.Sprintf("hand-%d", w.steps)
	if _, err := w.emu.PushFiles(w.ctx, push); err != nil {
		w.say("%s can't push %s%s", who, push.Branch, outcome(err))
		return
	}
	n, err := w.emu.OpenPull(w.ctx, repository, who, push.Branch, "main", "Set "+artifact, "")
	w.say("%s opens #%d to set %s %s in %s%s", who, n, artifact, tag, e.Name, outcome(err))
}

// setVersion writes a version where an artifact's image stands in a file.
func setVersion(text, artifact, tag, digest string) string {
	lines := strings.Split(text, "\n")
	inside := false
	for i, l := range lines {
		switch {
		case strings.Contains(l, "name: "+registryHost+"/"):
			inside = strings.HasSuffix(l, "/acme/"+artifact)
		case inside && strings.Contains(l, "newTag: "):
			lines[i] = regexp.MustCompile(`newTag: \S+`).ReplaceAllString(l, "newTag: "+tag)
		case inside && strings.Contains(l, "digest: "):
			lines[i] = digestInText.ReplaceAllString(l, digest)
		case strings.Contains(l, "image: "+registryHost+"/acme/"+artifact+":"):
			lines[i] = regexp.MustCompile(`image: \S+`).ReplaceAllString(l, "image: "+registryHost+"/acme/"+artifact+":"+tag+"@"+digest)
		}
	}
	return strings.Join(lines, "\n")
}

func (w *world) revert() {
	p, ok := pick(w, w.pulls(func(p *githubemu.PullState) bool { return p.State == "merged" }))
	if !ok {
		return
	}
	who := w.writer()
	n, err := w.emu.Revert(w.ctx, repository, p.Number, who)
	w.say("%s presses Revert on #%d: #%d%s", who, p.Number, n, outcome(err))
	if err == nil && w.chance(70) {
		_, err = w.emu.Merge(w.ctx, repository, n, who, "merge")
		w.say("%s merges #%d%s", who, n, outcome(err))
	}
}

func (w *world) extraCommit() {
	p, ok := pick(w, w.pulls(func(p *githubemu.PullState) bool { return p.State == "open" && strings.HasPrefix(p.Head, "rung/") }))
	if !ok {
		return
	}
	who := w.writer()
	_, err := w.emu.PushFiles(w.ctx, githubemu.Push{
		Repository: repository, Person: who, Branch: p.Head, Message: "one more thing", Files: map[string]string{"notes.md": fmt.Sprintf("%d\n", w.steps)},
		From: w.state().Branches[p.Head],
	})
	w.say("%s pushes a commit to %s%s", who, p.Head, outcome(err))
}

func (w *world) updateBranch() {
	p, ok := w.openPull()
	if !ok {
		return
	}
	who := w.writer()
	w.say("%s presses Update branch on #%d%s", who, p.Number, outcome(w.emu.UpdateBranch(w.ctx, repository, p.Number, who)))
}

func (w *world) deleteBranch() {
	p, ok := w.openPull()
	if !ok {
		return
	}
	who := w.writer()
	w.say("%s deletes the branch %s%s", who, p.Head, outcome(w.emu.MoveBranch(w.ctx, repository, who, p.Head, "")))
}

func (w *world) unrelated() {
	who := w.writer()
	path := "docs/notes.md"
	if w.chance(30) {
		e, _ := pick(w, w.config.Envs)
		path = "environments/" + e.Name + "/README.md"
	}
	_, err := w.emu.PushFiles(w.ctx, githubemu.Push{Repository: repository, Person: who, Files: map[string]string{path: fmt.Sprintf("step %d\n", w.steps)}})
	w.say("%s pushes %s%s", who, path, outcome(err))
}

var ledgerLine = regexp.MustCompile(`(?m)^ledger: "?([0-9a-f]{40})`)

func (w *world) editConfig() {
	next := *w.config
	next.Envs = slices.Clone(w.config.Envs)
	i := w.rng.IntN(len(next.Envs))
	e := &next.Envs[i]
	switch n := w.rng.IntN(100); {
	case next.Broken > 0 && n < 60:
		next.Broken = 0
	case n < 30:
		next.Broken = 1 + w.rng.IntN(4)
	case n < 45:
		e.Approvals = w.rng.IntN(3)
	case n < 60:
		e.Soak, _ = pick(w, []string{"", "1m", "5m"})
	case n < 70:
		e.Health = !e.Health
	case n < 80:
		e.Auto = !e.Auto
	case n < 90:
		e.Supersede, _ = pick(w, []string{"always", "never", "until-approved"})
	default:
		next.Mode, _ = pick(w, []string{"merge", "merge", "propose", "observe"})
	}
	ledger := ""
	if m := ledgerLine.FindStringSubmatch(w.read("rung.yaml")); m != nil {
		ledger = m[1]
	}
	who := w.writer()
	_, err := w.emu.PushFiles(w.ctx, githubemu.Push{Repository: repository, Person: who, Files: map[string]string{"rung.yaml": next.render(ledger)}})
	w.say("%s edits rung.yaml (mode %s, broken %d)%s", who, next.Mode, next.Broken, outcome(err))
	if err == nil {
		w.config = &next
	}
}

func (w *world) command() {
	artifact, _ := pick(w, artifacts)
	e, _ := pick(w, w.config.Envs)
	tag, _ := pick(w, slices.Sorted(maps.Keys(w.registry.tags[artifact])))
	digest := w.registry.tags[artifact][tag]
	in := artifact + " in " + e.Name
	line, _ := pick(w, []string{
		"/rollback", "/rollback", "/rollback", "/rollback " + in, "/rollback " + in + " to " + tag, "/rollback force: it burns",
		"/hold", "/hold " + in + " wait", "/resume", "/resume " + in, "/retry", "/quarantine it is bad", "/quarantine " + digest + " it is bad",
		"/unquarantine " + digest + " it was fine", "/unquarantine it was fine", "/freeze " + e.Name + " holidays", "/freeze all incident",
		"/unfreeze " + e.Name, "/unfreeze all", "/unfreeze all", "/adopt we meant it", "/adopt " + in + " we meant it", "/why", "/why " + in, "/help", "/bogus", "thanks!", "/freeze",
	})
	all := w.pulls(func(p *githubemu.PullState) bool { return true })
	p, ok := pick(w, all[max(0, len(all)-6):])
	if !ok {
		return
	}
	who := w.person()
	if w.chance(60) {
		who = w.writer()
	}
	id, err := w.emu.Comment(w.ctx, repository, p.Number, who, line)
	w.say("%s says %q on #%d %s (%d)%s", who, line, p.Number, p.Head, id, outcome(err))
	if err == nil && w.chance(6) {
		w.say("%s edits the comment%s", who, outcome(w.emu.EditComment(w.ctx, repository, who, id, "/freeze all edited")))
	}
}

func (w *world) click() {
	st := w.state()
	for _, p := range st.Pulls {
		if p.State != "open" {
			continue
		}
		for _, c := range st.Checks[p.HeadSHA] {
			if a, ok := pick(w, c.Actions); ok && w.chance(50) {
				who := w.writer()
				w.say("%s clicks %s on #%d%s", who, a.Identifier, p.Number, outcome(w.emu.ClickAction(w.ctx, repository, who, c.ID, a.Identifier)))
				return
			}
		}
	}
}

func (w *world) permission() {
	who, _ := pick(w, []string{"bob", "dave", "erin", "mallory"})
	role, _ := pick(w, []string{"none", "read", "triage", "write", "maintain"})
	w.must(w.emu.SetPermission(repository, who, role))
	w.people[who] = role
	w.say("%s may now %s", who, role)
}

func (w *world) rules() {
	var rules []githubemu.Ruleset
	what := "no rules"
	switch w.rng.IntN(4) {
	case 0:
		what = "required check ci"
		rules = []githubemu.Ruleset{{RequiredChecks: []githubemu.RequiredCheck{{Context: "ci"}}}}
	case 1:
		what = "required checks rung and ci"
		rules = []githubemu.Ruleset{{RequiredChecks: []githubemu.RequiredCheck{{Context: "ci"}, {Context: "rung", AppID: 7}}}}
	}
	w.must(w.emu.SetRules(repository, rules...))
	w.say("main has %s", what)
}

func (w *world) status() {
	p, ok := w.openPull()
	if !ok {
		return
	}
	rep := githubemu.CheckReport{Repository: repository, App: "ci", SHA: p.HeadSHA, Name: "ci"}
	rep.Conclusion, _ = pick(w, []string{"success", "success", "success", "failure", "", "neutral"})
	if w.chance(50) {
		_, err := w.emu.ReportCheck(w.ctx, rep)
		w.say("ci checks #%d: %q%s", p.Number, rep.Conclusion, outcome(err))
		return
	}
	rep.State, _ = pick(w, []string{"success", "success", "failure", "pending", "error"})
	w.say("ci's status of #%d: %s%s", p.Number, rep.State, outcome(w.emu.ReportStatus(w.ctx, rep)))
}

func (w *world) armFault() {
	f := &fault{kind: w.rng.IntN(len(faultKinds)), skip: w.rng.IntN(3)}
	if w.chance(85) {
		f.on = kinds[w.rng.IntN(len(kinds))].name
	}
	if faultKinds[f.kind].name == "base" {
		f.on = "merge"
	}
	w.faults = append(w.faults, f)
}

func (w *world) armCrash() {
	w.crash = &crash{skip: w.rng.IntN(7), after: w.chance(50), forget: w.chance(50)}
}

// armInterlude lets people do something between two writes of rung's.
func (w *world) armInterlude() {
	do, _ := pick(w, []func(){w.unrelated, w.closePull, w.mergeByHand, w.extraCommit, w.handEdit, w.updateBranch, w.command, w.revert, w.deleteBranch})
	w.between = &interlude{skip: w.rng.IntN(6), do: func() {
		w.say("meanwhile:")
		do()
	}}
}

func (w *world) toggleRegistry() {
	w.registry.down = !w.registry.down
	w.say("the registry is down: %t", w.registry.down)
}

func (w *world) flipHealth() {
	e, _ := pick(w, w.config.Envs)
	of, what := w.health.outage, "sick"
	if w.chance(30) {
		of, what = w.health.silent, "silent"
	}
	w.health.set(of, e.Name, !of[e.Name])
	w.say("%s is %s: %t", e.Name, what, of[e.Name])
}

func (w *world) suspend() {
	w.suspended = !w.suspended
	w.say("the installation is suspended: %t%s", w.suspended, outcome(w.emu.SuspendInstallation("acme", w.suspended)))
}

func (w *world) restart() {
	forget := w.chance(50)
	w.say("rung is stopped (queue deleted: %t)", forget)
	w.stop(forget)
}

// forcePush takes the base back by one commit, which nobody should do.
func (w *world) forcePush() {
	c, err := w.git.ReadCommit(w.ctx, w.state().Branches["main"])
	w.must(err)
	if len(c.Parents) == 0 {
		return
	}
	w.say("alice force-pushes main back to %.10s%s", c.Parents[0], outcome(w.emu.MoveBranch(w.ctx, repository, "alice", "main", c.Parents[0])))
}
