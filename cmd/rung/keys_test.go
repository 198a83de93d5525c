package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// ran runs the program and returns its exit code and what it said.
func ran(t *testing.T, env []string, args ...string) (code int, out, problem string) {
	t.Helper()
	var o, e bytes.Buffer
	code = run(t.Context(), args, streams{in: strings.NewReader(""), out: &o, err: &e, env: append(os.Environ(), env...)})
	return code, o.String(), e.String()
}

// TestKeysInit: keys that OpenSSH takes, for their owner alone, never overwritten
// and never in the data directory.
func TestKeysInit(t *testing.T) {
	dir := t.TempDir()
	code, out, problem := ran(t, nil, "keys", "init", dir)
	if code != 0 || problem != "" {
		t.Fatal(code, problem)
	}
	for _, role := range []string{"release", "root"} {
		name := filepath.Join(dir, "rung-"+role)
		info, err := os.Stat(name)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Fatalf("%s: mode %v, %v", name, info.Mode(), err)
		}
		shown, err := exec.Command("ssh-keygen", "-l", "-f", name).Output()
		if err != nil || !strings.Contains(out, strings.Fields(string(shown))[1]) {
			t.Errorf("ssh-keygen shows %q (%v), and it said\n%s", shown, err, out)
		}
		public, err := exec.Command("ssh-keygen", "-y", "-f", name).Output()
		if err != nil {
			t.Fatal(err)
		}
		written, err := os.ReadFile(name + ".pub")
		if err != nil || strings.Join(strings.Fields(string(public))[:2], " ") != strings.Join(strings.Fields(string(written))[:2], " ") {
			t.Errorf("%s.pub holds %q (%v), ssh-keygen says %q", name, written, err, public)
		}
		private, err := os.ReadFile(name)
		if err != nil || strings.Contains(out, strings.Split(string(private), "\n")[1]) {
			t.Errorf("a private key was printed (%v)", err)
		}
	}
	for _, want := range []string{"RUNG_SIGNING_KEY_FILE=" + filepath.Join(dir, "rung-release"), "RUNG_ROOT_KEYS='ssh-ed25519 ", "on no machine that is online", "rung verify --root SHA256:"} {
		if !strings.Contains(out, want) {
			t.Errorf("it does not say %q:\n%s", want, out)
		}
	}
	before, err := os.ReadFile(filepath.Join(dir, "rung-release"))
	if err != nil {
		t.Fatal(err)
	}
	if code, _, problem := ran(t, nil, "keys", "init", dir); code != 2 || !strings.Contains(problem, "is not overwritten") {
		t.Error(code, problem)
	}
	if after, err := os.ReadFile(filepath.Join(dir, "rung-release")); err != nil || !bytes.Equal(before, after) {
		t.Error("it was overwritten", err)
	}

	data := t.TempDir()
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(data, link); err != nil {
		t.Fatal(err)
	}
	for _, at := range []string{data, filepath.Join(data, "below"), link} {
		if code, _, problem := ran(t, []string{"RUNG_DATA=" + data}, "keys", "init", at); code != 2 || !strings.Contains(problem, "keys never live there") {
			t.Error(at, code, problem)
		}
	}
	if code, _, problem := ran(t, []string{"RUNG_DATA=" + data}, "keys", "init", filepath.Join(dir, "nowhere")); code != 2 || !strings.Contains(problem, "no such file") {
		t.Error(code, problem)
	}

	code, out, _ = ran(t, nil, "keys", "init", "--only", "root", "--json", t.TempDir())
	var made []madeKey
	if err := json.Unmarshal([]byte(out), &made); code != 0 || err != nil || len(made) != 1 || made[0].Role != "root" || !strings.HasPrefix(made[0].Fingerprint, "SHA256:") {
		t.Error(code, err, out)
	}
}

// TestKeysRotateBegin: a statement that a new ledger begins with needs no clone;
// what can't be right is refused with what to do.
func TestKeysRotateBegin(t *testing.T) {
	dir := t.TempDir()
	if code, _, problem := ran(t, nil, "keys", "init", dir); code != 0 {
		t.Fatal(problem)
	}
	at := func(name string) string { return filepath.Join(dir, name) }
	begin := func(more ...string) []string {
		return append([]string{"keys", "rotate", "--begin", "--url", "https://github.com/acme/environments", "--repository-id", "42", "--app", "7"}, more...)
	}
	code, out, problem := ran(t, nil, begin("--root-key", at("rung-root"), "--root", at("rung-root.pub"), "--release", at("rung-release.pub"), "-o", at("trust.jsonl"), "--json")...)
	if code != 0 {
		t.Fatal(problem)
	}
	var said struct {
		Kind  string `json:"kind"`
		Keys  string `json:"keys"`
		Trust struct {
			Serial int    `json:"serial"`
			Ledger string `json:"ledger"`
		} `json:"trust"`
	}
	if err := json.Unmarshal([]byte(out), &said); err != nil || said.Kind != "rotate" || said.Trust.Serial != 1 || said.Trust.Ledger != "" ||
		!strings.HasPrefix(said.Keys, `rung-root namespaces="rung-trust" ssh-ed25519 `) || !strings.Contains(said.Keys, `rung namespaces="git" ssh-ed25519 `) {
		t.Errorf("%v: %s", err, out)
	}
	if err := os.Chmod(at("rung-root"), 0o640); err != nil { // #nosec G302 -- what is to be refused
		t.Fatal(err)
	}
	refused := begin("--root-key", at("rung-root"), "--root", at("rung-root.pub"), "--release", at("rung-release.pub"))
	if code, _, problem := ran(t, nil, refused...); code != 2 || !strings.Contains(problem, "can be read by others") {
		t.Error(code, problem)
	}
	if err := os.Chmod(at("rung-root"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"no root key":                   {begin("--release", at("rung-release.pub"), "--root", at("rung-root.pub")), "--root-key FILE or --root-agent KEY"},
		"nothing":                       {begin("--root-key", at("rung-root")), "nothing is to be changed"},
		"no release key":                {begin("--root-key", at("rung-root"), "--root", at("rung-root.pub")), "no key signs as rung"},
		"no root":                       {begin("--root-key", at("rung-root"), "--release", at("rung-release.pub")), "names a root key"},
		"signed by the release key":     {begin("--root-key", at("rung-release"), "--root", at("rung-root.pub"), "--release", at("rung-release.pub")), "no root key in force"},
		"the file is there":             {begin("--root-key", at("rung-root"), "--root", at("rung-root.pub"), "--release", at("rung-release.pub"), "-o", at("trust.jsonl")), "is not overwritten"},
		"JSON in place of it":           {begin("--root-key", at("rung-root"), "--root", at("rung-root.pub"), "--release", at("rung-release.pub"), "--json"), "--output"},
		"no repository":                 {[]string{"keys", "rotate", "--begin", "--root-key", at("rung-root"), "--root", at("rung-root.pub"), "--release", at("rung-release.pub")}, "name the repository"},
		"a private key for a public":    {begin("--root-key", at("rung-root"), "--root", at("rung-root"), "--release", at("rung-release.pub")), "a public key is one line"},
		"the same key in two roles":     {begin("--root-key", at("rung-root"), "--root", at("rung-root.pub"), "--release", at("rung-root.pub")), "on the list already"},
		"no clone":                      {[]string{"keys", "rotate", dir, "--root-key", at("rung-root"), "--release", at("rung-release.pub")}, "no git repository"},
		"revocation without a ledger":   {append([]string{"keys", "revoke", "SHA256:x", "--after", "abcdef0"}, begin("--root-key", at("rung-root"))[2:]...), "nothing to revoke"},
		"revocation of no fingerprint":  {[]string{"keys", "revoke", "x", "--after", "abcdef0", "--root-key", at("rung-root")}, "no fingerprint"},
		"an agent that is not there":    {begin("--root-agent", "SHA256:x", "--root", at("rung-root.pub"), "--release", at("rung-release.pub")), "ssh-agent"},
		"a tip that is none":            {[]string{"keys", "rotate", "--trust", at("trust.jsonl"), "--tip", "x", "--root-key", at("rung-root"), "--release", at("rung-release.pub")}, "--tip"},
		"show of what has no signature": {[]string{"keys", "show", dir}, "no git repository"},
	} {
		t.Run(name, func(t *testing.T) {
			code, out, problem := ran(t, []string{"SSH_AUTH_SOCK=" + at("no-agent")}, c.args...)
			if code != 2 || !strings.Contains(problem, c.want) || out != "" {
				t.Errorf("exit %d, %q, want %q; it printed %q", code, problem, c.want, out)
			}
		})
	}

	// The next statement, from the files of the ledger's tree alone.
	if code, _, problem := ran(t, nil, "keys", "init", "--only", "release", t.TempDir()); code != 0 {
		t.Fatal(problem)
	}
	next := t.TempDir()
	if code, _, problem := ran(t, nil, "keys", "init", "--only", "release", next); code != 0 {
		t.Fatal(problem)
	}
	code, out, problem = ran(t, nil, "keys", "rotate", "--trust", at("trust.jsonl"), "--tip", strings.Repeat("a", 40), "--root-key", at("rung-root"),
		"--release", filepath.Join(next, "rung-release.pub"), "-o", filepath.Join(next, "trust.jsonl"), "--json")
	if err := json.Unmarshal([]byte(out), &said); code != 0 || err != nil || said.Trust.Serial != 2 || said.Trust.Ledger != strings.Repeat("a", 40) || strings.Count(said.Keys, "valid-before=") != 1 {
		t.Error(code, problem, out)
	}
}
