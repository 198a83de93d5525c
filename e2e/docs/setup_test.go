package docs

import (
	"bufio"
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rungbot/rung/e2e/person"
	"github.com/rungbot/rung/e2e/world"
	"github.com/rungbot/rung/internal/forge"
)

const config = `version: 1
mode: merge
artifacts:
  checkout: {image: REGISTRY/checkout}
environments:
  dev: {}
  staging: {after: [dev]}
`

// makeApp types the line and opens the link as a person does. It returns the link to
// install the App.
func makeApp(t *testing.T, w *world.World, line string) string {
	t.Helper()
	cmd := exec.Command("bash", "-euc", "exec "+line) // #nosec G204 -- the README's own words
	cmd.Dir, cmd.Env, cmd.Stderr = w.Dir, append(os.Environ(), "RUNG_GITHUB_URL="+w.Setting("RUNG_GITHUB_URL")), os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	link := regexp.MustCompile(`http://127\.0\.0\.1:\d+/setup\?token=\w+`)
	ann := person.New(t)
	var said strings.Builder
	for lines := bufio.NewScanner(out); lines.Scan(); {
		said.WriteString(lines.Text() + "\n")
		if opens := link.FindString(lines.Text()); opens != "" {
			ann.Press(ann.Press(ann.Get(opens), "Go to"), "Create GitHub App")
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%s\n%v\n%s", line, err, &said)
	}
	install := regexp.MustCompile(`Install the App on the GitOps repository: (\S+)`).FindStringSubmatch(said.String())
	if install == nil {
		t.Fatalf("there is no link to install the App:\n%s", &said)
	}
	return install[1]
}

// press opens a page and presses the button with the words.
func press(t *testing.T, link, button string) {
	t.Helper()
	ann := person.New(t)
	if p := ann.Press(ann.Get(link), button); p.Status != http.StatusOK || strings.Contains(p.At.Path, "installations") {
		t.Fatalf("not installed: %s", p)
	}
}

// TestByHand does what docs/setup.md says for those who register the App
// themselves.
func TestByHand(t *testing.T) {
	w := world.Start(t, binary, world.Options{Config: config, Environments: []string{"dev", "staging"}})
	granted, _ := registration(t)
	if err := w.Emulator.SetPermissions("acme", granted); err != nil {
		t.Fatal(err)
	}
	etc := filepath.Join(w.Dir, "etc")
	if err := os.MkdirAll(etc, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, setting := range map[string]string{"app.pem": "RUNG_GITHUB_PRIVATE_KEY", "webhook-secret": "RUNG_GITHUB_WEBHOOK_SECRETS"} {
		if err := os.WriteFile(filepath.Join(etc, name), []byte(w.Setting(setting)+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, line := range regexp.MustCompile("`(ssh-keygen [^`]+)`").FindAllStringSubmatch(read(t, "docs/setup.md"), -1) {
		bash(t, etc, line[1])
	}
	lines := strings.NewReplacer("123456", fmt.Sprint(world.AppID), "/etc/rung", etc, "/var/lib/rung", filepath.Join(w.Dir, "data")).Replace(commands(t, "bin/rung serve", "docs/setup.md"))
	p := w.Shell(lines, "RUNG_GITHUB_URL="+w.Setting("RUNG_GITHUB_URL"), "RUNG_LISTEN=127.0.0.1:0", "RUNG_COALESCE=0s")
	w.Receive(p)
	w.Wait("rung has made itself known", func() bool { return opened(w, "rung/onboard") }, p.Log)
}

// registration is what docs/setup.md tells people to tick when they register the
// App by hand: permissions with their levels, and events, by GitHub's names.
func registration(t *testing.T) (permissions map[string]string, events []string) {
	t.Helper()
	text := strings.Join(strings.Fields(read(t, "docs/setup.md")), " ")
	_, text, _ = strings.Cut(text, " Permissions: ")
	granted, text, _ := strings.Cut(text, ". Events: ")
	list, _, found := strings.Cut(text, ". Make a private key")
	if !found {
		t.Fatal("docs/setup.md says no more which permissions and events the App needs")
	}
	snake := func(s string) string {
		s = strings.ReplaceAll(strings.ToLower(strings.TrimSpace(s)), " ", "_")
		return cmp.Or(map[string]string{"commit_statuses": "statuses", "organisation_members": "members"}[s], s)
	}
	permissions = map[string]string{}
	for _, group := range strings.Split(granted, ";") {
		names, level, found := strings.Cut(group, ": ")
		if !found {
			t.Fatalf("%q has no level", group)
		}
		for _, name := range strings.Split(names, ",") {
			permissions[snake(name)] = map[bool]string{true: "write", false: "read"}[strings.Contains(level, "write")]
		}
	}
	for _, event := range strings.Split(list, ",") {
		events = append(events, snake(event))
	}
	return permissions, events
}

// TestTheAppMayReceiveWhatItSubscribesTo: GitHub offers an event only to an App with
// the permission that belongs to it (GitHub's page "Webhook events and payloads"), and
// refuses a manifest that subscribes to another. What people tick by hand and what
// rung setup asks for is the same.
func TestTheAppMayReceiveWhatItSubscribesTo(t *testing.T) {
	needs := map[string]string{
		"push": "contents", "release": "contents", "repository_dispatch": "contents", "pull_request": "pull_requests", "pull_request_review": "pull_requests",
		"issue_comment": "issues", "check_run": "checks", "check_suite": "checks", "status": "statuses", "deployment_status": "deployments",
		"registry_package": "packages", "workflow_run": "actions", "merge_group": "merge_queues", "repository": "metadata",
	}
	needed := maps.Clone(needs)
	permissions, events := registration(t)
	for _, event := range events {
		if needs[event] == "" {
			t.Errorf("%s is no event that rung takes", event)
		} else if permissions[needs[event]] == "" {
			t.Errorf("for %s the App needs %s", event, needs[event])
		}
		delete(needs, event)
	}
	asked := map[string]string{}
	for _, p := range forge.Permissions() {
		asked[p.Name] = p.Level
		for _, event := range p.Events {
			if !slices.Contains(events, event) || needed[event] != p.Name {
				t.Errorf("rung setup subscribes to %s for %s", event, p.Name)
			}
		}
	}
	if !maps.Equal(asked, permissions) {
		t.Errorf("rung setup asks for %v, docs/setup.md for %v", asked, permissions)
	}
	for event := range needs {
		t.Errorf("docs/setup.md does not name the event %s", event)
	}
}
