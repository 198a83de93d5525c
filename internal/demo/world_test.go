package demo

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rungbot/rung/internal/githubemu"
	"github.com/rungbot/rung/internal/pipeline"
	"github.com/rungbot/rung/internal/promotion"
	"github.com/rungbot/rung/internal/settings"
)

func startWorld(t *testing.T, o Options) *World {
	t.Helper()
	w, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

// TestWorldBeginsWithWhatRuns holds the pushed sample to rung's own readers,
// to stock git and to the registry.
func TestWorldBeginsWithWhatRuns(t *testing.T) {
	dir := t.TempDir()
	w := startWorld(t, Options{Dir: dir})
	live, err := w.Live(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(live) != 15 {
		t.Errorf("%d pairs are live, want 15: %v", len(live), live)
	}
	for pair, v := range live {
		if v.Version != initialVersions[pair.Artifact] || v.Digest == "" {
			t.Errorf("%s runs %+v", pair, v)
		}
		if code, _ := get(t, "http://"+w.RegistryHost+"/v2/acme/"+string(pair.Artifact)+"/manifests/"+string(v.Digest)); code != http.StatusOK {
			t.Errorf("the registry answers %d for %s", code, pair)
		}
		if code, body := get(t, w.AppsURL+"/"+pair.String()+"/healthz"); code != http.StatusOK {
			t.Errorf("%s: %d %s", pair, code, body)
		}
	}
	checkout := filepath.Join(t.TempDir(), "clone")
	for _, args := range [][]string{{"clone", "-q", w.GitHubURL + "/" + Repository + ".git", checkout}, {"-C", checkout, "fsck", "--strict"}} {
		if out, err := exec.Command("git", args...).CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
	}
	files, policies := map[string][]byte{}, []string{}
	_ = filepath.WalkDir(checkout, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, _ := filepath.Rel(checkout, path)
		if pipeline.IsConfigPath(rel) {
			files[rel], err = os.ReadFile(path)
		}
		policies = append(policies, rel)
		return err
	})
	result := pipeline.Load(files, pipeline.Options{PolicyFiles: policies})
	if len(result.Problems) != 0 {
		t.Errorf("the pushed sample has problems: %v", result.Problems)
	}
	for _, a := range result.Pipeline.Artifacts {
		if a.Image != w.image(a.Name) {
			t.Errorf("%s has image %s, want %s", a.Name, a.Image, w.image(a.Name))
		}
	}
}

// TestEnvironJoins: the settings that a World gives are complete, and its
// secrets are for their owner alone.
func TestEnvironJoins(t *testing.T) {
	w := startWorld(t, Options{})
	s, err := settings.Load(w.Environ())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.CheckServe(); err != nil {
		t.Error(err)
	}
	entries, err := os.ReadDir(filepath.Join(w.Dir, "keys"))
	if err != nil || len(entries) != 3 {
		t.Fatalf("keys: %v, %v", entries, err)
	}
	for _, e := range entries {
		if info, err := e.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", e.Name(), info.Mode(), err)
		}
	}
	dir := w.Dir
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the temporary directory is still there: %v", err)
	}
}

// TestPublish pushes an image that the seed decides, tells of it, and breaks it
// where it is to be bad.
func TestPublish(t *testing.T) {
	var digests []promotion.Digest
	for range 2 {
		w := startWorld(t, Options{Seed: 7})
		d, err := w.Publish(t.Context(), "checkout", "1.1.0", true)
		if err != nil {
			t.Fatal(err)
		}
		digests = append(digests, d)
		again, err := w.Push(t.Context(), "checkout", "1.1.1", "1.1.0")
		if err != nil || again != d {
			t.Errorf("the same build under another tag: %s, %v", again, err)
		}
		told := false
		for _, x := range append(w.Emulator().Deliveries(), w.Emulator().Pending()...) {
			told = told || x.Event == "repository_dispatch" && strings.Contains(string(x.Payload), string(d))
		}
		if !told {
			t.Error("nothing announced the version")
		}
		putLive(t, w, "canary", d)
		putLive(t, w, "dev", d)
		if code, _ := get(t, w.AppsURL+"/canary/checkout/healthz"); code != http.StatusServiceUnavailable {
			t.Errorf("bad in canary: %d", code)
		}
		if code, _ := get(t, w.AppsURL+"/dev/checkout/healthz"); code != http.StatusOK {
			t.Errorf("good in dev: %d", code)
		}
		w.Mend(d)
		if code, _ := get(t, w.AppsURL+"/canary/checkout/healthz"); code != http.StatusOK {
			t.Errorf("mended in canary: %d", code)
		}
	}
	if digests[0] != digests[1] {
		t.Errorf("one seed, two digests: %v", digests)
	}
}

// putLive writes a digest into an environment as a person does by hand.
func putLive(t *testing.T, w *World, environment string, d promotion.Digest) {
	t.Helper()
	live, err := w.Live(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	path := "environments/" + environment + "/kustomization.yaml"
	text, ok := w.Emulator().ReadFile(t.Context(), Repository, "main", path)
	old := live[promotion.Pair{Environment: promotion.Environment(environment), Artifact: "checkout"}]
	if !ok || !strings.Contains(text, string(old.Digest)) {
		t.Fatalf("%s does not name %s:\n%s", path, old.Digest, text)
	}
	if _, err := w.Emulator().PushFiles(t.Context(), githubemu.Push{
		Repository: Repository, Person: Alice,
		Files: map[string]string{path: strings.Replace(text, string(old.Digest), string(d), 1)},
	}); err != nil {
		t.Fatal(err)
	}
}

func TestStartRefuses(t *testing.T) {
	used := startWorld(t, Options{Dir: t.TempDir()})
	if _, err := Start(t.Context(), Options{Dir: used.Dir}); err == nil || !strings.Contains(err.Error(), "was played in before") {
		t.Errorf("a used directory: %v", err)
	}
	if _, err := Start(t.Context(), Options{Port: 65533}); err == nil {
		t.Error("ports beyond 65535 were taken")
	}
	t.Setenv("PATH", t.TempDir())
	if _, err := Start(t.Context(), Options{}); err == nil || !strings.Contains(err.Error(), "install git 2.38") {
		t.Errorf("without git: %v", err)
	}
}

func TestWaitForNamesWhatItWaitedFor(t *testing.T) {
	w := &World{}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	err := w.WaitFor(ctx, "the moon", func(context.Context) (bool, error) { return false, nil })
	if err == nil || !strings.Contains(err.Error(), "the moon") {
		t.Errorf("%v", err)
	}
	broken := errors.New("it fell")
	if err := w.WaitFor(t.Context(), "the moon", func(context.Context) (bool, error) { return true, broken }); !errors.Is(err, broken) {
		t.Errorf("%v", err)
	}
}
