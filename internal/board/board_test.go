package board

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/rungbot/rung/internal/promotion"
	"github.com/rungbot/rung/internal/queue"
)

var now = time.Date(2025, 6, 2, 10, 0, 0, 0, time.UTC)

const (
	digestA = promotion.Digest("sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")
	digestB = promotion.Digest("sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb")
	baseSHA = promotion.Hash("1111111111111111111111111111111111111111")
	tipSHA  = promotion.Hash("2222222222222222222222222222222222222222")
)

// kept is a fixed set of views.
type kept struct {
	views []queue.View
	err   error
	asked []string
}

func (k *kept) Views(_ context.Context, name string) ([]queue.View, error) {
	k.asked = append(k.asked, name)
	var named []queue.View
	for _, v := range k.views {
		if v.Name == name || v.Name == "" && name == promotion.ViewName {
			named = append(named, v)
		}
	}
	return named, k.err
}

func stored(t testing.TB, id int64, v promotion.View) queue.View {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return queue.View{Key: queue.RepositoryKey(id), Name: promotion.ViewName, At: now.Add(-3 * time.Second), Data: data}
}

func sample() promotion.View {
	return promotion.View{
		Repository: promotion.Repository{ID: 1, Owner: "acme", Name: "gitops", URL: "https://forge.example/acme/gitops"},
		At:         now.Add(-12 * time.Second), Configured: true, Mode: promotion.ModeMerge, Base: baseSHA, Ledger: tipSHA,
		Pipeline: &promotion.Pipeline{
			Artifacts:    []promotion.ArtifactSpec{{Name: "checkout"}, {Name: "payments"}},
			Environments: []promotion.EnvironmentSpec{{Name: "dev"}, {Name: "staging"}, {Name: "prod"}},
		},
		Pairs: []promotion.PairState{
			{Pair: promotion.Pair{Environment: "dev", Artifact: "checkout"}, Live: promotion.Value{Version: "1.4.2", Digest: digestB}, Phase: promotion.PhaseIdle, Settled: "good", LandedAt: now.Add(-time.Hour)},
			{
				Pair: promotion.Pair{Environment: "prod", Artifact: "checkout"}, Live: promotion.Value{Version: "1.4.1", Digest: digestA},
				Phase: promotion.PhaseOpen, Target: promotion.Value{Version: "1.4.2", Digest: digestB}, Kind: promotion.KindPromotion,
				PullRequest: 12, URL: "https://forge.example/acme/gitops/pull/12", Sentence: "approval: one approval is missing", Look: now.Add(4 * time.Minute),
				Verdicts: []promotion.Verdict{
					{Gate: "predecessor", Status: promotion.StatusPass, Sentence: "staging settled good"},
					{
						Gate: "approval", Status: promotion.StatusPending, Sentence: "one approval is missing", Look: now.Add(4 * time.Minute),
						Evidence: []promotion.Evidence{{Name: "review", Value: "none", URL: "https://forge.example/x"}},
					},
					{
						Gate: "policy", Status: promotion.StatusFail, Sentence: "a policy refuses it",
						Rules: []promotion.RuleResult{{Policy: "digest", Rule: "pinned", Status: promotion.StatusFail, Message: "not pinned"}},
					},
					{Gate: "head", Status: promotion.StatusUnknown, Sentence: "could not be read"},
				},
			},
		},
	}
}

// get asks a board for a page.
func get(t testing.TB, views Views, method, target string) (*http.Response, string) {
	t.Helper()
	b := New(Config{Views: views, Now: func() time.Time { return now }, Version: "1.2.3"})
	w := httptest.NewRecorder()
	b.ServeHTTP(w, httptest.NewRequest(method, target, nil))
	res := w.Result()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(body)
}

// text is what a person reads of a page, with single spaces.
func text(t testing.TB, page string) string {
	t.Helper()
	root, err := html.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	var walk func(*html.Node)
	walk = func(n *html.Node) {
		if n.Type == html.ElementNode && (n.Data == "head" || n.Data == "style") {
			return
		}
		if n.Type == html.TextNode {
			b.WriteString(n.Data + " ")
		}
		for c := n.FirstChild; c != nil; c = c.NextSibling {
			walk(c)
		}
	}
	walk(root)
	return strings.Join(strings.Fields(b.String()), " ")
}

func wants(t *testing.T, got string, want ...string) {
	t.Helper()
	for _, w := range want {
		if !strings.Contains(got, w) {
			t.Errorf("the page lacks %q; it says:\n%s", w, got)
		}
	}
}

func TestTheGridSaysWhatRunsWhereAndWhy(t *testing.T) {
	k := &kept{views: []queue.View{stored(t, 1, sample())}}
	res, page := get(t, k, "GET", "/")
	if res.StatusCode != http.StatusOK || !slices.Contains(k.asked, promotion.ViewName) {
		t.Fatalf("status %d, asked for %q", res.StatusCode, k.asked)
	}
	wants(t, text(t, page),
		"acme/gitops", "seen 12 s ago", "Mode merge: rung merges once every gate passes", "Base 111111111111", "Ledger 222222222222",
		"Artifact dev staging prod", "1.4.2 sha256:bbbbbbbbbbbb ● up to date", "recorded 60 min ago , settled good",
		"1.4.1 sha256:aaaaaaaaaaaa ◇ promotion open next 1.4.2 sha256:bbbbbbbbbbbb pull request #12 approval: one approval is missing looked at again in 4 min",
		"1 of 4 gates pass", "predecessor passes", "approval waits : one approval is missing (looked at again in 4 min )", "policy fails", "head can't be judged",
		"review: none", "digest / pinned fails : not pinned", "staging – not named here", "rung 1.2.3", "1 promotion open",
	)
	wants(t, page,
		`<caption>acme/gitops: what runs where`, `<th scope="col"`, `<th scope="row"`, `<details><summary>`, `<html lang="en">`, `name="viewport"`,
		`<meta http-equiv="refresh" content="5">`, `href="https://forge.example/acme/gitops/pull/12"`, `href="https://forge.example/acme/gitops/commit/`+string(tipSHA)+`"`,
		`href="/r/acme/gitops"`,
	)
	if strings.Contains(page, "<script") || strings.Contains(page, "style=") {
		t.Error("the page has a script or an inline style, which its policy forbids")
	}
}

func TestEachPhaseIsSaidInWords(t *testing.T) {
	for phase, want := range map[string]string{
		promotion.PhaseIdle: "● up to date", promotion.PhaseVerifying: "◔ being verified", promotion.PhaseWaiting: "◷ newer version waits",
		promotion.PhaseOpen: "◇ promotion open", promotion.PhaseReady: "◆ ready to merge", promotion.PhaseHeld: "■ held",
		promotion.PhaseUnhealthy: "▲ unhealthy", promotion.PhaseRolledBack: "↩ rolled back", "novel": "? novel", "": "? unknown",
	} {
		t.Run(phase, func(t *testing.T) {
			v := sample()
			v.Pairs = []promotion.PairState{{Pair: promotion.Pair{Environment: "prod", Artifact: "checkout"}, Live: promotion.Value{Version: "1.0.0"}, Phase: phase, Sentence: "because of that", Unpinned: true}}
			_, page := get(t, &kept{views: []queue.View{stored(t, 1, v)}}, "GET", "/")
			wants(t, text(t, page), "1.0.0 unpinned "+want, "because of that")
		})
	}
}

func TestARollbackIsSaid(t *testing.T) {
	v := sample()
	v.Pairs[1].Kind, v.Pairs[1].URL = promotion.KindRollback, ""
	_, page := get(t, &kept{views: []queue.View{stored(t, 1, v)}}, "GET", "/r/acme/gitops")
	wants(t, text(t, page), "rollback open", "back to 1.4.2")
	wants(t, page, `href="https://forge.example/acme/gitops/pull/12"`)
}

func TestBarsNotesProblemsAndErrors(t *testing.T) {
	v := sample()
	v.Freezes = []promotion.Bar{{Scope: "prod", Reason: "end of year", By: promotion.Person{Login: "ada"}, At: now.Add(-72 * time.Hour), Until: now.Add(3 * time.Hour)}, {Scope: "+all", Reason: "stop", At: now}}
	v.Quarantine = []promotion.Bar{{Scope: string(digestB), Reason: "it leaks", By: promotion.Person{Login: "bob"}, At: now.Add(-5 * time.Minute)}}
	v.Notes = []string{"rung.yaml does not name the ledger yet"}
	v.Problems = []promotion.ConfigProblem{{Path: "rung.yaml", Line: 3, Column: 7, Text: `unknown field "soack"`, Environments: []promotion.Environment{"prod"}}, {Path: "rung.yaml", Text: "no"}}
	v.Error = "fetch: the server hung up"
	_, page := get(t, &kept{views: []queue.View{stored(t, 1, v)}}, "GET", "/")
	wants(t, text(t, page),
		"prod : end of year by ada, since 3 days ago , ends in 3 h", "everything : stop since 0 s ago",
		"sha256:bbbbbbbbbbbb : it leaks by bob, since 5 min ago", "rung.yaml does not name the ledger yet",
		`rung.yaml:3:7: unknown field "soack" (holds prod)`, "rung.yaml:1:1: no (holds everything)",
		"The last pass failed 3 s ago : fetch: the server hung up. What is shown is from the pass that saw it.",
	)
}

func TestRepositoriesWithoutConfigurationAreListed(t *testing.T) {
	v := promotion.View{Repository: promotion.Repository{Owner: "acme", Name: "website"}, At: now}
	k := &kept{views: []queue.View{stored(t, 1, sample()), stored(t, 2, v)}}
	_, page := get(t, k, "GET", "/")
	wants(t, text(t, page), "Not configured", "no rung.yaml", "acme/website seen 0 s ago")
	res, page := get(t, k, "GET", "/r/acme/website")
	if res.StatusCode != http.StatusOK {
		t.Errorf("its own page has status %d", res.StatusCode)
	}
	wants(t, text(t, page), "Not configured: the base branch has no rung.yaml")
}

func TestTheEmptyBoardSaysWhatToDo(t *testing.T) {
	res, page := get(t, &kept{}, "GET", "/")
	if res.StatusCode != http.StatusOK {
		t.Fatalf("status %d", res.StatusCode)
	}
	wants(t, text(t, page), "No repository yet", "Install the GitHub App", "rung.yaml", "mode: observe")
}

func TestConfiguredWithoutPlaces(t *testing.T) {
	v := sample()
	v.Pairs = nil
	_, page := get(t, &kept{views: []queue.View{stored(t, 1, v)}}, "GET", "/")
	wants(t, text(t, page), "No environment names an artifact of rung.yaml yet")
}

func TestManyRepositoriesBecomeAList(t *testing.T) {
	k := &kept{}
	for i := range maxWhole + 1 {
		v := sample()
		v.Repository.Name = fmt.Sprintf("gitops-%02d", i)
		k.views = append(k.views, stored(t, int64(i), v))
	}
	k.views = append(k.views, queue.View{Key: "repo/99", Data: []byte("{")})
	_, page := get(t, k, "GET", "/")
	if strings.Contains(page, `class="grid"`) {
		t.Error("a board of many repositories shows every grid")
	}
	wants(t, text(t, page), "gitops-12 ◇ 1 promotion open", "repo/99 ▲ what is kept of the last pass can't be read")
	_, page = get(t, k, "GET", "/r/ACME/gitops-12")
	wants(t, page, `class="grid"`)
}

func TestBrokenViewsAreShownAsBroken(t *testing.T) {
	for name, data := range map[string]string{
		"empty": "", "no JSON": "\x00\xff", "cut": `{"repository":`, "another type": `[]`, "null": `null`, "no name": `{}`,
		"a field of another type": `{"repository":{"owner":"acme","name":7}}`,
		"a pair of another kind":  `{"repository":{"owner":"acme","name":"x"},"pairs":[7]}`,
	} {
		t.Run(name, func(t *testing.T) {
			k := &kept{views: []queue.View{{Key: "repo/7", Data: []byte(data)}, stored(t, 1, sample())}}
			res, page := get(t, k, "GET", "/")
			if res.StatusCode != http.StatusOK {
				t.Fatalf("status %d", res.StatusCode)
			}
			wants(t, text(t, page), "repo/7 ▲ what is kept of the last pass", "acme/gitops", "1.4.1")
		})
	}
}

func TestAStoreThatFails(t *testing.T) {
	res, page := get(t, &kept{err: errors.New("open /secret/path: disk on fire")}, "GET", "/")
	if res.StatusCode != http.StatusServiceUnavailable || strings.Contains(page, "secret") {
		t.Errorf("status %d, page %s", res.StatusCode, page)
	}
	wants(t, text(t, page), "could not be read")
}

func TestHostileTextIsShownAsText(t *testing.T) {
	const evil = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>\u202egnp.exe\x00\x1b[31m\nnext"
	v := sample()
	v.Repository.Owner, v.Repository.Name, v.Repository.URL = evil, evil, "javascript:alert(1)"
	v.Mode, v.Error, v.Notes, v.Base, v.Ledger = evil, evil, []string{evil}, evil, evil
	v.Problems = []promotion.ConfigProblem{{Path: evil, Text: evil, Environments: []promotion.Environment{evil}}}
	v.Freezes = []promotion.Bar{{Scope: evil, Reason: evil, By: promotion.Person{Login: evil}, At: now}}
	v.Quarantine = v.Freezes
	v.Pipeline.Artifacts[0].Name, v.Pipeline.Environments[0].Name = evil, evil
	st := &v.Pairs[1]
	st.Live = promotion.Value{Version: evil, Digest: evil}
	st.Target, st.Phase, st.Sentence, st.URL, st.Settled, st.LandedAt = st.Live, evil, evil, "javascript:alert(document.cookie)", evil, now
	st.ByHand = "changed by hand by " + evil
	st.Verdicts = []promotion.Verdict{{Gate: evil, Status: evil, Sentence: evil, Evidence: []promotion.Evidence{{Name: evil, Value: evil, URL: "data:text/html,x"}}, Rules: []promotion.RuleResult{{Policy: evil, Rule: evil, Message: evil}}}}
	_, page := get(t, &kept{views: []queue.View{stored(t, 1, v), {Key: evil, Data: []byte(`"` + evil)}}}, "GET", "/")
	root, err := html.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	var walk func(*html.Node)
	walk = func(n *html.Node) {
		if n.Type == html.ElementNode {
			if n.Data == "script" || n.Data == "img" {
				t.Errorf("the page has an element <%s>", n.Data)
			}
			for _, a := range n.Attr {
				bad := strings.HasPrefix(a.Key, "on") || a.Key == "href" && !strings.HasPrefix(a.Val, "/") && !strings.HasPrefix(a.Val, "?") && !strings.HasPrefix(a.Val, "https://")
				if bad {
					t.Errorf("<%s> has %s=%q", n.Data, a.Key, a.Val)
				}
			}
		}
		for c := n.FirstChild; c != nil; c = c.NextSibling {
			walk(c)
		}
	}
	walk(root)
	if strings.ContainsAny(page, "\u202e\x00\x1b") {
		t.Error("the page has control characters")
	}
	wants(t, page, "&lt;script&gt;")
}

func TestReadOnlyWithStrictHeaders(t *testing.T) {
	k := &kept{views: []queue.View{stored(t, 1, sample())}}
	for _, c := range []struct {
		method, target string
		want           int
	}{
		{"GET", "/", 200},
		{"HEAD", "/", 200},
		{"GET", "/r/acme/gitops", 200},
		{"GET", "/r/acme/other", 404},
		{"GET", "/elsewhere", 404},
		{"GET", "/board.css", 200},
		{"GET", "/doctor", 200},
		{"POST", "/doctor", 405},
		{"POST", "/", 405},
		{"DELETE", "/r/acme/gitops", 405},
		{"PUT", "/elsewhere", 405},
		{"OPTIONS", "/", 405},
	} {
		res, _ := get(t, k, c.method, c.target)
		if res.StatusCode != c.want {
			t.Errorf("%s %s: status %d, want %d", c.method, c.target, res.StatusCode, c.want)
		}
		for header, want := range map[string]string{"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store", "X-Frame-Options": "DENY"} {
			if got := res.Header.Get(header); got != want {
				t.Errorf("%s %s: %s is %q, want %q", c.method, c.target, header, got, want)
			}
		}
		if csp := res.Header.Get("Content-Security-Policy"); !strings.HasPrefix(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") {
			t.Errorf("%s %s: Content-Security-Policy is %q", c.method, c.target, csp)
		}
	}
}

func TestTheStyleSheetIsKeptByItsContent(t *testing.T) {
	_, page := get(t, &kept{}, "GET", "/")
	wants(t, page, `href="`+stylePath+`"`)
	res, css := get(t, &kept{}, "GET", stylePath)
	if !strings.Contains(res.Header.Get("Cache-Control"), "immutable") || !strings.HasPrefix(res.Header.Get("Content-Type"), "text/css") {
		t.Errorf("headers %v", res.Header)
	}
	wants(t, css, "prefers-color-scheme: dark", "@media (max-width:")
	if strings.Contains(css, "url(") || strings.Contains(css, "@import") {
		t.Error("the style sheet asks for something else")
	}
}

func TestRefreshCanBeStopped(t *testing.T) {
	_, page := get(t, &kept{views: []queue.View{stored(t, 1, sample())}}, "GET", "/?refresh=off")
	if strings.Contains(page, "http-equiv") {
		t.Error("the page still loads itself again")
	}
	wants(t, text(t, page), "load again by itself")
}

func TestSpans(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Minute: "0 s", 0: "0 s", 12 * time.Second: "12 s", 119 * time.Second: "119 s", 2 * time.Minute: "2 min",
		119 * time.Minute: "119 min", 2 * time.Hour: "2 h", 47 * time.Hour: "47 h", 48 * time.Hour: "2 days", 1000 * time.Hour: "41 days",
	} {
		if got := span(d); got != want {
			t.Errorf("span(%s) = %q, want %q", d, got, want)
		}
	}
	if got := ahead(now.Add(-time.Second), now).Human; got != "now" {
		t.Errorf("what is due is %q", got)
	}
}

// TestTheQueueKeepsViews shows the view that a queue keeps, as app does.
func TestTheQueueKeepsViews(t *testing.T) {
	q, err := queue.Open(filepath.Join(t.TempDir(), "rung.db"), queue.Options{Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = q.Close() }()
	v := stored(t, 1, sample())
	if err := q.PutView(t.Context(), v.Key, v.Name, v.Data, v.At); err != nil {
		t.Fatal(err)
	}
	_, page := get(t, q, "GET", "/")
	wants(t, text(t, page), "acme/gitops", "1.4.1")
}

// FuzzShow renders whatever is stored; it must neither panic nor let markup in.
func FuzzShow(f *testing.F) {
	f.Add(stored(f, 1, sample()).Data)
	f.Add([]byte(`{"repository":{"owner":"a","name":"b"},"configured":true,"pairs":[{"pair":{"environment":"<b>","artifact":"\u0000"}}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		res, page := get(t, &kept{views: []queue.View{{Key: "repo/1", Data: data}}}, "GET", "/")
		if res.StatusCode != http.StatusOK || strings.Contains(page, "<script") {
			t.Errorf("status %d", res.StatusCode)
		}
	})
}
