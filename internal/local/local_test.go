package local

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rungbot/rung/internal/promotion"
)

func git(t *testing.T, dir string, args ...string) {
	t.Helper()
	cmd := exec.Command("git", append([]string{"-C", dir, "-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false"}, args...)...)
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

func repository(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	git(t, dir, "init", "-q", "-b", "trunk")
	for path, text := range files {
		full := filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(full), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if len(files) > 0 {
		git(t, dir, "add", "-A")
		git(t, dir, "commit", "-qm", "Begin")
	}
	return dir
}

const deployment = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: app}\nspec:\n  template:\n    spec:\n      containers:\n        - name: app\n          image: ghcr.io/acme/app:1.0.0\n"

// TestWithoutALedger: a clone of a repository that rung does not know yet says what
// rung would begin with, and that it knows no more.
func TestWithoutALedger(t *testing.T) {
	dir := repository(t, map[string]string{
		"rung.yaml":                     "version: 1\nmode: merge\nartifacts: {app: {image: ghcr.io/acme/app}}\nenvironments: {dev: {}, prod: {after: [dev], approvals: {required: 1}}}\n",
		"environments/dev/deploy.yaml":  deployment,
		"environments/prod/deploy.yaml": deployment,
	})
	git(t, dir, "remote", "add", "origin", "git@github.com:acme/gitops.git")
	seen, err := Look(t.Context(), filepath.Join(dir, "environments", "dev"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	v := seen.View
	if v.Repository.FullName() != "acme/gitops" || v.Repository.URL != "https://github.com/acme/gitops" || !v.Configured || len(v.Pairs) != 2 || seen.Verified != nil {
		t.Errorf("%+v", v)
	}
	if v.Pairs[1].Pair != (promotion.Pair{Environment: "prod", Artifact: "app"}) || v.Pairs[1].Live.Version != "1.0.0" {
		t.Errorf("the second pair is %+v", v.Pairs[1])
	}
	if !slices.ContainsFunc(v.Unseen, func(s string) bool { return strings.Contains(s, "no branch rung/ledger") }) {
		t.Errorf("unseen: %q", v.Unseen)
	}
	if !slices.Contains(v.Would, "record: adopt prod app 1.0.0") {
		t.Errorf("would: %q", v.Would)
	}
}

func TestAConfigurationWithErrorsIsShown(t *testing.T) {
	dir := repository(t, map[string]string{"rung.yaml": "version: 1\nmodus: merge\n"})
	seen, err := Look(t.Context(), dir, Options{})
	if err != nil || len(seen.View.Problems) == 0 {
		t.Errorf("%+v, %v", seen, err)
	}
	git(t, dir, "checkout", "-q", "-b", "mended")
	if err := os.WriteFile(filepath.Join(dir, "rung.yaml"), []byte("version: 1\nartifacts: {app: {image: ghcr.io/acme/app}}\nenvironments: {dev: {}}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	git(t, dir, "commit", "-qam", "Mend")
	for base, problems := range map[string]bool{"mended": false, "trunk": true, "refs/heads/trunk": true} {
		seen, err := Look(t.Context(), dir, Options{Base: base})
		if err != nil || len(seen.View.Problems) > 0 != problems {
			t.Errorf("%s: %+v, %v", base, seen, err)
		}
	}
}

func TestWhatCantBeLookedAt(t *testing.T) {
	if _, err := Look(t.Context(), repository(t, nil), Options{}); !errors.Is(err, ErrNoBase) {
		t.Errorf("without a commit: %v", err)
	}
	if _, err := Look(t.Context(), repository(t, map[string]string{"a": "b"}), Options{Base: "nothing"}); !errors.Is(err, ErrNoBase) {
		t.Errorf("a base that is not there: %v", err)
	}
	if _, err := Look(t.Context(), t.TempDir(), Options{}); err == nil || !strings.Contains(err.Error(), "name a local clone") {
		t.Errorf("no clone: %v", err)
	}
	seen, err := Look(t.Context(), repository(t, map[string]string{"a": "b"}), Options{})
	if err != nil || seen.View.Configured {
		t.Errorf("without rung.yaml: %+v, %v", seen, err)
	}
}

func TestNamed(t *testing.T) {
	for origin, want := range map[string]string{
		"https://github.com/acme/gitops.git":           "https://github.com/acme/gitops",
		"https://bob:hunter2@github.example.com/a/b":   "https://github.example.com/a/b",
		"git@github.com:acme/gitops.git":               "https://github.com/acme/gitops",
		"ssh://git@github.example.com:2222/acme/x.git": "https://github.example.com/acme/x",
		"/srv/git/gitops.git":                          "",
		"":                                             "",
		"https://github.com/acme":                      "",
	} {
		if got := Named(origin); got.URL != want {
			t.Errorf("%s: %+v", origin, got)
		}
	}
}
