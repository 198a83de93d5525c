package bundle

import (
	"archive/tar"
	"bytes"
	"compress/zlib"
	"context"
	"crypto/sha1" // #nosec G505 -- the pack format's checksum
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rungbot/rung/internal/audit"
	"github.com/rungbot/rung/internal/promotion"
)

// git runs stock git with no settings of this machine's.
func git(t testing.TB, dir string, args ...string) string {
	t.Helper()
	cmd := exec.Command("git", append([]string{"-C", dir, "-c", "user.name=ada", "-c", "user.email=ada@example.com", "-c", "init.defaultBranch=main", "-c", "protocol.file.allow=always"}, args...)...) // #nosec G204 -- fixed by the tests
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir(), "GIT_CONFIG_NOSYSTEM=1", "GIT_AUTHOR_DATE=1700000000 +0000", "GIT_COMMITTER_DATE=1700000000 +0000")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// made is the repository of all tests; TestMain removes it.
var made = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "rung-bundle-test-")
	if err != nil {
		return "", err
	}
	for _, args := range [][]string{{"init", "-q", "--bare", "-b", "main", dir}, {"-C", dir, "fast-import", "--quiet"}} {
		cmd := exec.Command("git", args...) // #nosec G204 -- fixed by the tests
		cmd.Stdin = strings.NewReader(history())
		if out, err := cmd.CombinedOutput(); err != nil {
			return dir, fmt.Errorf("git %v: %w: %s", args, err, out)
		}
	}
	return dir, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if dir, err := made(); err == nil {
		_ = os.RemoveAll(dir)
	}
	os.Exit(code)
}

// history is all that git's trees may hold: directories, links, executables, a
// submodule, empty files and large ones, merges, a file that becomes a directory,
// and a second root.
func history() string {
	var b strings.Builder
	mark := 0
	commit := func(branch, subject, from, merge string, files ...string) int {
		mark++
		fmt.Fprintf(&b, "commit refs/heads/%s\nmark :%d\ncommitter ada <ada@example.com> %d +0000\ndata %d\n%s\n", branch, mark, 1_700_000_000+mark, len(subject), subject)
		if from != "" {
			fmt.Fprintf(&b, "from %s\n", from)
		}
		if merge != "" {
			fmt.Fprintf(&b, "merge %s\n", merge)
		}
		b.WriteString(strings.Join(files, ""))
		return mark
	}
	file := func(mode, path, text string) string {
		return fmt.Sprintf("M %s inline %s\ndata %d\n%s\n", mode, path, len(text), text)
	}
	comment := strings.Repeat("# a comment that stays\n", 100)
	commit("main", "begin", "", "",
		file("100644", "large", strings.Repeat("0123456789abcdef\n", 200_000)), file("100755", "empty", ""), file("120000", "link", "large"),
		"M 160000 1111111111111111111111111111111111111111 sub\n", file("100644", "environments/prod/values.yaml", comment))
	for i := range 60 { // more than one chain of differences
		commit("main", fmt.Sprint("version ", i), "", "",
			file("100644", "environments/prod/values.yaml", fmt.Sprintf("%sversion: 1.%d\n", comment, i)),
			file("100644", fmt.Sprintf("environments/prod/%d/x", i%7), fmt.Sprint(i)))
	}
	side := commit("side", "aside", ":50", "", file("100644", "side", "of the road"))
	commit("main", "merge", "", fmt.Sprintf(":%d", side), file("100644", "side", "of the road"))
	commit("main", "turn", "", "", "D large\n", file("100644", "large/now-a-directory", "x"))
	for i := range 3 {
		commit("rung/ledger", fmt.Sprint("record ", i), "", "", file("100644", "live/prod/checkout", fmt.Sprint(strings.Repeat("record ", 50), i)))
	}
	b.WriteString("reset refs/heads/side\n")
	return b.String()
}

func repository(t testing.TB) (dir string, base, ledger promotion.Hash) {
	t.Helper()
	dir, err := made()
	if err != nil {
		t.Fatal(err)
	}
	heads := strings.Fields(git(t, dir, "rev-parse", "main", "rung/ledger"))
	return dir, promotion.Hash(heads[0]), promotion.Hash(heads[1])
}

// pack is a clone's git bundle.
func pack(t testing.TB, dir string, base, ledger promotion.Hash) (data []byte, list []audit.Reached) {
	t.Helper()
	w := writer{dir: t.TempDir(), manifest: Manifest{Base: audit.RefHead{Ref: "refs/heads/main", Head: base}, Ledger: audit.RefHead{Ref: promotion.LedgerRef, Head: ledger}}}
	if _, err := w.git(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(w.path(gitName))
	if err != nil {
		t.Fatal(err)
	}
	c, err := audit.OpenClone(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if list, err = c.Reach(t.Context(), base, ledger); err != nil {
		t.Fatal(err)
	}
	return data, list
}

func TestStockGitReadsWhatIsPacked(t *testing.T) {
	dir, base, ledger := repository(t)
	data, list := pack(t, dir, base, ledger)
	file := filepath.Join(t.TempDir(), "r.bundle")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	clone := filepath.Join(t.TempDir(), "clone")
	git(t, ".", "clone", "-q", file, clone)
	if out := git(t, clone, "bundle", "verify", file); !strings.Contains(out, "records a complete history") {
		t.Errorf("git bundle verify says %s", out)
	}
	git(t, clone, "fsck", "--strict", "--full")
	if got := git(t, clone, "rev-parse", "HEAD", "origin/rung/ledger"); got != string(base+"\n"+ledger) {
		t.Errorf("the heads are %s", got)
	}
	if got := git(t, clone, "symbolic-ref", "HEAD"); got != "refs/heads/main" {
		t.Errorf("HEAD is %s", got)
	}
	var want []string
	for line := range strings.Lines(git(t, dir, "rev-list", "--objects", "main", "rung/ledger")) {
		want = append(want, line[:40])
	}
	var got []string
	for _, o := range list {
		got = append(got, o.ID.String())
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) || len(got) < 300 {
		t.Errorf("%d objects are packed, git reaches %d", len(got), len(want))
	}
	if len(data) > 60_000 {
		t.Errorf("the pack has %d bytes: differences are not told as such", len(data))
	}
}

func TestTheSameHistoryGivesTheSameBytes(t *testing.T) {
	dir, base, ledger := repository(t)
	loose, _ := pack(t, dir, base, ledger)
	twin := filepath.Join(t.TempDir(), "twin.git")
	git(t, ".", "clone", "-q", "--mirror", dir, twin)
	git(t, twin, "gc", "-q", "--aggressive")
	packed, _ := pack(t, twin, base, ledger)
	if !bytes.Equal(loose, packed) {
		t.Errorf("%d bytes of a loose clone, %d of a packed one, and they differ", len(loose), len(packed))
	}
}

// unpacked opens bytes as a file. Whatever comes of it, nothing may stay behind.
func unpacked(t testing.TB, data []byte) (*Bundle, error) {
	t.Helper()
	scratch := t.TempDir()
	t.Setenv("TMPDIR", scratch)
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	b, err := Open(t.Context(), file)
	if err != nil {
		if left, _ := os.ReadDir(scratch); len(left) > 0 {
			t.Errorf("%v stays behind", left)
		}
	} else {
		t.Cleanup(func() { _ = b.Close() })
	}
	return b, err
}

func TestAGitBundleAlone(t *testing.T) {
	dir, base, ledger := repository(t)
	data, list := pack(t, dir, base, ledger)
	theirs := filepath.Join(t.TempDir(), "theirs.bundle")
	git(t, dir, "bundle", "create", "-q", theirs, "HEAD", "main", "rung/ledger")
	stock, err := os.ReadFile(theirs)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{"ours": data, "git's": stock} {
		b, err := unpacked(t, text)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if b.Manifest != nil || len(b.refs) != 2 || git(t, b.Dir(), "rev-parse", "main", "rung/ledger") != string(base+"\n"+ledger) {
			t.Errorf("%s: %v", name, b.refs)
		}
		c, err := audit.OpenClone(b.Dir())
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range list {
			if _, _, err := c.Object(o.ID); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		c.Close()
	}
}

// small is a git bundle of one commit.
func small(t testing.TB) []byte {
	t.Helper()
	dir, _, ledger := repository(t)
	first := promotion.Hash(git(t, dir, "rev-list", "--max-parents=0", string(ledger)))
	data, _ := pack(t, dir, first, first)
	return data
}

// archived is an archive around a git bundle. change may alter what goes in before
// the sums are made.
func archived(t testing.TB, inner []byte, change func(m *Manifest, files map[string][]byte)) []byte {
	t.Helper()
	files := map[string][]byte{readmeName: readmeText, signersName: []byte("x"), gitName: inner, "report/prod.json": []byte("{}")}
	m := Manifest{
		Format: Format, Rung: "test", AsOf: time.Unix(1_700_000_000, 0).UTC(),
		Base: audit.RefHead{Ref: "refs/heads/main"}, Ledger: audit.RefHead{Ref: promotion.LedgerRef},
	}
	for _, name := range []string{readmeName, signersName, "report/prod.json", gitName} {
		m.Files = append(m.Files, File{Name: name})
	}
	if change != nil {
		change(&m, files)
	}
	w := writer{dir: t.TempDir(), manifest: m}
	for i, f := range m.Files {
		sum := sha256.Sum256(files[f.Name])
		w.manifest.Files[i] = File{f.Name, int64(len(files[f.Name])), hex.EncodeToString(sum[:])}
		if err := os.WriteFile(w.path(f.Name), files[f.Name], 0o600); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(t.TempDir(), "archive.tar")
	if err := w.archive(file); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestAnArchiveThatIsCutOff(t *testing.T) {
	whole := archived(t, small(t), nil)
	if _, err := unpacked(t, whole); err != nil {
		t.Fatal(err)
	}
	for cut := 0; cut < len(whole); cut += 101 {
		if _, err := unpacked(t, whole[:cut]); err == nil {
			t.Errorf("cut after %d of %d bytes it is taken", cut, len(whole))
		}
	}
	for _, tail := range []string{"x", strings.Repeat("\x00", 512), "\x00"} {
		if _, err := unpacked(t, append(slices.Clone(whole), tail...)); err == nil {
			t.Errorf("with %d bytes behind its end it is taken", len(tail))
		}
	}
}

// retarred writes an archive's entries anew, each through change, which may add
// others behind it.
func retarred(t *testing.T, whole []byte, change func(h *tar.Header, data []byte) ([]byte, []*tar.Header)) []byte {
	t.Helper()
	var out bytes.Buffer
	r, w := tar.NewReader(bytes.NewReader(whole)), tar.NewWriter(&out)
	for h, err := r.Next(); err == nil; h, err = r.Next() {
		var b bytes.Buffer
		if _, err := b.ReadFrom(r); err != nil {
			t.Fatal(err)
		}
		data, more := change(h, b.Bytes())
		h.Size = int64(len(data))
		for _, h := range append([]*tar.Header{h}, more...) {
			if err := w.WriteHeader(h); err != nil {
				t.Fatal(err)
			}
			if h.Size == int64(len(data)) {
				if _, err := w.Write(data); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestHostileArchives(t *testing.T) {
	inner := small(t)
	whole := archived(t, inner, nil)
	at := func(name string, change func(h *tar.Header)) []byte {
		return retarred(t, whole, func(h *tar.Header, data []byte) ([]byte, []*tar.Header) {
			if h.Name == name {
				change(h)
				if h.Typeflag != tar.TypeReg {
					return nil, nil
				}
			}
			return data, nil
		})
	}
	manifest := func(change func(text string) string) []byte {
		return retarred(t, whole, func(h *tar.Header, data []byte) ([]byte, []*tar.Header) {
			if h.Name == manifestName {
				return []byte(change(string(data))), nil
			}
			return data, nil
		})
	}
	replaced := func(old, text string) []byte {
		return manifest(func(m string) string {
			if !strings.Contains(m, old) {
				t.Fatalf("the manifest has no %s", old)
			}
			return strings.Replace(m, old, text, 1)
		})
	}
	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"nothing":                        {nil, "cut off"},
		"a text":                         {[]byte(strings.Repeat("hello ", 300)), "no archive of rung's and no git bundle"},
		"a path that leaves":             {at("report/prod.json", func(h *tar.Header) { h.Name = "../../prod.json" }), "where report/prod.json should stand"},
		"an absolute path":               {at("report/prod.json", func(h *tar.Header) { h.Name = "/etc/passwd" }), "where report/prod.json should stand"},
		"a link":                         {at("report/prod.json", func(h *tar.Header) { h.Typeflag, h.Linkname = tar.TypeSymlink, "/etc/passwd" }), "is no plain file"},
		"a hard link":                    {at(gitName, func(h *tar.Header) { h.Typeflag, h.Linkname = tar.TypeLink, readmeName }), "is no plain file"},
		"a directory":                    {at(readmeName, func(h *tar.Header) { h.Typeflag = tar.TypeDir }), "is no plain file"},
		"no manifest":                    {at(manifestName, func(h *tar.Header) { h.Name = "other.json" }), "where manifest.json should stand"},
		"entries out of order":           {at(sumsName, func(h *tar.Header) { h.Name = gitName }), "where SHA256SUMS should stand"},
		"extended headers":               {at(readmeName, func(h *tar.Header) { h.Format, h.PAXRecords = tar.FormatPAX, map[string]string{"RUNG.x": "1"} }), "is no plain file"},
		"a manifest that is no JSON":     {manifest(func(string) string { return "{" }), "is no manifest"},
		"another format":                 {replaced(`"format": 1`, `"format": 2`), "has format 2; this rung reads format 1"},
		"a field that is not known":      {replaced(`"first"`, `"second"`), "unknown field"},
		"something behind the manifest":  {manifest(func(m string) string { return m + "{}" }), "after top-level value"},
		"a name that leaves":             {replaced("report/prod.json", "../prod.json"), "no entry that an archive may have"},
		"a name that is absolute":        {replaced("report/prod.json", "/prod.json"), "no entry that an archive may have"},
		"a name that is rung's own":      {replaced("report/prod.json", manifestName), "no entry that an archive may have"},
		"a name twice":                   {replaced("report/prod.json", readmeName), "no entry that an archive may have"},
		"no git bundle":                  {replaced(gitName, "other.bundle"), "names no repository.bundle"},
		"a manifest without branches":    {replaced(`"refs/heads/main"`, `"main"`), "names no branches"},
		"a manifest that is a gigabyte":  {manifest(func(m string) string { return m + strings.Repeat(" ", maxManifest) }), "at most"},
		"an entry that nobody named":     {retarred(t, whole, func(h *tar.Header, data []byte) ([]byte, []*tar.Header) { return data, more(h) }), "which its manifest does not name"},
		"a git bundle that is cut":       {archived(t, inner[:len(inner)-9], nil), "repository.bundle: the pack is cut off or damaged"},
		"a git bundle without a pack":    {archived(t, []byte(signature2+"\n"), nil), "the pack is cut off"},
		"a git bundle without an end":    {archived(t, []byte(signature2), nil), "cut off in its header"},
		"a git bundle of something else": {archived(t, []byte("# v9 git bundle\n\n"), nil), "no git bundle of version 2 or 3"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := unpacked(t, c.data); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("it is answered with %v, want %q", err, c.want)
			}
		})
	}
}

// more adds an entry behind the last one.
func more(h *tar.Header) []*tar.Header {
	if h.Name != gitName {
		return nil
	}
	return []*tar.Header{{Typeflag: tar.TypeReg, Name: "more", Mode: 0o644}}
}

func TestHostileGitBundles(t *testing.T) {
	header := signature2 + strings.Repeat("1", 40) + " refs/heads/main\n\n"
	for name, c := range map[string]struct{ text, want string }{
		"one that begins in the middle":   {signature2 + "-" + strings.Repeat("1", 40) + " x\n\n", "begins in the middle of a history"},
		"one that is filtered":            {signature3 + "@filter=blob:none\n\n", "which this rung does not read"},
		"one of SHA-256":                  {signature3 + "@object-format=sha256\n\n", "which this rung does not read"},
		"an id that is none":              {signature2 + "xyz refs/heads/main\n\n", "is not a git object id"},
		"a ref that leaves":               {signature2 + strings.Repeat("1", 40) + " refs/heads/../../../x\n\n", "no ref that is taken"},
		"a ref that is none":              {signature2 + strings.Repeat("1", 40) + " config\n\n", "no ref that is taken"},
		"a ref with a space":              {signature2 + strings.Repeat("1", 40) + " refs/heads/a b\n\n", "no ref that is taken"},
		"a header that has no end":        {signature2 + strings.Repeat(strings.Repeat("1", 40)+" refs/heads/main\n", 30_000), "cut off in its header, or it is too large"},
		"a pack of a billion objects":     {header + packOf(1_000_000_000, entry(3, 1, []byte("x"))), "can't hold 1000000000 objects"},
		"an object of a gigabyte":         {header + packOf(1, entry(3, 1<<30, []byte("x"))), "at most 134217728 are read"},
		"an object that lies":             {header + packOf(1, entry(3, 1000, []byte("x"))), "damaged"},
		"many differences that make much": {header + packOf(5, entry(3, 1, []byte("x"))+strings.Repeat(entry(7, 9, delta(100<<20), strings.Repeat("\x11", 20)), 4)), "times as large as it is"},
		"a difference that makes much":    {header + packOf(2, entry(3, 1, []byte("x"))+entry(7, 11, delta(1<<40), strings.Repeat("\x11", 20))), "makes too much"},
		"a difference without a base":     {header + packOf(1, entry(7, 3, []byte{1, 1, 0x90}, strings.Repeat("\x11", 20))), "pack"},
		"a difference before its pack":    {header + packOf(1, entry(6, 3, []byte{1, 1, 0x90}, "\x7f")), "pack"},
		"an object of a kind of its own":  {header + packOf(1, entry(5, 1, []byte("x"))), "none that git has"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := unpacked(t, []byte(c.text)); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("it is answered with %v, want %q", err, c.want)
			}
		})
	}
}

// packOf is a pack with a checksum that holds, whatever is in it.
func packOf(count uint32, entries string) string {
	data := binary.BigEndian.AppendUint32([]byte("PACK\x00\x00\x00\x02"), count)
	data = append(data, entries...)
	sum := sha1.Sum(data) // #nosec G401 -- the pack format's checksum
	return string(append(data, sum[:]...))
}

// entry is an object of a pack that says of itself what it likes.
func entry(kind byte, size int, data []byte, base ...string) string {
	head := []byte{kind<<4 | byte(size&0x0f)} // #nosec G115 -- the pack format
	for size >>= 4; size > 0; size >>= 7 {
		head[len(head)-1] |= 0x80
		head = append(head, byte(size&0x7f)) // #nosec G115 -- the pack format
	}
	var b bytes.Buffer
	z := zlib.NewWriter(&b)
	_, _ = z.Write(data)
	_ = z.Close()
	return string(head) + strings.Join(base, "") + b.String()
}

// delta is a difference that begins with how much it makes.
func delta(makes int64) []byte {
	out := []byte{1}
	for ; makes >= 0x80; makes >>= 7 {
		out = append(out, byte(makes&0x7f)|0x80) // #nosec G115 -- the pack format
	}
	return append(out, byte(makes), 0x90, 1, 0x90, 1) // #nosec G115 -- the pack format
}

// TestAWriterDoesNotOverwrite: evidence is kept.
func TestAWriterDoesNotOverwrite(t *testing.T) {
	file := filepath.Join(t.TempDir(), "evidence.tar")
	if err := os.WriteFile(file, []byte("kept"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Write(t.Context(), t.TempDir(), file, Options{}); err == nil || !strings.Contains(err.Error(), "not overwritten") {
		t.Error(err)
	}
	if data, err := os.ReadFile(file); err != nil || string(data) != "kept" {
		t.Errorf("%s, %v", data, err)
	}
}

// TestNothingIsWrittenOfWhatIsNotWhole: neither a file, nor something beside it.
func TestNothingIsWrittenOfWhatIsNotWhole(t *testing.T) {
	dir := t.TempDir()
	git(t, dir, "init", "-q")
	where := t.TempDir()
	_, _, err := Write(t.Context(), dir, filepath.Join(where, "evidence.tar"), Options{})
	if err == nil || !strings.Contains(err.Error(), "LEDGER_MISSING") {
		t.Error(err)
	}
	if left, _ := os.ReadDir(where); len(left) > 0 {
		t.Errorf("%v stays behind", left)
	}
}

func TestDocumentsDisagreeOnlyWhereBothSpeak(t *testing.T) {
	for _, c := range []struct{ a, b, want string }{
		{`{"x":1,"y":[{"z":"a"}]}`, `{"x":1,"y":[{"z":"a","new":2}],"more":3}`, ""},
		{`{"x":1}`, `{"x":2}`, ".x"},
		{`{"y":[{"z":"a"}]}`, `{"y":[{"z":"b"}]}`, ".y[0].z"},
		{`{"y":[]}`, `{"y":[1]}`, ".y has another length"},
		{`{"y":[]}`, `{"y":{}}`, ".y has another length"},
		{`{"y":{}}`, `{"y":1}`, ".y is of another kind"},
		{`{`, `{}`, "it is no JSON"},
	} {
		if got := disagreement([]byte(c.a), []byte(c.b)); got != c.want {
			t.Errorf("%s and %s: %q, want %q", c.a, c.b, got, c.want)
		}
	}
}

// FuzzOpen: whatever a file holds, it is taken or refused, and nothing stays
// behind of what was refused.
func FuzzOpen(f *testing.F) {
	inner := small(f)
	f.Add(inner)
	f.Add(archived(f, inner, nil))
	f.Add([]byte(signature3 + "@object-format=sha1\n\n"))
	f.Add([]byte(packOf(1, entry(3, 1, []byte("x")))))
	f.Fuzz(func(t *testing.T, data []byte) {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		scratch := t.TempDir()
		b := &Bundle{dir: filepath.Join(scratch, "unpacked")}
		if err := os.Mkdir(b.dir, 0o700); err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(scratch, "file")
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
		in, err := os.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = in.Close() }()
		_ = b.open(ctx, in)
		if err := b.Close(); err != nil {
			t.Error(err)
		}
		if left, _ := os.ReadDir(scratch); len(left) != 1 {
			t.Errorf("outside of its directory stands %v", left)
		}
	})
}
