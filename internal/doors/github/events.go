package github

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rungbot/rung/internal/promotion"
	"github.com/rungbot/rung/internal/queue"
)

// maxLine is the longest command, in bytes.
const maxLine = 1024

func (d *decoding) push() (Notice, error) {
	var e struct {
		envelope
		Ref    string `json:"ref"`
		Before string `json:"before"`
		After  string `json:"after"`
		Forced bool   `json:"forced"`
	}
	if !d.parse(&e, &e.envelope) || !d.needRepository() {
		return d.done()
	}
	name, isBranch := strings.CutPrefix(e.Ref, "refs/heads/")
	if !isBranch {
		d.ignore(ReasonNotABranch)
		return d.done()
	}
	d.notice.Always = name == d.notice.Repository.DefaultBranch
	if !branch(name) {
		d.notice.Hints = append(d.notice.Hints, d.refuse("a push moved %s, which is not a branch name that rung can work with: rename the branch", quote(name)))
		return d.done()
	}
	moved := RefsMoved{Ref: e.Ref, Forced: e.Forced, Own: d.self.is(e.Sender), Sender: e.Sender.person()}
	if moved.Before, d.err = hash(e.Before, "before", false); d.err == nil {
		moved.After, d.err = hash(e.After, "after", false)
	}
	d.add(KindRefs, e.Ref, time.Time{}, moved)
	return d.done()
}

var pullRequestActions = []string{
	"opened", "synchronize", "edited", "closed", "reopened", "labeled", "unlabeled", "converted_to_draft",
	"ready_for_review", "auto_merge_enabled", "auto_merge_disabled", "enqueued", "dequeued", "locked", "unlocked",
}

func (d *decoding) pullRequest() (Notice, error) {
	var e struct {
		envelope
		pullRequestPart
	}
	if !d.parse(&e, &e.envelope) || !d.needRepository() || !d.actions(pullRequestActions...) || d.own() {
		return d.done()
	}
	head := e.head(d)
	d.add(KindPullRequest, strconv.Itoa(e.PullRequest.Number), time.Time{}, PullRequest{
		Number: e.PullRequest.Number, Action: e.Action, Head: head,
		HeadRef: branchOr(e.PullRequest.Head.Ref), Base: branchOr(e.PullRequest.Base.Ref), Sender: e.Sender.person(),
	})
	return d.done()
}

func (d *decoding) review() (Notice, error) {
	var e struct {
		envelope
		pullRequestPart
	}
	if !d.parse(&e, &e.envelope) || !d.needRepository() || !d.actions("submitted", "edited", "dismissed") || d.own() {
		return d.done()
	}
	head := e.head(d)
	d.add(KindReview, strconv.Itoa(e.PullRequest.Number), time.Time{}, Review{
		Number: e.PullRequest.Number, Action: e.Action, Head: head, Sender: e.Sender.person(),
	})
	return d.done()
}

// pullRequestPart is the pull request in an event.
type pullRequestPart struct {
	PullRequest struct {
		Number int `json:"number"`
		Head   struct {
			Ref string `json:"ref"`
			SHA string `json:"sha"`
		} `json:"head"`
		Base struct {
			Ref string `json:"ref"`
		} `json:"base"`
	} `json:"pull_request"`
}

// head checks the pull request's number and head.
func (p *pullRequestPart) head(d *decoding) promotion.Hash {
	if p.PullRequest.Number <= 0 {
		d.err = malformed("pull_request.number must be positive")
		return ""
	}
	head, err := hash(p.PullRequest.Head.SHA, "pull_request.head.sha", false)
	if err != nil {
		d.err = err
	}
	return head
}

func (d *decoding) comment() (Notice, error) {
	var e struct {
		envelope
		Issue struct {
			Number      int       `json:"number"`
			PullRequest *struct{} `json:"pull_request"`
		} `json:"issue"`
		Comment struct {
			ID        int64     `json:"id"`
			Body      string    `json:"body"`
			CreatedAt time.Time `json:"created_at"`
			User      account   `json:"user"`
			Via       *struct {
				ID int64 `json:"id"`
			} `json:"performed_via_github_app"`
		} `json:"comment"`
	}
	if !d.parse(&e, &e.envelope) || !d.needRepository() || !d.actions("created") || d.own() {
		return d.done()
	}
	line, isCommand := firstLine(e.Comment.Body)
	switch {
	case e.Comment.ID <= 0 || e.Issue.Number <= 0 || e.Comment.CreatedAt.IsZero():
		d.err = malformed("comment needs an id, a time and the number of its issue")
	case d.self.is(e.Comment.User) || e.Comment.Via != nil && e.Comment.Via.ID == d.self.AppID:
		d.ignore(ReasonOwn)
	case !isCommand:
		d.ignore(ReasonNoCommand)
	case e.Sender.bot() || e.Comment.User.bot():
		d.ignore(ReasonBot)
	case e.Comment.User.ID <= 0 || !loginGrammar.MatchString(e.Comment.User.Login):
		d.notice.Hints = append(d.notice.Hints, d.refuse("comment %d on #%d looks like a command, and its author can't be told", e.Comment.ID, e.Issue.Number))
	default:
		d.add(KindCommand, strconv.FormatInt(e.Comment.ID, 10), e.Comment.CreatedAt, Command{
			Comment: e.Comment.ID, Number: e.Issue.Number, Issue: e.Issue.PullRequest == nil,
			Author: e.Comment.User.person(), CreatedAt: e.Comment.CreatedAt.UTC(), Line: line,
		})
	}
	return d.done()
}

// firstLine returns a comment's first line, and whether it can be a command: a
// slash in the first column and an ASCII letter behind it.
func firstLine(body string) (string, bool) {
	if len(body) < 2 || body[0] != '/' || body[1]|0x20 < 'a' || body[1]|0x20 > 'z' {
		return "", false
	}
	if i := strings.IndexAny(body, "\r\n"); i >= 0 {
		body = body[:i]
	}
	if len(body) > maxLine {
		// Longer than any command by design: it can be answered, not obeyed.
		body = strings.ToValidUTF8(body[:maxLine+1], "") + "…"
	}
	return body, true
}

// checkRunPart is the check run in an event.
type checkRunPart struct {
	CheckRun struct {
		ID      int64  `json:"id"`
		Name    string `json:"name"`
		HeadSHA string `json:"head_sha"`
		App     struct {
			ID int64 `json:"id"`
		} `json:"app"`
	} `json:"check_run"`
	RequestedAction struct {
		Identifier string `json:"identifier"`
	} `json:"requested_action"`
}

func (d *decoding) checkRun() (Notice, error) {
	var e struct {
		envelope
		checkRunPart
	}
	if !d.parse(&e, &e.envelope) || !d.needRepository() || !d.actions("completed", "rerequested", "requested_action") {
		return d.done()
	}
	run := e.CheckRun
	ours := run.App.ID == d.self.AppID
	head, err := hash(run.HeadSHA, "check_run.head_sha", false)
	if err != nil || run.ID <= 0 {
		d.err = malformed("check_run needs a positive id and a head_sha that is a git object id")
		return d.done()
	}
	switch {
	case e.Action == "completed" && ours:
		d.ignore(ReasonOwn)
	case e.Action == "completed":
		d.add(KindCheck, string(head), time.Time{}, Check{Head: head, Name: textOr(run.Name, 255), App: run.App.ID})
	case !ours: // buttons of other Apps are none of our business
		d.ignore(ReasonAction)
	case e.Sender.bot():
		d.ignore(ReasonBot)
	case e.Action == "rerequested":
		d.add(KindRerequest, string(head), time.Time{}, Rerequest{CheckRun: run.ID, Head: head, Sender: e.Sender.person()})
	default:
		d.click(run.ID, e.RequestedAction.Identifier, head)
	}
	return d.done()
}

func (d *decoding) click(run int64, identifier string, head promotion.Hash) {
	sender := d.env.Sender.person()
	switch {
	case !identifierGrammar.MatchString(identifier):
		d.notice.Hints = append(d.notice.Hints, d.refuse("somebody pressed the button %s, which rung does not have", quote(identifier)))
	case sender.ID <= 0 || sender.Login == "":
		d.notice.Hints = append(d.notice.Hints, d.refuse("the button %s was pressed, and by whom can't be told", quote(identifier)))
	default:
		d.add(KindClick, strconv.FormatInt(run, 10), time.Time{}, Click{
			CheckRun: run, Identifier: identifier, Head: head, Sender: sender, Delivery: d.raw.GUID,
		})
	}
}

func (d *decoding) checkSuite() (Notice, error) {
	var e struct {
		envelope
		CheckSuite struct {
			HeadSHA string `json:"head_sha"`
			App     struct {
				ID int64 `json:"id"`
			} `json:"app"`
		} `json:"check_suite"`
	}
	if !d.parse(&e, &e.envelope) || !d.needRepository() || !d.actions("completed", "rerequested") {
		return d.done()
	}
	ours := e.CheckSuite.App.ID == d.self.AppID
	var head promotion.Hash
	if head, d.err = hash(e.CheckSuite.HeadSHA, "check_suite.head_sha", false); d.err != nil {
		return d.done()
	}
	switch {
	case e.Action == "completed" && ours:
		d.ignore(ReasonOwn)
	case e.Action == "completed":
		d.add(KindCheckSuite, string(head), time.Time{}, CheckSuite{Head: head, App: e.CheckSuite.App.ID})
	case ours:
		d.add(KindRerequest, string(head), time.Time{}, Rerequest{Head: head, Sender: e.Sender.person()})
	default:
		d.ignore(ReasonAction)
	}
	return d.done()
}

func (d *decoding) status() (Notice, error) {
	var e struct {
		envelope
		SHA     string `json:"sha"`
		Context string `json:"context"`
		State   string `json:"state"`
	}
	if !d.parse(&e, &e.envelope) || !d.needRepository() || d.own() {
		return d.done()
	}
	var sha promotion.Hash
	sha, d.err = hash(e.SHA, "sha", false)
	d.add(KindStatus, string(sha), time.Time{}, Status{SHA: sha, Context: textOr(e.Context, 255), State: textOr(e.State, 20)})
	return d.done()
}

func (d *decoding) deploymentStatus() (Notice, error) {
	var e struct {
		envelope
		Status struct {
			State string `json:"state"`
		} `json:"deployment_status"`
		Deployment struct {
			ID          int64  `json:"id"`
			SHA         string `json:"sha"`
			Environment string `json:"environment"`
		} `json:"deployment"`
	}
	if !d.parse(&e, &e.envelope) || !d.needRepository() || !d.actions("created") || d.own() {
		return d.done()
	}
	var sha promotion.Hash
	sha, d.err = hash(e.Deployment.SHA, "deployment.sha", false)
	d.add(KindDeployment, string(sha), time.Time{}, Deployment{
		SHA: sha, ID: e.Deployment.ID, Environment: textOr(e.Deployment.Environment, 255), State: textOr(e.Status.State, 20),
	})
	return d.done()
}

func (d *decoding) mergeGroup() (Notice, error) {
	var e struct {
		envelope
		MergeGroup struct {
			HeadSHA string `json:"head_sha"`
			HeadRef string `json:"head_ref"`
			BaseSHA string `json:"base_sha"`
			BaseRef string `json:"base_ref"`
		} `json:"merge_group"`
	}
	if !d.parse(&e, &e.envelope) || !d.needRepository() || !d.actions("checks_requested", "destroyed") {
		return d.done()
	}
	group := MergeGroup{Action: e.Action, HeadRef: refOr(e.MergeGroup.HeadRef), BaseRef: refOr(e.MergeGroup.BaseRef)}
	if group.Head, d.err = hash(e.MergeGroup.HeadSHA, "merge_group.head_sha", false); d.err == nil {
		group.Base, d.err = hash(e.MergeGroup.BaseSHA, "merge_group.base_sha", true)
	}
	d.add(KindMergeGroup, string(group.Head), time.Time{}, group)
	return d.done()
}

func (d *decoding) repository() (Notice, error) {
	var e struct{ envelope }
	if !d.parse(&e, &e.envelope) || !d.needRepository() ||
		!d.actions("created", "renamed", "transferred", "edited", "deleted", "archived", "unarchived", "publicized", "privatized") {
		return d.done()
	}
	d.notice.Always = true
	d.add(KindRepository, e.Action, time.Time{}, RepositoryChange{Action: e.Action, Repository: d.notice.Repository})
	return d.done()
}

func (d *decoding) installation() (Notice, error) {
	var e struct {
		envelope
		Repositories []repository `json:"repositories"`
		Added        []repository `json:"repositories_added"`
		Removed      []repository `json:"repositories_removed"`
	}
	if !d.parse(&e, &e.envelope) || !d.actions("created", "deleted", "suspend", "unsuspend", "new_permissions_accepted", "added", "removed", "renamed") {
		return d.done()
	}
	for _, r := range slices.Concat(e.Repositories, e.Added, e.Removed) {
		if len(d.notice.Affected) == queue.MaxMarks {
			break // the sweep finds the others
		}
		affected, err := r.checked(e.Installation.ID)
		if err != nil {
			d.err = err
			return d.done()
		}
		d.notice.Affected = append(d.notice.Affected, affected)
	}
	d.notice.WholeInstallation = d.raw.Event != "installation_repositories"
	d.notice.AccessHint = d.hint(KindAccess, e.Action, time.Time{}, Access{Event: d.raw.Event, Action: e.Action, Installation: e.Installation.ID})
	return d.done()
}

// actions ends the decoding of an action without use.
func (d *decoding) actions(used ...string) bool {
	if slices.Contains(used, d.env.Action) {
		return true
	}
	d.ignore(ReasonAction)
	return false
}

// branchOr returns s if it is a branch's name, else "".
func branchOr(s string) string {
	if !branch(s) {
		return ""
	}
	return s
}

// refOr returns s if it is a branch's full name, else "".
func refOr(s string) string {
	if name, ok := strings.CutPrefix(s, "refs/heads/"); !ok || !branch(name) {
		return ""
	}
	return s
}
