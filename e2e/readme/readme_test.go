// Package readme holds the front door to what it says: every block of commands in
// README.md and docs/setup.md is run here as it stands, against the emulator, or by .ci/run. What a
// reader must replace (addresses, numbers, files) is replaced, and nothing else. A
// block that nothing runs fails.
package readme

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
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
	"github.com/rungbot/rung/internal/command"
	"github.com/rungbot/rung/internal/forge"
	"github.com/rungbot/rung/internal/githubemu"
)

var binary string

func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == "gh" {
		if err := gh(os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	dir, err := os.MkdirTemp("", "rung-readme-")
	if err == nil {
		binary, err = world.Build(dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// gh is the little of GitHub's command line that the README uses: a POST with
// fields, `gh api PATH -f KEY=VALUE -f 'KEY[KEY]=VALUE'`. The server and the token
// are in its environment.
func gh(args []string) error {
	if len(args) < 2 || args[0] != "api" {
		return fmt.Errorf("gh %v: not understood", args)
	}
	body := map[string]any{}
	for i := 2; i+1 < len(args); i += 2 {
		key, value, ok := strings.Cut(args[i+1], "=")
		if args[i] != "-f" || !ok {
			return fmt.Errorf("gh %s %s: not understood", args[i], args[i+1])
		}
		outer, inner, nested := strings.Cut(strings.TrimSuffix(key, "]"), "[")
		if !nested {
			body[key] = value
			continue
		}
		if body[outer] == nil {
			body[outer] = map[string]any{}
		}
		body[outer].(map[string]any)[inner] = value
	}
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	req, err := http.NewRequest(http.MethodPost, os.Getenv("GH_URL")+"/api/v3/"+args[1], bytes.NewReader(text)) // #nosec G704 -- the emulator's address
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+os.Getenv("GH_TOKEN"))
	res, err := http.DefaultClient.Do(req) // #nosec G704 -- the emulator's address
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode/100 != 2 {
		said, _ := io.ReadAll(io.LimitReader(res.Body, 1<<12))
		return fmt.Errorf("%s: %s", res.Status, said)
	}
	return nil
}

func read(t *testing.T, path ...string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(append([]string{"..", ".."}, path...)...))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// block is what stands between two fences.
type block struct{ language, text string }

var fenced = regexp.MustCompile("(?ms)^( *)```(\\w*)\n(.*?)^ *```$")

func blocks(t *testing.T, path ...string) []block {
	t.Helper()
	var all []block
	for _, m := range fenced.FindAllStringSubmatch(read(t, path...), -1) {
		lines := strings.Split(strings.TrimSpace(m[3]), "\n")
		for i := range lines {
			lines[i] = strings.TrimPrefix(lines[i], m[1])
		}
		all = append(all, block{m[2], strings.Join(lines, "\n")})
	}
	return all
}

// commands is the one block of a document that has words in it.
func commands(t *testing.T, words string, path ...string) string {
	t.Helper()
	for _, b := range blocks(t, path...) {
		if b.language == "" && strings.Contains(b.text, words) {
			return b.text
		}
	}
	t.Fatalf("%v has no block with %q", path, words)
	return ""
}

// TestEveryBlockIsRun fails when a block is added that nothing here runs.
func TestEveryBlockIsRun(t *testing.T) {
	run := []string{"make demo", "bin/rung setup", "bin/rung serve", "gh api"}
	for _, b := range append(blocks(t, "README.md"), blocks(t, "docs", "setup.md")...) {
		known := b.language == "yaml" || // loaded by internal/pipeline's tests
			strings.Contains(b.text, "one GitOps repository") || // the picture
			slices.ContainsFunc(run, func(words string) bool { return strings.Contains(b.text, words) })
		if !known {
			t.Errorf("nothing runs this block:\n%s", b.text)
		}
	}
}

// TestTheTwoCommands are all that a fresh machine needs, and what .ci/run types.
func TestTheTwoCommands(t *testing.T) {
	typed := commands(t, "make demo", "README.md")
	if typed != "make demo\nmake test" {
		t.Errorf("the README has other commands than two:\n%s", typed)
	}
	ci := read(t, ".ci", "run")
	for _, line := range strings.Split(typed, "\n") {
		if !strings.Contains(ci, line) {
			t.Errorf(".ci/run does not call %q", line)
		}
	}
}

// TestOtherTargetsExist looks up every `make …` of the documents in the Makefile.
func TestOtherTargetsExist(t *testing.T) {
	makefile := read(t, "Makefile")
	for _, path := range [][]string{{"README.md"}, {"docs", "setup.md"}, {"CONTRIBUTING.md"}, {"docs", "ARCHITECTURE.md"}, {"docs", "benchmarks.md"}} {
		for _, m := range regexp.MustCompile("`make ([a-z0-9-]+)").FindAllStringSubmatch(read(t, path...), -1) {
			if !strings.Contains(makefile, "\n"+m[1]+":") {
				t.Errorf("%s: there is no target %s", filepath.Join(path...), m[1])
			}
		}
	}
}

const config = `version: 1
mode: merge
artifacts:
  checkout: {image: REGISTRY/checkout}
environments:
  dev: {}
  staging: {after: [dev]}
`

// TestRunItAgainstGitHub does what the README says: the App and the keys, the
// installation, the service, and the event from CI; and a version climbs.
func TestRunItAgainstGitHub(t *testing.T) {
	w := world.Start(t, binary, world.Options{Config: config, Environments: []string{"dev", "staging"}})
	if err := w.Emulator.Uninstall("acme"); err != nil { // the App that Worlds begin with
		t.Fatal(err)
	}
	w.Emulator.AddOrganization("acme", "none", map[string]string{"alice": "admin"})
	etc := filepath.Join(w.Dir, "etc")
	as := strings.NewReplacer("https://rung.example.com", "http://127.0.0.1:1", "/etc/rung", etc)
	makeApp(t, w, as.Replace(commands(t, "bin/rung setup", "README.md")))
	p := w.Shell(as.Replace(commands(t, "bin/rung serve", "README.md")), "RUNG_LOG_LEVEL=debug", "RUNG_DATA="+filepath.Join(w.Dir, "data"), "RUNG_LISTEN=127.0.0.1:0", "RUNG_COALESCE=0s")
	w.Receive(p)
	explain := func() string { return w.Describe("dev", "staging") + "\n" + p.Log() + p.Board("/api/v1/state") }
	w.Wait("rung has made itself known", onboarded(w), explain)

	w.Publish("checkout", "1.4.2")
	bin := filepath.Join(w.Dir, "bin")
	self, err := os.Executable()
	if err == nil {
		err = os.Symlink(self, filepath.Join(bin, "gh"))
	}
	if err != nil {
		t.Fatal(err)
	}
	bash(t, w.Dir, commands(t, "gh api", "README.md"), "PATH="+bin+":"+os.Getenv("PATH"),
		"GH_URL="+w.Setting("RUNG_GITHUB_URL"), "GH_TOKEN="+w.Emulator.AddPerson(githubemu.Person{Login: "carol"}))
	w.Wait("the version is in staging", func() bool {
		return strings.Contains(w.File("staging"), "1.4.2") && strings.Contains(strings.Join(w.Live("staging", "checkout"), ", "), "settle 1.4.2 good")
	}, explain)
	named := false
	for _, r := range w.Ledger() {
		named = named || r.Kind == "propose" && slices.Contains(r.Causers, "carol")
	}
	if !named {
		t.Errorf("nobody is named as having published it:\n%s", explain())
	}
	p.Stop()
	if out := bash(t, w.Dir, "bin/rung verify "+w.Bare); !strings.Contains(out, "holds") {
		t.Errorf("rung verify: %s", out)
	}
}

func onboarded(w *world.World) func() bool {
	return func() bool {
		return slices.ContainsFunc(w.State().Pulls, func(pr githubemu.PullState) bool { return pr.Head == "rung/onboard" })
	}
}

// makeApp types the line, opens the link as a person does, and installs the App.
func makeApp(t *testing.T, w *world.World, line string) {
	t.Helper()
	bin := filepath.Join(w.Dir, "bin")
	if err := os.MkdirAll(bin, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(binary, filepath.Join(bin, "rung")); err != nil {
		t.Fatal(err)
	}
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
	if p := ann.Press(ann.Get(install[1]), "Install"); p.Status != http.StatusOK || strings.Contains(p.At.Path, "installations") {
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
	for _, line := range regexp.MustCompile("`(ssh-keygen [^`]+)`").FindAllStringSubmatch(read(t, "docs", "setup.md"), -1) {
		bash(t, etc, line[1])
	}
	lines := strings.NewReplacer("123456", fmt.Sprint(world.AppID), "/etc/rung", etc, "/var/lib/rung", filepath.Join(w.Dir, "data")).Replace(commands(t, "bin/rung serve", "docs", "setup.md"))
	p := w.Shell(lines, "RUNG_GITHUB_URL="+w.Setting("RUNG_GITHUB_URL"), "RUNG_LISTEN=127.0.0.1:0", "RUNG_COALESCE=0s")
	w.Receive(p)
	w.Wait("rung has made itself known", onboarded(w), p.Log)
}

// registration is what docs/setup.md tells people to tick when they register the
// App by hand: permissions with their levels, and events, by GitHub's names.
func registration(t *testing.T) (permissions map[string]string, events []string) {
	t.Helper()
	text := strings.Join(strings.Fields(read(t, "docs", "setup.md")), " ")
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

// bash runs lines of the README in a directory and returns what they print.
func bash(t *testing.T, dir, lines string, env ...string) string {
	t.Helper()
	cmd := exec.Command("bash", "-euc", lines) // #nosec G204 -- the README's own words
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s\n%v\n%s", lines, err, out)
	}
	return string(out)
}

// TestTheCommandsThatPeopleWrite: the table has every command there is, and each
// of its forms is understood.
func TestTheCommandsThatPeopleWrite(t *testing.T) {
	_, table, _ := strings.Cut(read(t, "README.md"), "\n## Commands\n")
	table, _, _ = strings.Cut(table, "\n## ")
	replace := strings.NewReplacer(
		"environment or all", "prod", "in environment", "in prod", "to version", "to 1.4.1", "until time", "until 2026-01-02T15:04Z",
		"digest", "sha256:"+strings.Repeat("ab", 32), "artifact", "checkout", "environment", "prod", "reason", "it is broken", "<", "", ">", "")
	optional := regexp.MustCompile(`\[([^\]]*)\]`)
	var seen []string
	for _, m := range regexp.MustCompile("`(/[^`]+)`").FindAllStringSubmatch(table, -1) {
		for _, form := range []string{optional.ReplaceAllString(m[1], "$1"), optional.ReplaceAllString(m[1], "")} {
			line := strings.TrimSpace(replace.Replace(form))
			cmd, is := command.Parse(line)
			if !is || cmd.Error != "" {
				t.Errorf("%s, as %q: %s", m[1], line, cmd.Error)
			}
			if !slices.Contains(seen, cmd.Verb) {
				seen = append(seen, cmd.Verb)
			}
		}
	}
	slices.Sort(seen)
	if !slices.Equal(seen, command.Verbs) {
		t.Errorf("the README tells of %v, there are %v", seen, command.Verbs)
	}
}
