package github

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/rungbot/rung/internal/promotion"
)

const (
	headSHA = "3333333333333333333333333333333333333333"
	baseSHA = "1111111111111111111111111111111111111111"
	zeroSHA = "0000000000000000000000000000000000000000"
	indexed = "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef"
	ada     = `{"id":5,"login":"ada","type":"User"}`
	rungBot = `{"id":90,"login":"rung[bot]","type":"Bot"}`
	ciBot   = `{"id":91,"login":"ci[bot]","type":"Bot"}`
)

// in is a payload of the GitOps repository acme/deploy by sender: fields are
// the event's own, without braces.
func in(sender, fields string) string {
	return `{` + fields + `,"repository":{"id":1,"node_id":"R_1","name":"deploy","full_name":"acme/deploy","private":true,"owner":{"login":"acme","id":3,"type":"Organization"},` +
		`"html_url":"https://github.example/acme/deploy","default_branch":"main","pushed_at":"2026-03-02T08:59:00Z"},` +
		`"organization":{"login":"acme","id":3},"installation":{"id":7,"node_id":"I_7"},"sender":` + sender + `}`
}

// from is the same for the source repository acme/checkout, which has no
// rung.yaml.
func from(fields string) string {
	return strings.NewReplacer(`"id":1,`, `"id":20,`, "acme/deploy", "acme/checkout").Replace(in(ada, fields))
}

func dispatchBody(payload string) string {
	return from(`"action":"artifact-published","branch":"main","client_payload":` + payload)
}

func packageBody(field, tag, url string) string {
	return from(fmt.Sprintf(`"action":"published","%s":{"id":10,"name":"checkout","namespace":"Acme","ecosystem":"CONTAINER","package_type":"CONTAINER",
		"package_version":{"id":11,"version":"%s","name":"%s","manifest":"","container_metadata":{"tag":{"name":"%s","digest":"%s"},"labels":{"all_labels":{}},"manifest":{"digest":""}},
		"installation_command":"docker pull %s","package_url":"%s"},"registry":{"type":"CONTAINER","vendor":"GitHub Inc"}}`, field, indexed, indexed, tag, indexed, url, url))
}

func commentBody(sender, body, more string) string {
	quoted, err := json.Marshal(body)
	if err != nil {
		panic(err)
	}
	return in(sender, fmt.Sprintf(`"action":"created","issue":{"number":12,"title":"Promote checkout","state":"open"%s},
		"comment":{"id":99,"body":%s,"created_at":"2026-03-02T08:58:30Z","author_association":"NONE","user":%s}`, more, quoted, sender))
}

func pullBody(sender, action string) string {
	return in(sender, `"action":"`+action+`","number":12,"pull_request":{"id":1200,"number":12,"state":"open","head":{"ref":"rung/p/dev/checkout","sha":"`+headSHA+
		`"},"base":{"ref":"main","sha":"`+baseSHA+`"},"user":`+rungBot+`}`)
}

func checkBody(sender, action string, app int, more string) string {
	return in(sender, fmt.Sprintf(`"action":"%s","check_run":{"id":55,"name":"test / unit","head_sha":"%s","status":"completed","conclusion":"success",
		"app":{"id":%d,"slug":"x"},"check_suite":{"id":66,"head_branch":null},"pull_requests":[]}%s`, action, headSHA, app, more))
}

// eventCase is one delivery and what comes of it: marks ("key kind subject
// data", data's sender left out where it is ada), or why there are none.
type eventCase struct {
	event, body string
	marks       []string
	ignored     Reason
	malformed   bool
}

const onPull = `,"pull_request":{"url":"https://api.github.example/repos/acme/deploy/pulls/12"}`

var eventCases = map[string]eventCase{
	"ping":                     {event: "ping", body: `{"zen":"Keep it logically awesome.","hook_id":1}`, ignored: ReasonPing},
	"unknown":                  {event: "watch", body: in(ada, `"action":"started"`), ignored: ReasonUnknownEvent},
	"a name with a digit":      {event: "projects_v2_item", body: in(ada, `"action":"edited"`), ignored: ReasonUnknownEvent},
	"no installation":          {event: "push", body: strings.Replace(pushToMain, `"id":7`, `"id":0`, 1), ignored: ReasonNoInstallation},
	"no repository":            {event: "status", body: `{"installation":{"id":7}}`, ignored: ReasonNoRepository},
	"repository without name":  {event: "status", body: `{"installation":{"id":7},"repository":{"id":1,"full_name":"acme/.."}}`, malformed: true},
	"repository not an object": {event: "status", body: `{"installation":{"id":7},"repository":[]}`, malformed: true},

	"push creates a branch": {
		event: "push", body: in(ada, `"ref":"refs/heads/a/ü","before":"`+zeroSHA+`","after":"`+headSHA+`","created":true,"commits":[]`),
		marks: []string{`repo/1 refs refs/heads/a/ü {"ref":"refs/heads/a/ü","after":"` + headSHA + `"}`},
	},
	"own push": {
		event: "push", body: in(rungBot, `"ref":"refs/heads/rung/p/dev/checkout","before":"`+headSHA+`","after":"`+zeroSHA+`","forced":true`),
		marks: []string{`repo/1 refs refs/heads/rung/p/dev/checkout {"ref":"refs/heads/rung/p/dev/checkout","before":"` + headSHA + `","forced":true,"own":true,"sender":{"id":90,"login":"rung[bot]","bot":true}}`},
	},
	"push of a tag":         {event: "push", body: in(ada, `"ref":"refs/tags/v1","before":"`+zeroSHA+`","after":"`+headSHA+`"`), ignored: ReasonNotABranch},
	"push without hashes":   {event: "push", body: in(ada, `"ref":"refs/heads/main"`), malformed: true},
	"push to an odd branch": {event: "push", body: in(ada, `"ref":"refs/heads/a..b","before":"`+zeroSHA+`","after":"`+headSHA+`"`), marks: []string{`repo/1 refused g-1 {"event":"push","delivery":"g-1","repository":"acme/deploy","reason":"a push moved \"a..b\", which is not a branch name that rung can work with: rename the branch"}`}},
	"push to the default branch of an unconfigured repository": {
		event: "push", body: from(`"ref":"refs/heads/main","before":"` + baseSHA + `","after":"` + headSHA + `"`),
		marks: []string{`repo/20 refs refs/heads/main {"ref":"refs/heads/main","before":"` + baseSHA + `","after":"` + headSHA + `"}`},
	},
	"push elsewhere in an unconfigured repository": {event: "push", body: from(`"ref":"refs/heads/x","before":"` + baseSHA + `","after":"` + headSHA + `"`), ignored: ReasonNotConfigured},

	"pull request": {
		event: "pull_request", body: pullBody(ada, "synchronize"),
		marks: []string{`repo/1 pull-request 12 {"number":12,"action":"synchronize","head":"` + headSHA + `","headRef":"rung/p/dev/checkout","base":"main"}`},
	},
	"own pull request":                {event: "pull_request", body: pullBody(rungBot, "opened"), ignored: ReasonOwn},
	"pull request assigned":           {event: "pull_request", body: pullBody(ada, "assigned"), ignored: ReasonAction},
	"pull request without a head":     {event: "pull_request", body: in(ada, `"action":"opened","pull_request":{"number":12}`), malformed: true},
	"pull request without a number":   {event: "pull_request", body: in(ada, `"action":"opened","pull_request":{"head":{"sha":"`+headSHA+`"}}`), malformed: true},
	"pull request with a text number": {event: "pull_request", body: in(ada, `"action":"opened","pull_request":{"number":"12"}`), malformed: true},
	"pull request in a repository without rung.yaml": {
		event: "pull_request", ignored: ReasonNotConfigured,
		body: from(`"action":"opened","pull_request":{"number":12,"head":{"sha":"` + headSHA + `"}}`),
	},

	"review": {
		event: "pull_request_review", body: in(ada, `"action":"submitted","review":{"id":77,"state":"approved","commit_id":"`+headSHA+`","user":`+ada+`},"pull_request":{"number":12,"head":{"ref":"x","sha":"`+headSHA+`"}}`),
		marks: []string{`repo/1 review 12 {"number":12,"action":"submitted","head":"` + headSHA + `"}`},
	},

	"command": {
		event: "issue_comment", body: commentBody(ada, "/rollback checkout in prod-eu\r\nIt is slow.", onPull),
		marks: []string{`repo/1 command 99 {"comment":99,"number":12,"author":{"id":5,"login":"ada"},"createdAt":"2026-03-02T08:58:30Z","line":"/rollback checkout in prod-eu"}`},
	},
	"command on an issue": {
		event: "issue_comment", body: commentBody(ada, "/why", ""),
		marks: []string{`repo/1 command 99 {"comment":99,"number":12,"issue":true,"author":{"id":5,"login":"ada"},"createdAt":"2026-03-02T08:58:30Z","line":"/why"}`},
	},
	"command edited in":          {event: "issue_comment", body: strings.Replace(commentBody(ada, "/rollback", onPull), "created", "edited", 1), ignored: ReasonAction},
	"command deleted":            {event: "issue_comment", body: strings.Replace(commentBody(ada, "/rollback", onPull), "created", "deleted", 1), ignored: ReasonAction},
	"command indented":           {event: "issue_comment", body: commentBody(ada, " /rollback", onPull), ignored: ReasonNoCommand},
	"command quoted":             {event: "issue_comment", body: commentBody(ada, "> /rollback", onPull), ignored: ReasonNoCommand},
	"command in the second line": {event: "issue_comment", body: commentBody(ada, "hello\n/rollback", onPull), ignored: ReasonNoCommand},
	"command in a fence":         {event: "issue_comment", body: commentBody(ada, "```\n/rollback\n```", onPull), ignored: ReasonNoCommand},
	"look-alike slash":           {event: "issue_comment", body: commentBody(ada, "∕rollback", onPull), ignored: ReasonNoCommand},
	"slash and a digit":          {event: "issue_comment", body: commentBody(ada, "/1", onPull), ignored: ReasonNoCommand},
	"slash alone":                {event: "issue_comment", body: commentBody(ada, "/", onPull), ignored: ReasonNoCommand},
	"no comment text":            {event: "issue_comment", body: commentBody(ada, "", onPull), ignored: ReasonNoCommand},
	"own comment":                {event: "issue_comment", body: commentBody(rungBot, "/rollback", onPull), ignored: ReasonOwn},
	"comment through our App": {
		event: "issue_comment", ignored: ReasonOwn,
		body: strings.Replace(commentBody(ada, "/rollback", onPull), `"author_association"`, `"performed_via_github_app":{"id":4711},"author_association"`, 1),
	},
	"a bot's comment":    {event: "issue_comment", body: commentBody(ciBot, "/rollback", onPull), ignored: ReasonBot},
	"comment without id": {event: "issue_comment", body: in(ada, `"action":"created","issue":{"number":12},"comment":{"body":"/why"}`), malformed: true},
	"comment of a ghost": {
		event: "issue_comment", body: strings.Replace(commentBody(ada, "/why", onPull), `"user":`+ada, `"user":null`, 1),
		marks: []string{`repo/1 refused g-1 {"event":"issue_comment","delivery":"g-1","repository":"acme/deploy","reason":"comment 99 on #12 looks like a command, and its author can't be told"}`},
	},

	"check completed": {
		event: "check_run", body: checkBody(ciBot, "completed", 15368, ""),
		marks: []string{`repo/1 check ` + headSHA + ` {"head":"` + headSHA + `","name":"test / unit","app":15368}`},
	},
	"own check completed": {event: "check_run", body: checkBody(ada, "completed", 4711, ""), ignored: ReasonOwn},
	"own check created":   {event: "check_run", body: checkBody(rungBot, "created", 4711, ""), ignored: ReasonAction},
	"button": {
		event: "check_run", body: checkBody(ada, "requested_action", 4711, `,"requested_action":{"identifier":"rollback"}`),
		marks: []string{`repo/1 click 55 {"checkRun":55,"identifier":"rollback","head":"` + headSHA + `","delivery":"g-1"}`},
	},
	"button of another App":   {event: "check_run", body: checkBody(ada, "requested_action", 1, `,"requested_action":{"identifier":"rollback"}`), ignored: ReasonAction},
	"button pressed by a bot": {event: "check_run", body: checkBody(ciBot, "requested_action", 4711, `,"requested_action":{"identifier":"rollback"}`), ignored: ReasonBot},
	"button with odd text": {
		event: "check_run", body: checkBody(ada, "requested_action", 4711, `,"requested_action":{"identifier":"a b"}`),
		marks: []string{`repo/1 refused g-1 {"event":"check_run","delivery":"g-1","repository":"acme/deploy","reason":"somebody pressed the button \"a b\", which rung does not have"}`},
	},
	"check again": {
		event: "check_run", body: checkBody(ada, "rerequested", 4711, ""),
		marks: []string{`repo/1 rerequest ` + headSHA + ` {"checkRun":55,"head":"` + headSHA + `"}`},
	},
	"check without head": {event: "check_run", body: in(ada, `"action":"completed","check_run":{"id":1}`), malformed: true},
	"suite completed": {
		event: "check_suite", body: in(ciBot, `"action":"completed","check_suite":{"id":66,"head_branch":null,"head_sha":"`+headSHA+`","app":{"id":15368}}`),
		marks: []string{`repo/1 check-suite ` + headSHA + ` {"head":"` + headSHA + `","app":15368}`},
	},
	"own suite completed": {event: "check_suite", body: in(ciBot, `"action":"completed","check_suite":{"head_sha":"`+headSHA+`","app":{"id":4711}}`), ignored: ReasonOwn},
	"all checks again": {
		event: "check_suite", body: in(ada, `"action":"rerequested","check_suite":{"head_sha":"`+headSHA+`","app":{"id":4711}}`),
		marks: []string{`repo/1 rerequest ` + headSHA + ` {"head":"` + headSHA + `"}`},
	},
	"another App's suite again": {event: "check_suite", body: in(ada, `"action":"rerequested","check_suite":{"head_sha":"`+headSHA+`","app":{"id":1}}`), ignored: ReasonAction},

	"status": {
		event: "status", body: in(ada, `"id":8,"sha":"`+headSHA+`","name":"acme/deploy","context":"argocd/checkout","state":"success","description":null,"branches":[]`),
		marks: []string{`repo/1 status ` + headSHA + ` {"sha":"` + headSHA + `","context":"argocd/checkout","state":"success"}`},
	},
	"own status":    {event: "status", body: in(rungBot, `"sha":"`+headSHA+`","context":"rung","state":"success"`), ignored: ReasonOwn},
	"status no sha": {event: "status", body: in(ada, `"sha":"main","context":"ci","state":"success"`), malformed: true},
	"deployment status": {
		event: "deployment_status", body: in(ada, `"action":"created","deployment_status":{"id":1,"state":"failure"},"deployment":{"id":31,"sha":"`+headSHA+`","ref":"main","environment":"prod-eu"}`),
		marks: []string{`repo/1 deployment ` + headSHA + ` {"sha":"` + headSHA + `","id":31,"environment":"prod-eu","state":"failure"}`},
	},
	"merge group": {
		event: "merge_group", body: in(ada, `"action":"checks_requested","merge_group":{"head_sha":"`+headSHA+`","head_ref":"refs/heads/gh-readonly-queue/main/pr-12-`+baseSHA+`","base_sha":"`+baseSHA+`","base_ref":"refs/heads/main"}`),
		marks: []string{`repo/1 merge-group ` + headSHA + ` {"action":"checks_requested","head":"` + headSHA + `","headRef":"refs/heads/gh-readonly-queue/main/pr-12-` + baseSHA + `","base":"` + baseSHA + `","baseRef":"refs/heads/main"}`},
	},

	"dispatch": {
		event: "repository_dispatch", body: dispatchBody(`{"artifact":"checkout","version":"1.4.2","digest":"` + indexed + `","source":{"repository":"acme/checkout","commit":"` + headSHA + `"},"extra":{"x":1}}`),
		marks: []string{
			`repo/1 published checkout {"artifact":"checkout","version":"1.4.2","digest":"` + indexed + `","publisher":"acme/checkout","publisherID":20,"source":{"repository":"acme/checkout","commit":"` + headSHA + `"},"event":"repository_dispatch","delivery":"g-1"}`,
			`repo/2 published checkout {"artifact":"checkout","version":"1.4.2","digest":"` + indexed + `","publisher":"acme/checkout","publisherID":20,"source":{"repository":"acme/checkout","commit":"` + headSHA + `"},"event":"repository_dispatch","delivery":"g-1"}`,
		},
	},
	"dispatch of another type": {event: "repository_dispatch", body: strings.Replace(dispatchBody(`{}`), "artifact-published", "deploy", 1), ignored: ReasonAction},
	"dispatch nobody wants": {
		event: "repository_dispatch", ignored: ReasonUnrouted,
		body: strings.Replace(dispatchBody(`{"artifact":"billing","version":"1"}`), "acme/checkout", "acme/billing", 1),
	},
	"package of an image": {
		event: "package", body: packageBody("package", "1.4.2", "ghcr.io/Acme/Checkout:1.4.2"),
		marks: []string{
			`repo/1 published ghcr.io/acme/checkout {"image":"ghcr.io/acme/checkout","version":"1.4.2","digest":"` + indexed + `","publisher":"acme/checkout","publisherID":20,"event":"package","delivery":"g-1"}`,
			`repo/2 published ghcr.io/acme/checkout {"image":"ghcr.io/acme/checkout","version":"1.4.2","digest":"` + indexed + `","publisher":"acme/checkout","publisherID":20,"event":"package","delivery":"g-1"}`,
		},
	},
	"package of an organisation": {
		event: "registry_package", body: `{"action":"updated","installation":{"id":7},"sender":` + ada + `,"registry_package":{"package_version":{"version":"` + indexed + `","package_url":"ghcr.io/acme/checkout:1.4.2","container_metadata":{"tag":{"name":"1.4.2","digest":""}}}}}`,
		marks: []string{`repo/1 published ghcr.io/acme/checkout {"image":"ghcr.io/acme/checkout","version":"1.4.2","digest":"` + indexed + `","event":"registry_package","delivery":"g-1"}`},
	},
	"manifest of one architecture": {event: "registry_package", body: packageBody("registry_package", "", "ghcr.io/acme/checkout:"), ignored: ReasonUntagged},
	"npm package":                  {event: "registry_package", body: from(`"action":"published","registry_package":{"name":"x","package_version":{"version":"1.0.0","container_metadata":null}}`), ignored: ReasonNotAnImage},
	"package in the wrong field":   {event: "package", body: packageBody("registry_package", "1.4.2", "ghcr.io/acme/checkout:1.4.2"), ignored: ReasonNotAnImage},
	"release": {
		event: "release", body: from(`"action":"published","release":{"id":4,"tag_name":"v1.4.2","name":"Spring","body":"…","draft":false,"published_at":"2026-03-02T08:50:00Z"}`),
		marks: []string{`repo/2 published acme/checkout {"version":"v1.4.2","publisher":"acme/checkout","publisherID":20,"source":{"repository":"acme/checkout"},"event":"release","delivery":"g-1"}`},
	},
	"release edited": {event: "release", body: from(`"action":"edited","release":{"tag_name":"v1.4.2"}`), ignored: ReasonAction},
	"workflow of a publisher": {
		event: "workflow_run", body: from(`"action":"completed","workflow_run":{"id":9,"head_sha":"` + headSHA + `","conclusion":"success"}`),
		marks: []string{`repo/2 published acme/checkout {"publisher":"acme/checkout","publisherID":20,"source":{"repository":"acme/checkout","commit":"` + headSHA + `"},"event":"workflow_run","delivery":"g-1"}`},
	},
	"failed workflow of a publisher": {event: "workflow_run", body: from(`"action":"completed","workflow_run":{"id":9,"head_sha":"` + headSHA + `","conclusion":"failure"}`), ignored: ReasonNotConfigured},
	"workflow of the GitOps repository": {
		event: "workflow_run", body: in(ada, `"action":"completed","workflow_run":{"id":9,"head_sha":"`+headSHA+`","conclusion":"failure"}`),
		marks: []string{`repo/1 workflow ` + headSHA + ` {"head":"` + headSHA + `","run":9}`},
	},

	"installation suspended": {
		event: "installation", body: `{"action":"suspend","installation":{"id":7,"account":{"login":"acme"}},"sender":` + ada + `}`,
		marks: []string{`repo/1 access suspend {"event":"installation","action":"suspend","installation":7}`, `repo/2 access suspend {"event":"installation","action":"suspend","installation":7}`},
	},
	"installation created": {
		event: "installation", body: `{"action":"created","installation":{"id":8},"repositories":[{"id":30,"full_name":"beta/ops"},{"id":30,"full_name":"beta/ops"}],"sender":` + ada + `}`,
		marks: []string{`repo/30 access created {"event":"installation","action":"created","installation":8}`},
	},
	"installation of nothing": {event: "installation", body: `{"action":"created","installation":{"id":8},"sender":` + ada + `}`, ignored: ReasonNoRepository},
	"repository removed": {
		event: "installation_repositories", body: `{"action":"removed","installation":{"id":7},"repositories_added":[],"repositories_removed":[{"id":2,"full_name":"acme/deploy-eu"}],"sender":` + ada + `}`,
		marks: []string{`repo/2 access removed {"event":"installation_repositories","action":"removed","installation":7}`},
	},
	"repository added, badly named": {event: "installation_repositories", body: `{"action":"added","installation":{"id":7},"repositories_added":[{"id":2,"full_name":"x"}]}`, malformed: true},
	"repository renamed": {
		event: "repository", body: from(`"action":"renamed","changes":{"repository":{"name":{"from":"old"}}}`),
		marks: []string{`repo/20 repository renamed {"action":"renamed","repository":{"id":20,"installation":7,"owner":"acme","name":"checkout","url":"https://github.example/acme/checkout","defaultBranch":"main"}}`},
	},
	"organisation renamed": {
		event: "installation_target", body: `{"action":"renamed","installation":{"id":7},"account":{"login":"acme2"},"sender":` + ada + `}`,
		marks: []string{`repo/1 access renamed {"event":"installation_target","action":"renamed","installation":7}`, `repo/2 access renamed {"event":"installation_target","action":"renamed","installation":7}`},
	},
}

func TestEvents(t *testing.T) {
	for name, c := range eventCases {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			status, text := w.send(request(c.event, "g-1", c.body))
			if want := map[bool]int{false: 202, true: 400}[c.malformed]; status != want {
				t.Fatalf("answered %d %q, want %d", status, text, want)
			}
			got := []string{}
			for _, line := range w.due(t) {
				got = append(got, strings.NewReplacer(`"sender":{"id":5,"login":"ada"},`, "", `,"sender":{"id":5,"login":"ada"}`, "").Replace(line))
			}
			if want := append([]string{}, c.marks...); !reflect.DeepEqual(got, want) {
				t.Errorf("marked\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
			if c.ignored != "" && (text != "ignored: "+string(c.ignored) || w.door.Counts().Ignored[c.ignored] != 1) {
				t.Errorf("answered %q, want %q ignored", text, c.ignored)
			}
		})
	}
}

func TestLongCommandCanBeAnsweredAndNotObeyed(t *testing.T) {
	for name, filler := range map[string]string{"ascii": "a", "two bytes": "ä", "three bytes": "…", "four bytes": "🪜"} {
		line, ok := firstLine("/hold " + strings.Repeat(filler, 2000))
		if !ok || len(line) <= maxLine || len(line) > maxLine+8 {
			t.Errorf("%s: %v, %d bytes", name, ok, len(line))
		}
	}
	if line, _ := firstLine("/hold " + strings.Repeat("a", maxLine-6)); len(line) != maxLine {
		t.Errorf("a line of the limit has %d bytes", len(line))
	}
}

// TestUnusableAnnouncementsAreShown sends announcements that must promote
// nothing, and finds the sentence about each where the repository is looked at.
func TestUnusableAnnouncementsAreShown(t *testing.T) {
	for name, c := range map[string]struct{ event, body, want string }{
		"version":         {"repository_dispatch", dispatchBody(`{"artifact":"checkout","version":"1.4.2; rm -rf /"}`), `is not a version`},
		"no version":      {"repository_dispatch", dispatchBody(`{"artifact":"checkout"}`), `is not a version`},
		"artifact":        {"repository_dispatch", dispatchBody(`{"artifact":"../checkout","version":"1.4.2"}`), `is not an artifact name`},
		"nothing named":   {"repository_dispatch", dispatchBody(`{"version":"1.4.2"}`), `names neither`},
		"digest":          {"repository_dispatch", dispatchBody(`{"artifact":"checkout","version":"1.4.2","digest":"sha256:00"}`), `is not a digest`},
		"image":           {"repository_dispatch", dispatchBody(`{"image":"ghcr.io/acme/checkout:1","version":"1.4.2"}`), `is not an image`},
		"image, no host":  {"repository_dispatch", dispatchBody(`{"image":"acme/checkout","version":"1.4.2"}`), `is not an image`},
		"commit":          {"repository_dispatch", dispatchBody(`{"artifact":"checkout","version":"1.4.2","source":{"commit":"main"}}`), `is not a git object id`},
		"source":          {"repository_dispatch", dispatchBody(`{"artifact":"checkout","version":"1.4.2","source":{"repository":"https://x"}}`), `not of the form owner/name`},
		"number":          {"repository_dispatch", dispatchBody(`{"artifact":"checkout","version":1.4}`), `version is something else`},
		"list":            {"repository_dispatch", dispatchBody(`[1,2]`), `must be an object`},
		"text":            {"repository_dispatch", dispatchBody(`"checkout"`), `must be an object`},
		"null":            {"repository_dispatch", dispatchBody(`null`), `is not a version`},
		"control":         {"repository_dispatch", dispatchBody(`{"artifact":"checkout","version":"1\u0000\u202e"}`), `is not a version`},
		"release tag":     {"release", from(`"action":"published","release":{"tag_name":"checkout/1.4.2"}`), `its tag`},
		"package tag":     {"package", packageBody("package", "1@2", "ghcr.io/acme/checkout:1@2"), `is not a version`},
		"package url":     {"package", packageBody("package", "1.4.2", "https://ghcr.io/acme/checkout:1.4.2"), `is not an image`},
		"package no url":  {"package", packageBody("package", "1.4.2", ""), `is not an image`},
		"package of both": {"package", packageBody("package", "1.4.2", "ghcr.io/acme/checkout:1.4.3"), `says both`},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			if status, text := w.send(request(c.event, "g-1", c.body)); status != 202 || text != "accepted" {
				t.Fatalf("answered %d %q", status, text)
			}
			found := false
			for _, line := range w.due(t) {
				if strings.Contains(line, KindPublished) {
					t.Errorf("it was announced: %s", line)
				}
				found = found || strings.HasPrefix(line, "repo/2 refused g-1 ") && strings.Contains(line, c.want)
			}
			if !found || w.door.Counts().RefusedValues != 1 {
				t.Errorf("no sentence with %q where it is looked for", c.want)
			}
		})
	}
}

func TestGrammars(t *testing.T) {
	images := map[string]bool{
		"ghcr.io/acme/checkout": true, "localhost:5000/a": true, "127.0.0.1:5000/a/b__c/d-e": true, "localhost/a": true,
		"ghcr.io": false, "ghcr.io/": false, "ghcr.io/Acme": false, "ghcr.io/a:1": false, "ghcr.io/a@sha256:00": false, "acme/checkout": false,
		"ghcr.io/a b": false, "ghcr.io/../x": false, "https://ghcr.io/a": false, "": false, "ghcr.io/a/": false, ".io/a": false, "ghcr.io/" + strings.Repeat("a", 200): false,
	}
	for s, want := range images {
		if _, err := parseImage(s); (err == nil) != want {
			t.Errorf("image %q: %v", s, err)
		}
	}
	branches := map[string]bool{
		"main": true, "feature/ü#1": true, "rung/p/dev/+batch": true, "": false, "a b": false, "a..b": false, "-a": false, "/a": false, "a/": false, "a//b": false,
		"a/.b": false, "a.lock": false, "a.": false, "a@{1}": false, "a\\b": false, "a\x7f": false, "\xff": false, "a~1": false, strings.Repeat("a", 201): false,
	}
	for s, want := range branches {
		if branch(s) != want {
			t.Errorf("branch %q: %v", s, !want)
		}
	}
	logins := map[string]bool{"ada": true, "ada-l": true, "ada_acme": true, "rung[bot]": true, "": false, "-a": false, "a b": false, "a[b]": false, "ä": false, strings.Repeat("a", 40): false}
	for s, want := range logins {
		if got := (account{ID: 1, Login: s}).person().Login == s && s != ""; got != want {
			t.Errorf("login %q: %v", s, got)
		}
	}
	addresses := map[string]string{
		"https://github.example/acme/x/": "https://github.example/acme/x", "http://127.0.0.1:8080/a/b": "http://127.0.0.1:8080/a/b",
		"javascript:alert(1)": "", "https://user:pass@h/a": "", "https://h/a?token=1": "", "https://h/a#b": "", "//h/a": "", "https://h/\n": "", "%zz": "",
	}
	for s, want := range addresses {
		if got := webAddress(s); got != want {
			t.Errorf("address %q: %q, want %q", s, got, want)
		}
	}
}

func TestSelfIsKnownByNumberFirst(t *testing.T) {
	named := Self{AppID: 1, BotLogin: "rung[bot]"}
	for name, c := range map[string]struct {
		self Self
		who  account
		want bool
	}{
		"number":                  {self, account{ID: 90, Login: "renamed[bot]"}, true},
		"same name, other number": {self, account{ID: 91, Login: "rung[bot]"}, false},
		"name":                    {named, account{ID: 91, Login: "Rung[bot]"}, true},
		"nobody":                  {named, account{}, false},
		"nobody, by number":       {self, account{}, false},
	} {
		if got := c.self.is(c.who); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

// FuzzDecode: any bytes under any event's name give a notice or ErrMalformed,
// never a panic, and whatever comes out keeps the package's promises.
func FuzzDecode(f *testing.F) {
	for _, c := range eventCases {
		f.Add(c.event, []byte(c.body))
	}
	f.Fuzz(func(t *testing.T, event string, payload []byte) {
		notice, err := Decode(self, Raw{GUID: "g-1", Event: event, ReceivedAt: start, Payload: payload})
		if err != nil {
			if !errors.Is(err, ErrMalformed) || !reflect.DeepEqual(notice, Notice{}) {
				t.Fatalf("error %v with %+v", err, notice)
			}
			return
		}
		hints := notice.Hints
		for _, r := range notice.Routed {
			hints = append(hints, r.Hint)
			if r.Hint.Kind == KindPublished {
				checkPublished(t, r.About)
			}
		}
		for _, h := range hints {
			if h.Kind == "" || len(h.Subject) > 256 || len(h.Data) > 16<<10 || !json.Valid(h.Data) {
				t.Fatalf("hint %+v breaks the queue's limits", h)
			}
		}
		if notice.Ignored != "" && len(hints) > 0 {
			t.Fatalf("ignored as %q with hints %+v", notice.Ignored, hints)
		}
	})
}

func checkPublished(t *testing.T, p Published) {
	t.Helper()
	var errs []error
	if p.Artifact != "" {
		_, err := promotion.ParseArtifact(string(p.Artifact))
		errs = append(errs, err)
	}
	if p.Image != "" {
		_, err := parseImage(p.Image)
		errs = append(errs, err)
	}
	if p.Version != "" {
		_, err := promotion.ParseVersion(string(p.Version))
		errs = append(errs, err)
	}
	if p.Digest != "" {
		_, err := promotion.ParseDigest(string(p.Digest))
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}
