package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestTheKeysPage runs the commands of docs/keys.md as they stand there, one block
// after the other, against a rung that gets the settings which the page names; the
// repository's address and numbers alone are put in place.
func TestTheKeysPage(t *testing.T) {
	t.Parallel()
	p := newPlayOf(t, true, "")
	rung, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	facts, err := doNumbers(p.ctx, p.w, nil)
	if err != nil {
		t.Fatal(err)
	}
	place := strings.NewReplacer("https://github.com/acme/environments", facts["URL"], "123456789", facts["REPOSITORY"], "123456", facts["APP"])
	blocks := regexp.MustCompile("(?s)```bash( other)?\n(.*?)```").FindAllStringSubmatch(string(readFile(t, filepath.Join("..", "docs", "keys.md"))), -1)
	next := 0
	run := func(name string) string {
		t.Helper()
		for ; blocks[next][1] != ""; next++ { // another way, which a story plays
		}
		block := place.Replace(blocks[next][2])
		next++
		cmd := exec.CommandContext(p.ctx, "bash", "-euo", "pipefail", "-c", block) // #nosec G204 -- what the test is about
		cmd.Dir, cmd.Env = p.w.dir, append(environ(t), "PATH="+filepath.Dir(rung)+":"+os.Getenv("PATH"))
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s\n%s", name, err, block, out)
		}
		return string(out)
	}
	for _, dir := range []string{"keys", "next", "after", "root2"} {
		if err := os.Mkdir(filepath.Join(p.w.dir, dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	run("make them")
	run("begin")
	p.do("setting", "RUNG_SIGNING_KEY=", "RUNG_SIGNING_KEY_FILE=keys/rung-release", "RUNG_ROOT_KEYS=@keys/rung-root.pub", "RUNG_TRUST_FILE=trust.jsonl")
	p.do("restart")
	if err := os.MkdirAll(filepath.Join(p.w.dir, "first"), 0o700); err != nil {
		t.Fatal(err)
	}
	config, err := p.w.fill(defaultConfig)
	if err == nil {
		err = os.WriteFile(filepath.Join(p.w.dir, "first", "rung.yaml"), []byte(config), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	p.do("push", "alice", "first")
	p.until("recorded", "^settle")

	run("replace the release key")
	p.do("publish", "checkout", "1.1.0")
	p.do("dispatch", "checkout", "1.1.0", "by", "alice") // something to look at
	p.until("recorded", "^rotate to trust list 2")
	p.do("setting", "RUNG_SIGNING_KEY_FILE=next/rung-release")
	p.do("restart")
	p.climb("1.2.0")

	run("a key was stolen")
	p.do("setting", "RUNG_SIGNING_KEY_FILE=after/rung-release")
	p.do("restart")
	p.until("recorded", "^rotate to trust list 3")

	run("replace a root key")
	p.do("restart")
	p.until("recorded", "^rotate to trust list 4")
	p.do("restart", "-wipe")
	p.climb("1.3.0")

	said := run("look")
	for _, want := range []string{"REVOKED after", "a laptop was stolen", "a year is over", "another safe", "holds: "} {
		if !strings.Contains(said, want) {
			t.Errorf("it does not say %q:\n%s", want, said)
		}
	}
	if next != len(blocks) {
		t.Errorf("%d of %d blocks were run", next, len(blocks))
	}
}
