package githubemu

import (
	"html/template"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// checkView is a check as the pages show it.
type checkView struct {
	Name, App, Title, Word, Class, URL string
	Summary                            template.HTML
	Buttons                            []button
}

type button struct{ URL, Identifier, Label, Description string }

func (v *view) checkViews(sha string) []checkView {
	var out []checkView
	for _, c := range v.s.checkStates(v.repo, sha) {
		cv := checkView{Name: c.Name, App: c.App, Title: c.Title, Word: c.Conclusion, Class: "pending"}
		if c.Kind == "status" {
			cv.Title = c.Summary
		} else {
			cv.Summary, cv.URL = markdown(c.Summary), v.path("runs/"+strconv.FormatInt(c.ID, 10))
		}
		switch c.Conclusion {
		case "success", "neutral", "skipped":
			cv.Class = "success"
		case "failure", "error", "timed_out", "cancelled", "action_required", "stale":
			cv.Class = "failure"
		case "":
			cv.Word = c.Status
		}
		if c.Status == "completed" {
			for _, a := range c.Actions {
				cv.Buttons = append(cv.Buttons, button{v.path("runs/" + strconv.FormatInt(c.ID, 10) + "/action"), a.Identifier, a.Label, a.Description})
			}
		}
		out = append(out, cv)
	}
	return out
}

func (v *view) runPage(id string) error {
	n, err := strconv.ParseInt(id, 10, 64)
	run := v.s.runByID(v.repo, n)
	if err != nil || run == nil {
		return notFound()
	}
	for _, cv := range v.checkViews(run.HeadSHA) {
		if cv.URL == v.path("runs/"+id) {
			v.data["Check"] = cv
		}
	}
	if v.data["Check"] == nil { // an older run of that name
		v.data["Check"] = checkView{Name: run.Name, Title: run.Output.Title, Word: run.Conclusion, Class: "pending", Summary: markdown(run.Output.Summary)}
	}
	v.data["Title"], v.data["Text"], v.data["Short"] = run.Name, markdown(run.Output.Text), run.HeadSHA[:7]
	v.data["CommitURL"], v.data["Rerequest"] = v.path("commit/"+run.HeadSHA), v.path("runs/"+id+"/rerequest")
	return nil
}

type talker struct{ Login, Avatar string }

// talk is one entry of a conversation.
type talk struct {
	Who       talker
	Verb, At  string
	SHA       string
	Anchor    string
	Body      template.HTML
	Reactions string
	when      time.Time
}

func (v *view) talker(login string) talker {
	t := talker{Login: login}
	if a := v.s.w.user(login); a != nil {
		t.Avatar = v.s.base + "/_emu/avatar/" + strconv.FormatInt(a.ID, 10)
	}
	return t
}

var reviewVerbs = map[string]string{
	"APPROVED": "approved these changes", "CHANGES_REQUESTED": "requested changes", "COMMENTED": "reviewed",
	"DISMISSED": "reviewed; the review was dismissed", "PENDING": "is reviewing",
}

var emoji = map[string]string{"+1": "👍", "-1": "👎", "laugh": "😄", "confused": "😕", "heart": "❤️", "hooray": "🎉", "rocket": "🚀", "eyes": "👀"}

// conversation is what was said and done, in order.
func (v *view) conversation(i *issue, p *pull) []talk {
	all := []talk{{Who: v.talker(i.User), Verb: "opened this", when: i.CreatedAt, Body: markdown(i.Body)}}
	for _, cm := range i.Comments {
		t := talk{Who: v.talker(cm.User), Verb: "commented", when: cm.CreatedAt, Body: markdown(cm.Body), Anchor: "issuecomment-" + strconv.FormatInt(cm.ID, 10)}
		for _, x := range cm.Reactions {
			t.Reactions += emoji[x.Content] + " " + x.User + "  "
		}
		all = append(all, t)
	}
	if p != nil {
		for _, rv := range p.Reviews {
			all = append(all, talk{
				Who: v.talker(rv.User), Verb: reviewVerbs[rv.State], when: rv.SubmittedAt, Body: markdown(rv.Body), SHA: rv.CommitID[:7],
				Anchor: "pullrequestreview-" + strconv.FormatInt(rv.ID, 10),
			})
		}
	}
	for n, cl := range i.Closings {
		verb := "closed this"
		if p != nil && p.Merged && n == len(i.Closings)-1 {
			verb = "merged this as " + p.MergeSHA[:7]
		}
		all = append(all, talk{Who: v.talker(cl.By), Verb: verb, when: cl.At})
	}
	slices.SortStableFunc(all, func(a, b talk) int { return a.when.Compare(b.when) })
	for n := range all {
		all[n].At = all[n].when.Format("2006-01-02 15:04:05")
	}
	return all
}

// pullRoute shows a pull request, or its diff as text.
func (v *view) pullRoute(parts []string) (string, error) {
	if len(parts) == 0 {
		return "", notFound()
	}
	num, asDiff := strings.CutSuffix(strings.TrimSuffix(parts[0], ".patch"), ".diff")
	p := v.repo.Pulls[atoi(num, 0)]
	if p == nil {
		return "", notFound()
	}
	if asDiff || strings.HasSuffix(parts[0], ".patch") {
		text, err := v.s.pullDiff(v.ctx, v.repo, p)
		v.data["plain"] = text
		return "", err
	}
	return "pull", v.pullPage(p)
}

func (v *view) pullPage(p *pull) error {
	i := v.repo.issueOf(p)
	from, to, err := v.s.pullTrees(v.ctx, v.repo, p)
	if err != nil {
		return err
	}
	files, err := v.fileViews(from, to, p.HeadSHA)
	if err != nil {
		return err
	}
	commits, err := v.s.pullLog(v.ctx, v.repo, p)
	if err != nil {
		return err
	}
	d := v.data
	d["Title"], d["Number"], d["State"], d["Author"], d["Labels"] = i.Title, p.Number, fold(pullState(v.repo, p)), i.User, i.Labels
	d["CommitCount"], d["BaseRef"], d["HeadRef"], d["HeadShort"] = len(commits), p.BaseRef, p.HeadRef, p.HeadSHA[:7]
	d["HeadURL"], d["URL"], d["Open"] = v.path("commit/"+p.HeadSHA), v.path("pull/"+itoa(p.Number)), i.State == "open"
	d["Talk"], d["Checks"], d["Files"] = v.conversation(i, p), v.checkViews(p.HeadSHA), files
	_, err = v.s.tip(v.ctx, v.repo, p.HeadRef)
	d["HasBranch"] = err == nil && i.State != "open"
	return v.mergeBox(p)
}

// mergeBox says whether the visitor could merge, and what stands in the way.
func (v *view) mergeBox(p *pull) error {
	r := v.repo
	var methods []string
	for _, m := range []struct {
		name string
		on   bool
	}{{"merge", r.AllowMerge}, {"squash", r.AllowSquash}, {"rebase", r.AllowRebase}} {
		if m.on {
			methods = append(methods, m.name)
		}
	}
	v.data["Methods"] = methods
	if r.issueOf(p).State != "open" {
		return nil
	}
	base, err := v.s.tip(v.ctx, r, p.BaseRef)
	if err != nil {
		return err
	}
	clean, err := v.s.cleanly(v.ctx, r, base, p.HeadSHA)
	if err != nil {
		return err
	}
	var why []string
	if !clean {
		why = append(why, "This branch has conflicts that must be resolved.")
	}
	broken, err := v.s.mergeViolations(v.ctx, r, p, v.me, "")
	if err != nil {
		return err
	}
	for _, b := range broken {
		why = append(why, b.text)
	}
	v.data["Blockers"], v.data["MergeWord"] = why, "This can be merged."
	if len(why) > 0 {
		v.data["MergeWord"] = "Merging is blocked."
	}
	return nil
}

// act does what a form of a repository's page asks and says where to go then.
func (v *view) act(parts []string) (string, error) {
	switch {
	case len(parts) == 3 && parts[0] == "pull":
		p := v.repo.Pulls[atoi(parts[1], 0)]
		if p == nil {
			return "", notFound()
		}
		return v.actOnPull(p, parts[2])
	case len(parts) == 3 && parts[0] == "runs":
		return v.actOnRun(parts[1], parts[2])
	}
	return "", notFound()
}

func (v *view) actOnPull(p *pull, what string) (string, error) {
	here := v.path("pull/" + itoa(p.Number))
	i := v.repo.issueOf(p)
	closer := fold(v.me.Login) == fold(i.User) || rank(v.s.role(v.repo, v.me)) >= rank("triage")
	var err error
	switch what {
	case "review":
		_, err = v.s.addReview(v.ctx, v.repo, p, v.me, v.r.PostFormValue("event"), v.r.PostFormValue("body"), "")
	case "comment":
		_, err = v.s.addComment(v.repo, i, v.me, v.r.PostFormValue("body"))
	case "merge":
		_, err = v.s.merge(v.ctx, v.repo, p, v.me, mergeAsk{Method: v.r.PostFormValue("method")})
	case "close", "reopen":
		state := map[string]string{"close": "closed", "reopen": "open"}[what]
		if !closer {
			err = fail(http.StatusForbidden, "You may not do that here.")
		} else if i.State != state {
			err = v.s.setPullState(v.ctx, v.repo, p, v.me, state)
		}
	case "update-branch":
		err = v.s.updateBranch(v.ctx, v.repo, p, v.me)
	case "delete-branch":
		if !v.s.canPush(v.repo, v.me) {
			err = fail(http.StatusForbidden, "You may not do that here.")
		} else {
			err = v.s.deleteBranch(v.ctx, v.repo, v.me, p.HeadRef)
		}
	case "revert":
		var q *pull
		if q, err = v.s.revert(v.ctx, v.repo, p, v.me); err == nil {
			here = v.path("pull/" + itoa(q.Number))
		}
	default:
		err = notFound()
	}
	return here, err
}

func (v *view) actOnRun(id, what string) (string, error) {
	n, err := strconv.ParseInt(id, 10, 64)
	run := v.s.runByID(v.repo, n)
	if err != nil || run == nil {
		return "", notFound()
	}
	here := v.path("runs/" + id)
	for _, p := range sortedBy(v.repo.Pulls) {
		if p.HeadSHA == run.HeadSHA {
			here = v.path("pull/" + itoa(p.Number))
		}
	}
	extra, action := object(nil), "rerequested"
	if what == "action" {
		action = "requested_action"
		extra = object{"requested_action": object{"identifier": v.r.PostFormValue("identifier")}}
		if !slices.ContainsFunc(run.Actions, func(a CheckAction) bool { return a.Identifier == v.r.PostFormValue("identifier") }) {
			return "", notFound()
		}
	} else if what != "rerequest" {
		return "", notFound()
	}
	v.s.emitRun(v.ctx, v.repo, run, action, v.me, extra)
	return here, nil
}
