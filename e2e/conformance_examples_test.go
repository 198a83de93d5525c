//go:build conformance

package e2e

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rungbot/rung/internal/githubemu"
	"github.com/rungbot/rung/internal/githubemu/gitmem"
	"github.com/rungbot/rung/internal/githubemu/gitstore"
)

// TestEveryExampleOfAWebhookIsTaken posts GitHub's own examples of webhooks,
// signed, at a running rung: each is accepted, none is an error, nothing panics, and
// the repository stays as it is.
func TestEveryExampleOfAWebhookIsTaken(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(packages, "webhooks-examples", "api.github.com", "index.json"))
	if err != nil {
		t.Fatal(err)
	}
	var events []struct {
		Name     string            `json:"name"`
		Examples []json.RawMessage `json:"examples"`
	}
	if err := json.Unmarshal(text, &events); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := bounded()
	defer cancel()
	w := startedWorld(ctx, t, t.TempDir(), true)
	before, err := w.state(ctx)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, e := range events {
		for _, payload := range e.Examples {
			n++
			post(t, "http://"+w.rung.addr()+"/github/webhook", e.Name, fmt.Sprintf("example-%d", n), payload)
		}
	}
	if n < 300 {
		t.Errorf("only %d examples", n)
	}
	if err := w.settle(ctx); err != nil {
		t.Errorf("rung does not come to rest: %v", err)
	}
	after, err := w.state(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if !maps.Equal(before.Branches, after.Branches) || len(after.Pulls) > 0 {
		t.Errorf("the repository changed: %v", after.Branches)
	}
	if log := w.logs.tail(1 << 20); strings.Contains(log, "panic") || strings.Contains(log, `"level":"error"`) {
		t.Errorf("rung's log:\n%s", w.logs.tail(30))
	}
	t.Logf("%d examples of %d events", n, len(events))
}

// post sends one webhook; it must be answered with 202.
func post(t *testing.T, url, event, delivery string, payload []byte) {
	t.Helper()
	mac := hmac.New(sha256.New, []byte(secret))
	_, _ = mac.Write(payload)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, bytes.NewReader(payload))
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range map[string]string{
		"Content-Type": "application/json", "X-GitHub-Event": event, "X-GitHub-Delivery": delivery, "User-Agent": "GitHub-Hookshot/example",
		"X-GitHub-Hook-ID": "1", "X-GitHub-Hook-Installation-Target-ID": fmt.Sprint(appID), "X-GitHub-Hook-Installation-Target-Type": "integration",
		"X-Hub-Signature-256": "sha256=" + hex.EncodeToString(mac.Sum(nil)),
	} {
		req.Header.Set(k, v)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	said, _ := io.ReadAll(res.Body)
	_ = res.Body.Close()
	if res.StatusCode != http.StatusAccepted {
		t.Errorf("%s: %s: %s", event, res.Status, clipped(string(said)))
	}
}

// recordings are those of GitHub's real traffic that the emulator can be asked to
// repeat. absent are fields that only administrators see; gone are paths that GitHub
// has taken away since.
var recordings = []struct{ name, absent, gone string }{
	{"create-status", "", ""},
	{"git-refs", "", "/git/refs/"},
	{"create-file", "", ""},
	{"get-content", "", ""},
	{"errors", "", ""},
	{"get-repository", "temp_clone_token", ""},
	{"lock-issue", "", ""},
	{"get-root", "", ""},
}

// TestRecordingsRepeat sends the requests of real recordings to the emulator: the
// status is the same, and no field that GitHub showed is missing.
func TestRecordingsRepeat(t *testing.T) {
	for _, rec := range recordings {
		t.Run(rec.name, func(t *testing.T) {
			text, err := os.ReadFile(filepath.Join(packages, "fixtures", "scenarios", "api.github.com", rec.name, "normalized-fixture.json"))
			if err != nil {
				t.Fatal(err)
			}
			var all []struct {
				Method, Path string
				Body         json.RawMessage
				Status       int
				Response     json.RawMessage
			}
			if err := json.Unmarshal(text, &all); err != nil {
				t.Fatal(err)
			}
			base, token, head, parent := recorded(t, "octokit-fixture-org/"+rec.name)
			for _, r := range all {
				if rec.gone != "" && strings.HasSuffix(r.Path, rec.gone) {
					continue
				}
				fill := strings.NewReplacer(strings.Repeat("0", 39)+"1", head, strings.Repeat("0", 39)+"2", parent).Replace
				var body io.Reader
				if len(r.Body) > 0 && string(r.Body) != `""` {
					body = strings.NewReader(fill(string(r.Body)))
				}
				req, err := http.NewRequestWithContext(t.Context(), strings.ToUpper(r.Method), base+"/api/v3"+fill(r.Path), body)
				if err != nil {
					t.Fatal(err)
				}
				req.Header.Set("Authorization", "Bearer "+token)
				res, err := http.DefaultClient.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				got, _ := io.ReadAll(res.Body)
				_ = res.Body.Close()
				if res.StatusCode != r.Status {
					t.Errorf("%s %s: %d, GitHub said %d: %s", r.Method, r.Path, res.StatusCode, r.Status, clipped(string(got)))
					continue
				}
				for _, field := range fieldsOf(r.Response) {
					if !slices.Contains(fieldsOf(got), field) && field != rec.absent {
						t.Errorf("%s %s: no %s", r.Method, r.Path, field)
					}
				}
			}
		})
	}
}

// fieldsOf are the names in an object, or in the first one of a list.
func fieldsOf(data []byte) []string {
	var list []json.RawMessage
	if json.Unmarshal(data, &list) == nil && len(list) > 0 {
		data = list[0]
	}
	var object map[string]json.RawMessage
	if json.Unmarshal(data, &object) != nil {
		return nil
	}
	return sortedKeys(object)
}

// recorded is an emulator with the organisation of the recordings, and a repository
// with two commits and an issue.
func recorded(t *testing.T, full string) (base, token, head, parent string) {
	t.Helper()
	key, err := appKey()
	if err != nil {
		t.Fatal(err)
	}
	emu, err := githubemu.New(githubemu.Config{Store: gitmem.New(gitstore.Options{}), App: githubemu.App{ID: appID, Slug: "rung", PublicKey: &key.PublicKey, WebhookSecret: secret}})
	if err != nil {
		t.Fatal(err)
	}
	front := httptest.NewServer(aroundGitHub(emu))
	t.Cleanup(front.Close)
	t.Cleanup(emu.Close)
	emu.SetBaseURL(front.URL)
	const person = "octokit-fixture-user-a"
	token = emu.AddPerson(githubemu.Person{Login: person})
	emu.AddOrganization("octokit-fixture-org", "admin", map[string]string{person: "admin"})
	for _, name := range []string{full, "octokit-fixture-org/hello-world"} {
		err := emu.CreateRepository(t.Context(), githubemu.RepositorySeed{Name: name, Public: true, Commits: []githubemu.CommitSeed{
			{Author: person, Files: map[string]string{"README.md": "# hello-world\n"}}, {Author: person, Files: map[string]string{"a": "b\n"}},
		}})
		if err != nil {
			t.Fatal(err)
		}
	}
	st, err := emu.State(t.Context(), full)
	if err != nil {
		t.Fatal(err)
	}
	tokens, saved := map[string]string{person: token}, map[string]string{}
	ask(t, front.URL, asked{person, http.MethodPost, "/repos/" + full + "/issues", `{"title":"a question"}`, http.StatusCreated, ""}, tokens, saved)
	ask(t, front.URL, asked{person, http.MethodGet, "/repos/" + full + "/commits/main", "", http.StatusOK, "parent=parents.0.sha"}, tokens, saved)
	return front.URL, token, st.Branches["main"], saved["parent"]
}
