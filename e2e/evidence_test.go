package e2e

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestEvidenceInOneFile: what rung audit --bundle writes is checked offline, by
// rung and by stock git, and what was changed in it is found.
func TestEvidenceInOneFile(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 3*patience)
	defer cancel()
	_, bare := promoted(ctx, t)
	dir := t.TempDir()
	file := filepath.Join(dir, "evidence.tar")
	code, out, said := rung(t, "audit", "--bundle", file, bare)
	root := regexp.MustCompile(`root (SHA256:\S+)`).FindStringSubmatch(out)
	if code != 0 || !strings.Contains(out, "holds: ") || root == nil {
		t.Fatalf("exit %d\n%s%s", code, out, said)
	}
	whole := readFile(t, file)

	t.Run("any clone gives the same bytes", func(t *testing.T) {
		clone := filepath.Join(t.TempDir(), "clone")
		git(t, ".", "clone", "-q", bare, clone)
		twin := filepath.Join(dir, "twin.tar")
		if code, out, said := rung(t, "audit", "--bundle", twin, "--root", root[1], clone); code != 0 {
			t.Fatalf("exit %d\n%s%s", code, out, said)
		}
		if !bytes.Equal(readFile(t, twin), whole) {
			t.Error("they differ")
		}
		if code, _, said := rung(t, "audit", "--bundle", twin, clone); code != 2 || !strings.Contains(said, "not overwritten") {
			t.Errorf("once more: exit %d\n%s", code, said)
		}
	})
	t.Run("rung reads it", func(t *testing.T) {
		for _, c := range []struct {
			code int
			want string
			args []string
		}{
			{0, "0 findings", []string{"verify", file}},
			{0, "0 findings", []string{"verify", "--strict", "--root", root[1], file}},
			{1, `"code": "TRUST_ROOT"`, []string{"verify", "--json", "--root", "SHA256:" + strings.Repeat("A", 43), file}},
			{0, `"ok": true`, []string{"verify", "--json", file}},
			{0, "0 findings", []string{"verify", "--recompute", "--strict", "--base", "main", file}},
			{0, "provenance coverage      100 %", []string{"audit", "prod", file}},
			{0, "1.1.0", []string{"history", "checkout", "--path", file}},
			{2, "holds all environments", []string{"audit", "--bundle", filepath.Join(dir, "x.tar"), "--since", "90d", bare}},
			{2, "name an environment", []string{"audit"}},
		} {
			if code, out, said := rung(t, c.args...); code != c.code || !strings.Contains(out+said, c.want) {
				t.Errorf("rung %v: exit %d\n%s%s", c.args, code, out, said)
			}
		}
	})
	t.Run("stock git reads it, as its README says", func(t *testing.T) {
		out, err := byHand(t, whole)
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		if n := verified(t, out); n < 4 {
			t.Errorf("%d commits are verified:\n%s", n, out)
		}
		if !strings.Contains(out, root[1]) {
			t.Errorf("the root's fingerprint is not printed:\n%s", out)
		}
	})
	t.Run("it is refused", func(t *testing.T) {
		for name, c := range map[string]struct {
			data []byte
			want string
		}{
			"cut off":             {whole[:len(whole)-2000], "cut off"},
			"another repository":  {altered(t, whole, nil, func(m map[string]any) { m["repository"].(map[string]any)["id"] = 7 }), "nothing is judged"},
			"no archive":          {bytes.Repeat([]byte("x"), 2000), "no archive of rung's"},
			"a git bundle's half": {entryOf(t, whole, "repository.bundle")[:900], "cut off"},
		} {
			if code, out, said := rung(t, "verify", asFile(t, c.data)); code != 2 || !strings.Contains(said, c.want) || out != "" {
				t.Errorf("%s: exit %d\n%s%s", name, code, out, said)
			}
		}
	})
	t.Run("what was changed is found", func(t *testing.T) {
		for name, c := range tampered(t, bare, whole) {
			code, out, said := rung(t, "verify", asFile(t, c.data))
			if code != 1 || !strings.Contains(out, c.want) {
				t.Errorf("%s: exit %d, want 1 with %s\n%s%s", name, code, c.want, out, said)
			}
		}
	})
	t.Run("a git bundle alone is enough", func(t *testing.T) {
		if code, out, said := rung(t, "verify", asFile(t, entryOf(t, whole, "repository.bundle"))); code != 0 || !strings.Contains(out, "0 findings") {
			t.Errorf("exit %d\n%s%s", code, out, said)
		}
	})
	t.Run("a later rung says what it can't compare", func(t *testing.T) { later(t, whole) })
	t.Run("a clone that is not whole gives none", func(t *testing.T) {
		shallow := filepath.Join(t.TempDir(), "shallow")
		git(t, ".", "clone", "-q", "--depth", "1", "--no-single-branch", "file://"+bare, shallow)
		none := filepath.Join(dir, "none.tar")
		code, _, said := rung(t, "audit", "--bundle", none, shallow)
		if _, err := os.Stat(none); code != 2 || !errors.Is(err, os.ErrNotExist) || !strings.Contains(said, "HISTORY_TRUNCATED") {
			t.Errorf("exit %d, %v\n%s", code, err, said)
		}
	})
	t.Run("what was tampered with is evidence as well", func(t *testing.T) {
		twin := filepath.Join(t.TempDir(), "twin.git")
		git(t, ".", "clone", "-q", "--mirror", bare, twin)
		raw := git(t, twin, "cat-file", "commit", "rung/ledger")
		forge(t, twin, strings.Replace(raw, "settle", "Settle", 1))
		kept := filepath.Join(dir, "tampered.tar")
		for _, args := range [][]string{{"audit", "--bundle", kept, twin}, {"verify", kept}} {
			if code, out, said := rung(t, args...); code != 1 {
				t.Errorf("rung %v: exit %d\n%s%s", args, code, out, said)
			}
		}
		if _, out, _ := rung(t, "verify", kept); !strings.Contains(out, "SIG_INVALID") || strings.Contains(out, "BUNDLE_MISMATCH") {
			t.Error(out)
		}
	})
}

// tampered are archives in which something was changed, each with the finding.
func tampered(t *testing.T, bare string, whole []byte) map[string]struct {
	data []byte
	want string
} {
	t.Helper()
	type changed = struct {
		data []byte
		want string
	}
	twin := filepath.Join(t.TempDir(), "twin.git")
	git(t, ".", "clone", "-q", "--mirror", bare, twin)
	raw := git(t, twin, "cat-file", "commit", "rung/ledger")
	forge(t, twin, strings.Replace(raw, "settle", "Settle", 1))
	forged := gitBundle(t, twin)
	head := strings.TrimSpace(git(t, twin, "rev-parse", "rung/ledger"))
	git(t, twin, "update-ref", "refs/heads/rung/ledger", strings.TrimSpace(git(t, bare, "rev-parse", "rung/ledger~1")))
	cut := gitBundle(t, twin)

	html := entryOf(t, whole, "report/prod.html")
	page := map[string][]byte{"report/prod.html": bytes.Replace(html, []byte("1.0.0"), []byte("6.6.6"), 1)}
	if bytes.Equal(page["report/prod.html"], html) {
		t.Fatal("the page does not name the version")
	}
	flipped := slices.Clone(whole)
	flipped[bytes.Index(flipped, html)+len(html)/2] ^= 1
	pack := slices.Clone(whole)
	pack[len(pack)-3000] ^= 1
	facts := entryOf(t, whole, "report/prod.json")
	return map[string]changed{
		"a bit of a report":                  {flipped, "BUNDLE_MISMATCH  report/prod.html"},
		"a bit of the git bundle":            {pack, "BUNDLE_MISMATCH  repository.bundle"},
		"a sum":                              {bytes.Replace(whole, []byte("  manifest.json\n"), []byte("  manifest.jsom\n"), 1), "BUNDLE_MISMATCH  SHA256SUMS"},
		"a page, with its sums":              {altered(t, whole, page, nil), "BUNDLE_MISMATCH  report/prod.html"},
		"a JSON report, with its sums":       {altered(t, whole, map[string][]byte{"report/prod.json": bytes.Replace(facts, []byte(`"coverage": 100`), []byte(`"coverage": 99`), 1)}, nil), "BUNDLE_MISMATCH  report/prod.json"},
		"the trust list, with its sums":      {altered(t, whole, map[string][]byte{"allowed_signers": []byte("eve ssh-ed25519 AAAA\n")}, nil), "BUNDLE_MISMATCH  allowed_signers"},
		"the way to check it, with its sums": {altered(t, whole, map[string][]byte{"README.txt": []byte("All is well.\n")}, nil), "BUNDLE_MISMATCH  README.txt"},
		"the root":                           {altered(t, whole, nil, func(m map[string]any) { m["root"] = "SHA256:" + strings.Repeat("A", 43) }), "BUNDLE_MISMATCH  manifest.json: root"},
		"the time":                           {altered(t, whole, nil, func(m map[string]any) { m["asOf"] = "2020-01-01T00:00:00Z" }), "BUNDLE_MISMATCH  manifest.json: asOf"},
		"a record, with everything around it": {altered(t, whole, map[string][]byte{"repository.bundle": forged}, func(m map[string]any) {
			m["ledger"].(map[string]any)["head"] = head
		}), "SIG_INVALID"},
		"a ledger whose end is cut": {altered(t, whole, map[string][]byte{"repository.bundle": cut}, nil), "BUNDLE_MISMATCH  manifest.json: ledger"},
	}
}

// gitBundle is stock git's bundle of both branches.
func gitBundle(t *testing.T, bare string) []byte {
	t.Helper()
	file := filepath.Join(t.TempDir(), "r.bundle")
	git(t, bare, "bundle", "create", "-q", file, "HEAD", "refs/heads/main", "refs/heads/rung/ledger")
	return readFile(t, file)
}

// later reads the archive with a program of another version: what is the same is
// taken, what is not is found, and what can't be told is said.
func later(t *testing.T, whole []byte) {
	program := filepath.Join(t.TempDir(), "rung")
	if out, err := exec.Command("go", "build", "-ldflags", "-X main.version=v9.9.9", "-o", program, "../cmd/rung").CombinedOutput(); err != nil { // #nosec G204 -- a fixed command
		t.Fatal(string(out), err)
	}
	said := func(data []byte) (int, string) {
		cmd := exec.Command(program, "verify", asFile(t, data)) // #nosec G204 -- what was just built
		out, _ := cmd.CombinedOutput()
		return cmd.ProcessState.ExitCode(), string(out)
	}
	// Its own reports have another form: a field more, and another page.
	grown := altered(t, whole, map[string][]byte{
		"report/prod.json": bytes.Replace(entryOf(t, whole, "report/prod.json"), []byte("{"), []byte(`{"once":"there was",`), 1),
		"report/prod.html": []byte("<!doctype html>"),
	}, nil)
	if code, out := said(grown); code != 0 || !strings.Contains(out, "note: report/prod.html was written by rung dev") {
		t.Errorf("exit %d\n%s", code, out)
	}
	changed := altered(t, whole, map[string][]byte{"report/prod.json": bytes.Replace(entryOf(t, whole, "report/prod.json"), []byte(`"coverage": 100`), []byte(`"coverage": 99`), 1)}, nil)
	if code, out := said(changed); code != 1 || !strings.Contains(out, "report/prod.json: .counts.coverage") {
		t.Errorf("exit %d\n%s", code, out)
	}
}

// byHand unpacks an archive and runs the commands of its README, as they stand
// there, by bash.
func byHand(t *testing.T, whole []byte) (string, error) {
	t.Helper()
	dir := t.TempDir()
	if out, err := exec.Command("tar", "-xf", asFile(t, whole), "-C", dir).CombinedOutput(); err != nil { // #nosec G204 -- a file of the test's
		t.Fatal(string(out), err)
	}
	_, text, _ := strings.Cut(string(entryOf(t, whole, "README.txt")), "By hand")
	var lines []string
	for line := range strings.Lines(text) {
		if command, ok := strings.CutPrefix(line, "    "); ok {
			lines = append(lines, command)
		}
	}
	if len(lines) < 6 {
		t.Fatalf("the README has %d commands", len(lines))
	}
	cmd := exec.Command("bash", "-euo", "pipefail", "-c", strings.Join(lines, "")) // #nosec G204 -- what the test is about
	cmd.Dir, cmd.Env = dir, environ(t)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// altered is an archive with other entries or another manifest, and all sums made
// anew.
func altered(t *testing.T, whole []byte, files map[string][]byte, change func(map[string]any)) []byte {
	t.Helper()
	var manifest map[string]any
	if err := json.Unmarshal(entryOf(t, whole, "manifest.json"), &manifest); err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(manifest)
	}
	sum := func(data []byte) string {
		s := sha256.Sum256(data)
		return hex.EncodeToString(s[:])
	}
	var lines strings.Builder
	for _, f := range manifest["files"].([]any) {
		f := f.(map[string]any)
		name := f["name"].(string)
		if data, ok := files[name]; ok {
			f["sha256"], f["size"] = sum(data), len(data)
		}
		fmt.Fprintf(&lines, "%s  %s\n", f["sha256"], name)
	}
	data, err := json.Marshal(manifest)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]byte{"manifest.json": data, "SHA256SUMS": []byte(sum(data) + "  manifest.json\n" + lines.String())}
	for name, data := range files {
		all[name] = data
	}
	var out bytes.Buffer
	r, w := tar.NewReader(bytes.NewReader(whole)), tar.NewWriter(&out)
	for h, err := r.Next(); err == nil; h, err = r.Next() {
		var old bytes.Buffer
		if _, err := old.ReadFrom(r); err != nil {
			t.Fatal(err)
		}
		data, ok := all[h.Name]
		if !ok {
			data = old.Bytes()
		}
		h.Size = int64(len(data))
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(data); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// entryOf is one entry of an archive.
func entryOf(t *testing.T, whole []byte, name string) []byte {
	t.Helper()
	r := tar.NewReader(bytes.NewReader(whole))
	for h, err := r.Next(); err == nil; h, err = r.Next() {
		if h.Name == name {
			var b bytes.Buffer
			if _, err := b.ReadFrom(r); err != nil {
				t.Fatal(err)
			}
			return b.Bytes()
		}
	}
	t.Fatalf("the archive has no %s", name)
	return nil
}

// rung runs the program and returns its exit code and what it says.
func rung(t *testing.T, args ...string) (code int, out, said string) {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, args...) // #nosec G204 -- the program under test
	var o, e bytes.Buffer
	cmd.Stdout, cmd.Stderr = &o, &e
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), o.String(), e.String()
}

func asFile(t *testing.T, data []byte) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func readFile(t *testing.T, file string) []byte {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
