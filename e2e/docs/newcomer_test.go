package docs

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rungbot/rung/e2e/world"
	"github.com/rungbot/rung/internal/githubemu"
)

// newcomer is somebody who has a GitHub organisation, a repository with environments,
// and the README.
type newcomer struct {
	*testing.T
	w      *world.World
	place  *strings.Replacer
	path   string
	counts struct{ commands, decisions int }
}

// TestNewcomer goes from nothing to the first promotion, typing only what the README
// says and deciding only what it leaves to people.
func TestNewcomer(t *testing.T) {
	w := world.Start(t, binary, world.Options{Environments: []string{"dev", "staging"}})
	if err := w.Emulator.Uninstall("acme"); err != nil { // the App that Worlds begin with
		t.Fatal(err)
	}
	w.Emulator.AddOrganization("acme", "none", map[string]string{"alice": "admin"})
	n := newNewcomer(t, w)

	n.builds(commands(t, "make build", "README.md"))
	install := n.sets(commands(t, "bin/rung setup", "README.md"))
	if line := commands(t, "bin/rung setup", "docs/setup.md"); line != commands(t, "bin/rung setup", "README.md") {
		t.Errorf("docs/setup.md types another line: %s", line)
	}
	n.decides("on which repositories the App is installed", func() { press(t, install, "Install") })
	p := n.serves(commands(t, "bin/rung serve", "README.md"))
	explain := func() string { return w.Describe("dev", "staging") + "\n" + p.Log() + p.Board("/api/v1/state") }

	said := n.types(commands(t, "bin/rung init", "README.md"))
	pull := regexp.MustCompile(`The pull request with rung\.yaml: \S+/pull/(\d+)`).FindStringSubmatch(said)
	if pull == nil {
		t.Fatalf("rung init opened no pull request:\n%s", said)
	}
	n.decides("whether rung.yaml is right", func() { n.merges("rung/init") })
	w.Wait("the board shows what rung would do", func() bool {
		return strings.Contains(p.Board("/api/v1/state"), `"mode": "observe"`) && strings.Contains(p.Board("/"), "checkout")
	}, explain)

	if said := n.asks(commands(t, "bin/rung doctor", "README.md")); !strings.Contains(said, "rung can work") {
		t.Errorf("the doctor finds something:\n%s", said)
	}
	n.decides("how far rung may go", func() { n.changes("mode: observe", "mode: merge") })
	w.Wait("rung has begun its ledger", func() bool { return opened(w, "rung/onboard") }, explain)

	digest := w.Publish("checkout", "1.4.2")
	bash(t, w.Dir, commands(t, "gh api", "README.md"), n.path, "GH_URL="+w.Setting("RUNG_GITHUB_URL"), "GH_TOKEN="+w.Emulator.AddPerson(githubemu.Person{Login: "carol"}))
	w.Wait("the version has climbed to the top", func() bool {
		return strings.Contains(w.File("staging"), digest) && strings.Contains(strings.Join(w.Live("staging", "checkout"), ", "), "settle 1.4.2 good")
	}, explain)
	fmt.Printf("newcomer: %d commands and %d decisions until the first promotion landed\n", n.counts.commands, n.counts.decisions)
	if n.counts.commands+n.counts.decisions > 8 {
		t.Errorf("%d commands and %d decisions: more than 8", n.counts.commands, n.counts.decisions)
	}

	if !slices.ContainsFunc(w.Ledger(), func(r world.Record) bool { return r.Kind == "propose" && slices.Contains(r.Causers, "carol") }) {
		t.Errorf("nobody is named as having published it:\n%s", explain())
	}
	for _, line := range strings.Split(strings.ReplaceAll(commands(t, "healthz", "docs/operations.md"), "127.0.0.1:8080", p.Addr), "\n") {
		if out := bash(t, w.Dir, line); out != "ok\n" {
			t.Errorf("%s: %q", line, out)
		}
	}
	if out := bash(t, w.Dir, strings.ReplaceAll(commands(t, "curl", "docs/api.md"), "127.0.0.1:8080", p.Addr)); !strings.Contains(out, `"1.4.2"`) {
		t.Errorf("the API does not show the version:\n%s", out)
	}
	n.merges("rung/onboard")
	w.Wait("the ledger's name is recorded", func() bool {
		head := strings.TrimSpace(w.Git("rev-parse", "refs/heads/main"))
		return strings.Contains(w.Git("log", "-1", "--format=%B", "refs/heads/rung/ledger"), "Promotion-Base: "+head)
	}, explain)
	p.Stop()
	n.keeps()
	n.restores()
}

func newNewcomer(t *testing.T, w *world.World) *newcomer {
	t.Helper()
	bin := filepath.Join(w.Dir, "bin")
	self, err := os.Executable()
	if err == nil {
		err = errors.Join(os.MkdirAll(bin, 0o700), os.Symlink(self, filepath.Join(bin, "gh")))
	}
	if err != nil {
		t.Fatal(err)
	}
	return &newcomer{T: t, w: w, place: strings.NewReplacer("/etc/rung", filepath.Join(w.Dir, "etc")), path: "PATH=" + bin + ":" + os.Getenv("PATH")}
}

// builds types the line that builds the program, which the tests have built already:
// the Makefile must build it where the other lines look for it.
func (n *newcomer) builds(line string) {
	n.Helper()
	out, err := exec.Command("make", "-n", "-C", root, strings.TrimPrefix(line, "make ")).CombinedOutput() // #nosec G204 -- the README's own words
	if err == nil && !strings.Contains(string(out), "-o bin/rung ./cmd/rung") {
		err = errors.New("bin/rung is not built")
	}
	if err == nil {
		err = os.Symlink(binary, filepath.Join(n.w.Dir, "bin", "rung"))
	}
	if err != nil {
		n.Fatalf("%s: %v\n%s", line, err, out)
	}
	n.counts.commands++
}

// sets types the line that makes the App, opens the link as a person does, and returns
// the link to install the App.
func (n *newcomer) sets(line string) string {
	n.Helper()
	n.counts.commands++
	return makeApp(n.T, n.w, n.place.Replace(line))
}

func (n *newcomer) serves(line string) *world.Process {
	n.Helper()
	n.counts.commands++
	p := n.w.Shell(n.place.Replace(line), "RUNG_LOG_LEVEL=debug", "RUNG_DATA="+filepath.Join(n.w.Dir, "data"), "RUNG_LISTEN=127.0.0.1:0", "RUNG_COALESCE=0s")
	n.w.Receive(p)
	return p
}

func (n *newcomer) types(line string) string {
	n.Helper()
	n.counts.commands++
	return bash(n.T, n.w.Dir, n.place.Replace(line))
}

// asks types a line where rung runs, with the settings that it runs with.
func (n *newcomer) asks(line string) string {
	n.Helper()
	n.counts.commands++
	return bash(n.T, n.w.Dir, n.place.Replace(line), "RUNG_DATA="+filepath.Join(n.w.Dir, "data"))
}

func (n *newcomer) decides(what string, do func()) {
	n.Helper()
	n.counts.decisions++
	n.Log("decides: " + what)
	do()
}

// merges merges the pull request from a branch.
func (n *newcomer) merges(head string) {
	n.Helper()
	for _, pr := range n.w.State().Pulls {
		if pr.Head == head {
			if _, err := n.w.Emulator.Merge(n.Context(), world.Repository, pr.Number, "alice", "merge"); err != nil {
				n.Fatal(err)
			}
			return
		}
	}
	n.Fatalf("there is no pull request from %s", head)
}

// changes edits rung.yaml on the base branch.
func (n *newcomer) changes(from, to string) {
	n.Helper()
	text, ok := n.w.Emulator.ReadFile(n.Context(), world.Repository, "main", "rung.yaml")
	if !ok || strings.Count(text, from) == 0 {
		n.Fatalf("rung.yaml has no %q:\n%s", from, text)
	}
	_, err := n.w.Emulator.PushFiles(n.Context(), githubemu.Push{
		Repository: world.Repository, Branch: "main", Person: "alice", Message: to, Files: map[string]string{"rung.yaml": strings.Replace(text, "\n"+from, "\n"+to, 1)},
	})
	if err != nil {
		n.Fatal(err)
	}
}

// keeps does what docs/provenance.md ends with, in a clone, and verifies what came out.
func (n *newcomer) keeps() {
	n.Helper()
	bash(n.T, n.w.Dir, "git clone -q "+n.w.Bare+" clone")
	clone := filepath.Join(n.w.Dir, "clone")
	bash(n.T, clone, commands(n.T, "rung audit --bundle", "docs/provenance.md"), n.path)
	if out := bash(n.T, clone, "rung verify evidence.tar", n.path); !strings.Contains(out, "holds") {
		n.Errorf("rung verify: %s", out)
	}
}

// restores does what docs/operations.md says of a ledger that is lost.
func (n *newcomer) restores() {
	n.Helper()
	before := n.w.Git("rev-parse", "refs/heads/rung/ledger")
	n.w.Git("update-ref", "-d", "refs/heads/rung/ledger")
	bash(n.T, filepath.Join(n.w.Dir, "clone"), "git fetch -q; "+commands(n.T, "git push", "docs/operations.md"))
	if after := n.w.Git("rev-parse", "refs/heads/rung/ledger"); after != before {
		n.Errorf("the ledger is at %s, it was at %s", after, before)
	}
}

func opened(w *world.World, head string) bool {
	return slices.ContainsFunc(w.State().Pulls, func(pr githubemu.PullState) bool { return pr.Head == head })
}
