package e2e

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/rungbot/rung/internal/githubemu"
	"github.com/rungbot/rung/internal/manifest"
	"github.com/rungbot/rung/internal/promotion"
)

// act is something that somebody does. What it returns is set in the script's
// environment: PR, COMMENT, REVIEW, or a digest such as ${checkout:1.1.0}.
type act struct {
	usage string
	args  [2]int
	do    func(ctx context.Context, w *world, args []string) (set map[string]string, err error)
}

var acts = map[string]act{
	"publish":          {"publish ARTIFACT VERSION [like OTHER|again]: push an image", [2]int{2, 4}, doPublish},
	"unpublish":        {"unpublish ARTIFACT VERSION: the registry forgets it", [2]int{2, 2}, doUnpublish},
	"dispatch":         {"dispatch ARTIFACT VERSION by PERSON: tell rung of it", [2]int{4, 4}, doDispatch},
	"review":           {"review PERSON approve|reject|comment PR", [2]int{3, 3}, doReview},
	"dismiss":          {"dismiss PERSON PR REVIEW", [2]int{3, 3}, doDismiss},
	"comment":          {"comment PERSON PR TEXT", [2]int{3, 3}, doComment},
	"lock":             {"lock PERSON PR on|off: the conversation, to those without write", [2]int{3, 3}, doLock},
	"edit-comment":     {"edit-comment PERSON COMMENT TEXT", [2]int{3, 3}, doEditComment},
	"merge":            {"merge PERSON PR [squash|rebase]", [2]int{2, 3}, doMerge},
	"close":            {"close PERSON PR", [2]int{2, 2}, doClose},
	"reopen":           {"reopen PERSON PR", [2]int{2, 2}, doReopen},
	"update-branch":    {"update-branch PERSON PR", [2]int{2, 2}, doUpdateBranch},
	"revert":           {"revert PERSON PR: the Revert button, and PR is the new one", [2]int{2, 2}, doRevert},
	"click":            {"click PERSON PR IDENTIFIER: a button of the check", [2]int{3, 3}, doClick},
	"push":             {"push PERSON DIRECTORY [BRANCH]: commit the script's files", [2]int{2, 3}, doPush},
	"propose":          {"propose PERSON DIRECTORY TITLE: the same as a pull request", [2]int{3, 3}, doPropose},
	"edit":             {"edit PERSON ENVIRONMENT ARTIFACT VERSION [pull]: change a version by hand", [2]int{4, 5}, doEdit},
	"delete-branch":    {"delete-branch PERSON BRANCH", [2]int{2, 2}, doDeleteBranch},
	"permission":       {"permission PERSON ROLE", [2]int{2, 2}, doPermission},
	"rules":            {"rules FILE: replace the branch rules; none takes them away", [2]int{1, 1}, doRules},
	"status":           {"status main|PR NAME STATE: a commit status by the App ci", [2]int{3, 3}, doStatus},
	"check-run":        {"check-run main|PR NAME CONCLUSION APP", [2]int{4, 4}, doCheckRun},
	"health":           {"health PATH ok|bad: what the health server answers there", [2]int{2, 2}, doHealth},
	"webhooks":         {"webhooks ok|duplicate|reorder|drop|lose|forget", [2]int{1, 1}, doWebhooks},
	"sweep":            {"sweep: rung looks for lost deliveries now", [2]int{0, 0}, doSweep},
	"ledger":           {"ledger delete|reset|restore|keep", [2]int{1, 1}, doLedger},
	"restart":          {"restart [-wipe]: without the data directory", [2]int{0, 1}, doRestart},
	"repository":       {"repository OWNER/NAME: another one of carol's, with the App", [2]int{1, 1}, doRepository},
	"dispatch-from":    {"dispatch-from OWNER/NAME ARTIFACT VERSION by PERSON: tell rung from there", [2]int{5, 5}, doDispatchFrom},
	"release":          {"release OWNER/NAME VERSION by PERSON: publish a release there", [2]int{4, 4}, doRelease},
	"package":          {"package OWNER/NAME ARTIFACT VERSION by PERSON: GitHub tells of an image there", [2]int{5, 5}, doPackage},
	"workflow":         {"workflow OWNER/NAME CONCLUSION by PERSON: a run on main ends", [2]int{4, 4}, doWorkflow},
	"empty-repository": {"empty-repository OWNER/NAME: without a commit, with the App", [2]int{1, 1}, doEmptyRepository},
	"fault":            {"fault KIND [ROUTE]: the next such request goes wrong", [2]int{1, 2}, doFault},
	"mergeable":        {"mergeable unknown COUNT: for so many readings", [2]int{2, 2}, doMergeable},
	"installation":     {"installation suspend|unsuspend|remove|add", [2]int{1, 1}, doInstallation},
	"permissions":      {"permissions all|NAME=LEVEL…: what the App is granted", [2]int{1, 9}, doPermissions},
	"app":              {"app all|NAME=LEVEL…: what the App asks for", [2]int{1, 12}, doApp},
	"hook":             {"hook json|form [insecure]: how webhooks are sent", [2]int{1, 2}, doHook},
	"clock":            {"clock DURATION: how far GitHub's clock is ahead", [2]int{1, 1}, doClock},
	"default":          {"default BRANCH: make it from main, and the default", [2]int{1, 1}, doDefault},
	"rename":           {"rename OWNER/NAME: the GitOps repository", [2]int{1, 1}, doRename},
	"visibility":       {"visibility public|private", [2]int{1, 1}, doVisibility},
	"archive":          {"archive on|off", [2]int{1, 1}, doArchive},
	"expire-tokens":    {"expire-tokens: as if an hour had passed", [2]int{0, 0}, doExpireTokens},
	"rewind":           {"rewind PERSON: force main back by a commit", [2]int{1, 1}, doRewind},
	"forget-counts":    {"forget-counts: count what is asked of GitHub anew", [2]int{0, 0}, doForgetCounts},
	"service":          {"service: URL is where rung listens", [2]int{0, 0}, doService},
	"redeliver":        {"redeliver EVENT: the webhooks of that event once more, under their ids", [2]int{1, 1}, doRedeliver},
	"post":             {"post STATUS FILE unsigned|forged|signed EVENT: a webhook by hand, and its answer", [2]int{4, 4}, doPost},
}

func doService(_ context.Context, w *world, _ []string) (map[string]string, error) {
	return map[string]string{"URL": "http://" + w.rung.addr()}, nil
}

func doPublish(_ context.Context, w *world, args []string) (map[string]string, error) {
	ref := args[0] + ":" + args[1]
	w.mu.Lock()
	img := w.images[ref]
	if len(args) == 4 {
		img = w.images[args[0]+":"+args[3]]
	}
	w.mu.Unlock()
	if img == nil || len(args) == 3 && args[2] == "again" {
		var err error
		if img, err = random.Image(64, 1); err != nil {
			return nil, err
		}
	}
	if err := w.push(ref, img); err != nil {
		return nil, err
	}
	d, err := img.Digest()
	return map[string]string{ref: d.String()}, err
}

func doUnpublish(_ context.Context, w *world, args []string) (map[string]string, error) {
	d, err := w.published(args[0] + ":" + args[1])
	if err != nil {
		return nil, err
	}
	for _, ref := range []string{"@" + d, ":" + args[1]} {
		r, err := name.ParseReference(host(w.registry) + "/acme/" + args[0] + ref)
		if err != nil {
			return nil, err
		}
		if err := remote.Delete(r); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

func doDispatch(_ context.Context, w *world, args []string) (map[string]string, error) {
	return nil, w.emu.Dispatch(w.name, args[3], "artifact-published", map[string]any{"artifact": args[0], "version": args[1]})
}

func number(s string) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil {
		return 0, fmt.Errorf("%q is no pull request's number", s)
	}
	return n, nil
}

func doReview(ctx context.Context, w *world, args []string) (map[string]string, error) {
	n, err := number(args[2])
	if err != nil {
		return nil, err
	}
	event := map[string]string{"approve": "APPROVE", "reject": "REQUEST_CHANGES", "comment": "COMMENT"}[args[1]]
	id, err := w.emu.Review(ctx, w.name, n, args[0], event, "as the story says")
	return map[string]string{"REVIEW": strconv.FormatInt(id, 10)}, err
}

func doDismiss(ctx context.Context, w *world, args []string) (map[string]string, error) {
	n, err := number(args[1])
	if err != nil {
		return nil, err
	}
	id, err := strconv.ParseInt(args[2], 10, 64)
	if err != nil {
		return nil, err
	}
	return nil, w.emu.DismissReview(ctx, w.name, n, args[0], id)
}

// doComment takes \n in a text as a line feed.
func doComment(ctx context.Context, w *world, args []string) (map[string]string, error) {
	n, err := number(args[1])
	if err != nil {
		return nil, err
	}
	id, err := w.emu.Comment(ctx, w.name, n, args[0], strings.ReplaceAll(args[2], `\n`, "\n"))
	return map[string]string{"COMMENT": strconv.FormatInt(id, 10)}, err
}

func doLock(ctx context.Context, w *world, args []string) (map[string]string, error) {
	n, err := number(args[1])
	if err != nil {
		return nil, err
	}
	return nil, w.emu.Lock(ctx, w.name, n, args[0], args[2] == "on")
}

func doEditComment(ctx context.Context, w *world, args []string) (map[string]string, error) {
	id, err := strconv.ParseInt(args[1], 10, 64)
	if err != nil {
		return nil, err
	}
	return nil, w.emu.EditComment(ctx, w.name, args[0], id, args[2])
}

func doMerge(ctx context.Context, w *world, args []string) (map[string]string, error) {
	n, err := number(args[1])
	if err != nil {
		return nil, err
	}
	_, err = w.emu.Merge(ctx, w.name, n, args[0], strings.Join(args[2:], ""))
	return nil, err
}

func doClose(ctx context.Context, w *world, args []string) (map[string]string, error) {
	return setState(ctx, w, args, "closed")
}

func doReopen(ctx context.Context, w *world, args []string) (map[string]string, error) {
	return setState(ctx, w, args, "open")
}

func setState(ctx context.Context, w *world, args []string, state string) (map[string]string, error) {
	n, err := number(args[1])
	if err != nil {
		return nil, err
	}
	return nil, w.emu.SetPullState(ctx, w.name, n, args[0], state)
}

func doUpdateBranch(ctx context.Context, w *world, args []string) (map[string]string, error) {
	n, err := number(args[1])
	if err != nil {
		return nil, err
	}
	return nil, w.emu.UpdateBranch(ctx, w.name, n, args[0])
}

func doRevert(ctx context.Context, w *world, args []string) (map[string]string, error) {
	n, err := number(args[1])
	if err != nil {
		return nil, err
	}
	pr, err := w.emu.Revert(ctx, w.name, n, args[0])
	return map[string]string{"PR": strconv.Itoa(pr)}, err
}

func doClick(ctx context.Context, w *world, args []string) (map[string]string, error) {
	p, st, err := w.pullOf(ctx, args[1])
	if err != nil {
		return nil, err
	}
	for _, c := range st.Checks[p.HeadSHA] {
		if c.Name == promotion.CheckName && c.App == "rung" {
			return nil, w.emu.ClickAction(ctx, w.name, args[0], c.ID, args[2])
		}
	}
	return nil, fmt.Errorf("pull request %s has no check rung", args[1])
}

func doPush(ctx context.Context, w *world, args []string) (map[string]string, error) {
	files, err := w.files(args[1])
	if err != nil {
		return nil, err
	}
	links, submodules, err := w.pointers(args[1], files)
	if err != nil || len(files)+len(links)+len(submodules) == 0 {
		return nil, fmt.Errorf("%s holds no files (%v)", args[1], err)
	}
	_, err = w.emu.PushFiles(ctx, githubemu.Push{
		Repository: w.name, Person: args[0], Branch: strings.Join(args[2:], ""), Message: "Change " + args[1], Files: files, Links: links, Submodules: submodules,
	})
	return nil, err
}

func doPropose(ctx context.Context, w *world, args []string) (map[string]string, error) {
	if _, err := doPush(ctx, w, []string{args[0], args[1], args[1]}); err != nil {
		return nil, err
	}
	n, err := w.emu.OpenPull(ctx, w.name, args[0], args[1], w.main, args[2], "")
	return map[string]string{"PR": strconv.Itoa(n)}, err
}

func doEdit(ctx context.Context, w *world, args []string) (map[string]string, error) {
	person, env, artifact, version := args[0], args[1], args[2], args[3]
	d, err := w.published(artifact + ":" + version)
	if err != nil {
		return nil, err
	}
	a := manifest.Artifact{Name: promotion.Artifact(artifact), Image: host(w.registry) + "/acme/" + artifact}
	to := promotion.Value{Version: promotion.Version(version), Digest: promotion.Digest(d)}
	files := map[string]string{}
	for path, text := range w.tree(ctx, w.main, "environments/"+env) {
		edited, changes, err := manifest.Edit(path, []byte(text), a, to, manifest.PinDigest)
		if err != nil {
			return nil, err
		}
		if len(changes) > 0 {
			files[path] = string(edited)
		}
	}
	push := githubemu.Push{Repository: w.name, Person: person, Message: "Set " + artifact + " by hand", Files: files}
	if len(args) == 5 {
		push.Branch = "by-hand-" + version
	}
	if _, err := w.emu.PushFiles(ctx, push); err != nil || len(args) == 4 {
		return nil, err
	}
	n, err := w.emu.OpenPull(ctx, w.name, person, push.Branch, w.main, push.Message, "")
	return map[string]string{"PR": strconv.Itoa(n)}, err
}

func doDeleteBranch(ctx context.Context, w *world, args []string) (map[string]string, error) {
	return nil, w.emu.MoveBranch(ctx, w.name, args[0], args[1], "")
}

func doPermission(_ context.Context, w *world, args []string) (map[string]string, error) {
	return nil, w.emu.SetPermission(w.name, args[0], args[1])
}

func doRules(_ context.Context, w *world, args []string) (map[string]string, error) {
	var rules []githubemu.Ruleset
	if args[0] != "none" {
		data, err := os.ReadFile(filepath.Join(w.dir, args[0]))
		if err != nil {
			return nil, err
		}
		if err := json.Unmarshal(data, &rules); err != nil {
			return nil, err
		}
	}
	return nil, w.emu.SetRules(w.name, rules...)
}

// commitOf is main, or the head of a pull request.
func (w *world) commitOf(ctx context.Context, target string) (string, error) {
	if _, err := strconv.Atoi(target); err != nil {
		return target, nil
	}
	p, _, err := w.pullOf(ctx, target)
	return p.HeadSHA, err
}

func doStatus(ctx context.Context, w *world, args []string) (map[string]string, error) {
	sha, err := w.commitOf(ctx, args[0])
	if err != nil {
		return nil, err
	}
	return nil, w.emu.ReportStatus(ctx, githubemu.CheckReport{Repository: w.name, App: "ci", SHA: sha, Name: args[1], State: args[2]})
}

func doCheckRun(ctx context.Context, w *world, args []string) (map[string]string, error) {
	sha, err := w.commitOf(ctx, args[0])
	if err != nil {
		return nil, err
	}
	conclusion := args[2]
	if conclusion == "running" {
		conclusion = ""
	}
	_, err = w.emu.ReportCheck(ctx, githubemu.CheckReport{Repository: w.name, App: args[3], SHA: sha, Name: args[1], Conclusion: conclusion})
	return nil, err
}

func doHealth(_ context.Context, w *world, args []string) (map[string]string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sick[args[0]] = map[string]int{"ok": http.StatusOK, "bad": http.StatusServiceUnavailable}[args[1]]
	return nil, nil
}

func doWebhooks(_ context.Context, w *world, args []string) (map[string]string, error) {
	w.emu.ClearFaults()
	switch args[0] {
	case "ok":
		return nil, nil
	case "forget": // the list of deliveries, as after three days
		w.emu.ForgetDeliveries()
		return nil, nil
	}
	_, err := w.emu.AddFault(githubemu.Fault{Kind: args[0], Times: -1})
	return nil, err
}

func doSweep(ctx context.Context, w *world, _ []string) (map[string]string, error) {
	return nil, w.rung.sweep(ctx)
}

func doLedger(ctx context.Context, w *world, args []string) (map[string]string, error) {
	refs, err := w.git.Refs(ctx, promotion.LedgerRef)
	if err != nil {
		return nil, err
	}
	tip := refs[promotion.LedgerRef]
	branch := strings.TrimPrefix(promotion.LedgerRef, "refs/heads/")
	switch args[0] {
	case "delete":
		w.backup = tip
		return nil, w.emu.MoveBranch(ctx, w.name, "alice", branch, "")
	case "reset":
		w.backup = tip
		c, err := w.git.ReadCommit(ctx, tip)
		if err != nil {
			return nil, err
		}
		other, err := w.git.WriteObject(ctx, "commit", []byte("tree "+c.Tree+"\nauthor a <a@b> 1700000000 +0000\ncommitter a <a@b> 1700000000 +0000\n\nA new beginning\n"))
		if err != nil {
			return nil, err
		}
		return nil, w.emu.MoveBranch(ctx, w.name, "alice", branch, other)
	case "keep": // under another name
		if err := w.emu.MoveBranch(ctx, w.name, "alice", branch+"-1", tip); err != nil {
			return nil, err
		}
		return map[string]string{"ENDED": tip}, nil
	case "restore":
		return nil, w.emu.MoveBranch(ctx, w.name, "alice", branch, w.backup)
	}
	return nil, fmt.Errorf("there is no ledger %s", args[0])
}

func doRestart(ctx context.Context, w *world, args []string) (map[string]string, error) {
	if err := w.rung.stop(); err != nil {
		return nil, err
	}
	if len(args) == 1 {
		if err := os.RemoveAll(w.data()); err != nil {
			return nil, err
		}
	}
	if _, was := w.rung.(*outside); was {
		return nil, w.startOutside(ctx)
	}
	return nil, w.startInside(ctx)
}

func doRepository(ctx context.Context, w *world, args []string) (map[string]string, error) {
	if err := w.emu.CreateRepository(ctx, githubemu.RepositorySeed{
		Name: args[0], Public: true, Collaborators: map[string]string{"carol": "write"},
		Commits: []githubemu.CommitSeed{{Author: "carol", Files: map[string]string{"README.md": "# source\n"}}},
	}); err != nil {
		return nil, err
	}
	_, err := w.emu.Install("acme", args[0])
	return nil, err
}

func doDispatchFrom(_ context.Context, w *world, args []string) (map[string]string, error) {
	return nil, w.emu.Dispatch(args[0], args[4], "artifact-published", map[string]any{"artifact": args[1], "version": args[2]})
}

func doRelease(ctx context.Context, w *world, args []string) (map[string]string, error) {
	return nil, w.emu.PublishRelease(ctx, args[0], args[3], args[1], "What is new.")
}

func doPackage(ctx context.Context, w *world, args []string) (map[string]string, error) {
	digest, err := w.published(args[1] + ":" + args[2])
	if err != nil {
		return nil, err
	}
	// One event for the manifest of each architecture comes without a tag.
	for _, tag := range []string{"", args[2]} {
		p := githubemu.Package{Repository: args[0], Person: args[4], Name: args[1], Digest: digest, Tag: tag, Host: host(w.registry)}
		if err := w.emu.PublishPackage(ctx, p); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

func doWorkflow(ctx context.Context, w *world, args []string) (map[string]string, error) {
	return nil, w.emu.FinishWorkflow(ctx, args[0], args[3], "build", "main", args[1])
}

func doEmptyRepository(ctx context.Context, w *world, args []string) (map[string]string, error) {
	if err := w.emu.CreateRepository(ctx, githubemu.RepositorySeed{Name: args[0], Public: true}); err != nil {
		return nil, err
	}
	_, err := w.emu.Install("acme", args[0])
	return nil, err
}

func doFault(_ context.Context, w *world, args []string) (map[string]string, error) {
	_, err := w.emu.AddFault(githubemu.Fault{Kind: args[0], Route: strings.Join(args[1:], "")})
	return nil, err
}

func doMergeable(_ context.Context, w *world, args []string) (map[string]string, error) {
	n, err := strconv.Atoi(args[1])
	if err != nil || args[0] != "unknown" {
		return nil, fmt.Errorf("say mergeable unknown COUNT")
	}
	w.emu.SetNullMergeable(n)
	return nil, nil
}

func doInstallation(_ context.Context, w *world, args []string) (map[string]string, error) {
	switch args[0] {
	case "suspend", "unsuspend":
		return nil, w.emu.SuspendInstallation("acme", args[0] == "suspend")
	case "remove":
		return nil, w.emu.Uninstall("acme", w.name)
	case "add":
		_, err := w.emu.Install("acme", w.name)
		return nil, err
	}
	return nil, fmt.Errorf("there is no installation %s", args[0])
}

func doPermissions(_ context.Context, w *world, args []string) (map[string]string, error) {
	return nil, w.emu.SetPermissions("acme", permissions(args))
}

func doDefault(ctx context.Context, w *world, args []string) (map[string]string, error) {
	st, err := w.state(ctx)
	if err != nil {
		return nil, err
	}
	if err := w.emu.MoveBranch(ctx, w.name, "alice", args[0], st.Branches["main"]); err != nil {
		return nil, err
	}
	if err := w.emu.ChangeRepository(w.name, githubemu.RepositorySettings{DefaultBranch: &args[0]}); err != nil {
		return nil, err
	}
	w.main = args[0]
	return nil, w.emu.MoveBranch(ctx, w.name, "alice", "main", "")
}

func doRename(_ context.Context, w *world, args []string) (map[string]string, error) {
	if err := w.emu.RenameRepository(w.name, args[0]); err != nil {
		return nil, err
	}
	w.name = args[0]
	return nil, nil
}

func doArchive(_ context.Context, w *world, args []string) (map[string]string, error) {
	on := args[0] == "on"
	return nil, w.emu.ChangeRepository(w.name, githubemu.RepositorySettings{Archived: &on})
}

func doVisibility(_ context.Context, w *world, args []string) (map[string]string, error) {
	private := args[0] == "private"
	return nil, w.emu.ChangeRepository(w.name, githubemu.RepositorySettings{Private: &private})
}

func doExpireTokens(_ context.Context, w *world, _ []string) (map[string]string, error) {
	w.emu.ExpireTokens()
	return nil, nil
}

func doRewind(ctx context.Context, w *world, args []string) (map[string]string, error) {
	refs, err := w.git.Refs(ctx, "refs/heads/main")
	if err != nil {
		return nil, err
	}
	c, err := w.git.ReadCommit(ctx, refs["refs/heads/main"])
	if err != nil {
		return nil, err
	}
	return map[string]string{"MAIN": c.ID}, w.emu.MoveBranch(ctx, w.name, args[0], "main", c.Parents[0])
}

func doForgetCounts(_ context.Context, w *world, _ []string) (map[string]string, error) {
	w.emu.ResetCounts()
	return nil, nil
}

// doPost sends a file, or, for huge, more than any webhook has.
func doPost(ctx context.Context, w *world, args []string) (map[string]string, error) {
	body := bytes.Repeat([]byte(" "), 26<<20)
	if args[1] != "huge" {
		var err error
		if body, err = os.ReadFile(filepath.Join(w.dir, args[1])); err != nil {
			return nil, err
		}
	}
	key := map[string]string{"signed": secret, "forged": "another secret of sixteen bytes"}[args[2]]
	status, err := w.deliver(ctx, args[3], "00000000-0000-4000-8000-"+fmt.Sprintf("%012d", len(body)), key, body)
	if err != nil {
		return nil, err
	}
	if strconv.Itoa(status) != args[0] {
		return nil, fmt.Errorf("answered %d, not %s", status, args[0])
	}
	return nil, nil
}

// deliver posts a webhook to rung, without a signature if key is empty.
func (w *world) deliver(ctx context.Context, event, guid, key string, body []byte) (status int, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+w.rung.addr()+"/github/webhook", bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	maps.Copy(req.Header, http.Header{
		"Content-Type": {"application/json"}, "X-Github-Event": {event}, "X-Github-Delivery": {guid},
		"X-Github-Hook-Installation-Target-Id": {strconv.Itoa(appID)}, "X-Github-Hook-Installation-Target-Type": {"integration"},
	})
	if key != "" {
		mac := hmac.New(sha256.New, []byte(key))
		_, _ = mac.Write(body)
		req.Header.Set("X-Hub-Signature-256", "sha256="+hex.EncodeToString(mac.Sum(nil)))
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	return resp.StatusCode, resp.Body.Close()
}

func doRedeliver(ctx context.Context, w *world, args []string) (map[string]string, error) {
	n := 0
	for _, d := range w.emu.Deliveries() {
		if d.Event != args[0] {
			continue
		}
		n++
		if status, err := w.deliver(ctx, d.Event, d.GUID, secret, d.Payload); err != nil || status != http.StatusAccepted {
			return nil, fmt.Errorf("delivery %s is answered %d: %w", d.GUID, status, err)
		}
	}
	if n == 0 {
		return nil, fmt.Errorf("there was no %s", args[0])
	}
	return nil, nil
}
