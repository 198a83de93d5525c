package github

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/rungbot/rung/internal/queue"
)

var (
	start  = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	secret = []byte("correct horse battery staple")
	self   = Self{AppID: 4711, BotID: 90, BotLogin: "rung[bot]"}
)

// routes is what the service would know: repository 1 (acme/deploy) is a
// GitOps repository that names checkout, 2 (acme/deploy-eu) one that names
// everything of acme/checkout.
type routes struct {
	mu   sync.Mutex
	err  error
	seen []string
	hook func()
}

func (r *routes) RepositoriesFor(installation int64, p Published) ([]int64, error) {
	if r.err != nil || installation != 7 {
		return nil, r.err
	}
	var ids []int64
	if p.Artifact == "checkout" || p.Image == "ghcr.io/acme/checkout" {
		ids = append(ids, 1)
	}
	if p.Publisher == "acme/checkout" {
		ids = append(ids, 2)
	}
	return ids, nil
}

func (r *routes) Configured(id int64) bool { return id == 1 || id == 2 }

func (r *routes) RepositoriesOf(installation int64) []int64 {
	if installation != 7 {
		return nil
	}
	return []int64{1, 2}
}

func (r *routes) Seen(repo Repository) {
	if r.hook != nil {
		r.hook()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen = append(r.seen, fmt.Sprintf("%d=%s@%d %s %s", repo.ID, repo.FullName(), repo.Installation, repo.DefaultBranch, repo.URL))
}

// world is a door with a real queue behind it.
type world struct {
	door   *Door
	queue  *queue.Queue
	routes *routes
	log    *bytes.Buffer
}

func newWorld(t *testing.T, change func(*Config)) *world {
	t.Helper()
	q, err := queue.Open(queue.InMemory, queue.Options{Now: func() time.Time { return start }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = q.Close() })
	w := &world{queue: q, routes: &routes{}, log: &bytes.Buffer{}}
	config := Config{
		Secrets: [][]byte{secret}, Self: self, Inbox: q, Routes: w.routes,
		Now: func() time.Time { return start }, Log: zerolog.New(zerolog.SyncWriter(w.log)),
	}
	if change != nil {
		change(&config)
	}
	if w.door, err = New(config); err != nil {
		t.Fatal(err)
	}
	return w
}

func sign(secret, body []byte) string {
	mac := hmac.New(sha256.New, secret)
	mac.Write(body)
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}

func request(event, guid, body string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/github/webhook", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-GitHub-Event", event)
	r.Header.Set("X-GitHub-Delivery", guid)
	r.Header.Set("X-GitHub-Hook-Installation-Target-ID", "4711")
	r.Header.Set("X-GitHub-Hook-Installation-Target-Type", "integration")
	r.Header.Set("X-Hub-Signature-256", sign(secret, []byte(body)))
	return r
}

func (w *world) send(r *http.Request) (int, string) {
	recorder := httptest.NewRecorder()
	w.door.ServeHTTP(recorder, r)
	return recorder.Code, strings.TrimSpace(recorder.Body.String())
}

// due empties the queue: one line for each hint, "key kind subject data".
func (w *world) due(t *testing.T) []string {
	t.Helper()
	lines := []string{}
	for {
		work, err := w.queue.Claim(t.Context(), "test", time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		if work == nil {
			slices.Sort(lines)
			return lines
		}
		for _, h := range work.Hints {
			lines = append(lines, fmt.Sprintf("%s %s %s %s", work.Key, h.Kind, h.Subject, h.Data))
		}
		if err := w.queue.Done(t.Context(), *work, time.Time{}); err != nil {
			t.Fatal(err)
		}
	}
}

const pushToMain = `{"ref":"refs/heads/main","before":"1111111111111111111111111111111111111111","after":"2222222222222222222222222222222222222222",` +
	`"repository":{"id":1,"full_name":"acme/deploy","html_url":"https://github.example/acme/deploy","default_branch":"main"},` +
	`"installation":{"id":7},"sender":{"id":5,"login":"ada","type":"User"}}`

func TestPublishedSignatureVector(t *testing.T) {
	// The example of GitHub's documentation on validating deliveries.
	vector := []byte("It's a Secret to Everybody")
	sum, err := hex.DecodeString("757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17")
	if err != nil {
		t.Fatal(err)
	}
	if got := matching([][]byte{[]byte("another"), vector}, []byte("Hello, World!"), sum); got != 1 {
		t.Errorf("secret %d matched, want 1", got)
	}
	if got := matching([][]byte{vector}, []byte("Hello, World"), sum); got != -1 {
		t.Errorf("secret %d matched another body", got)
	}
}

func TestNewRefusesWithoutWhatItNeeds(t *testing.T) {
	w := newWorld(t, nil)
	good := w.door.config
	for name, c := range map[string]struct {
		change func(*Config)
		want   string
	}{
		"no secret":      {func(c *Config) { c.Secrets = nil }, "0 secrets"},
		"empty secret":   {func(c *Config) { c.Secrets = [][]byte{secret, {}} }, "secret 2 is empty"},
		"blank secret":   {func(c *Config) { c.Secrets = [][]byte{[]byte(" \n")} }, "secret 1 is empty"},
		"three secrets":  {func(c *Config) { c.Secrets = [][]byte{secret, secret, secret} }, "3 secrets"},
		"no App":         {func(c *Config) { c.Self.AppID = 0 }, "RUNG_GITHUB_APP_ID"},
		"no bot account": {func(c *Config) { c.Self = Self{AppID: 1} }, "bot account"},
		"no inbox":       {func(c *Config) { c.Inbox = nil }, "inbox"},
		"no routes":      {func(c *Config) { c.Routes = nil }, "routes"},
	} {
		t.Run(name, func(t *testing.T) {
			config := good
			c.change(&config)
			if _, err := New(config); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error is %v, want one with %q", err, c.want)
			}
		})
	}
}

func TestRefusedRequests(t *testing.T) {
	resign := func(r *http.Request, body string) {
		r.Body = io.NopCloser(strings.NewReader(body))
		r.ContentLength = int64(len(body))
		r.Header.Set("X-Hub-Signature-256", sign(secret, []byte(body)))
	}
	for name, c := range map[string]struct {
		change func(*http.Request)
		want   int
	}{
		"GET":                    {func(r *http.Request) { r.Method = http.MethodGet }, 405},
		"form":                   {func(r *http.Request) { r.Header.Set("Content-Type", "application/x-www-form-urlencoded") }, 415},
		"no content type":        {func(r *http.Request) { r.Header.Del("Content-Type") }, 415},
		"unsigned":               {func(r *http.Request) { r.Header.Del("X-Hub-Signature-256") }, 401},
		"SHA-1 only":             {func(r *http.Request) { r.Header.Del("X-Hub-Signature-256"); r.Header.Set("X-Hub-Signature", "sha1=00") }, 401},
		"no hex":                 {func(r *http.Request) { r.Header.Set("X-Hub-Signature-256", "sha256="+strings.Repeat("z", 64)) }, 401},
		"short":                  {func(r *http.Request) { r.Header.Set("X-Hub-Signature-256", "sha256=00") }, 401},
		"empty signature":        {func(r *http.Request) { r.Header.Set("X-Hub-Signature-256", "") }, 401},
		"two signatures":         {func(r *http.Request) { r.Header.Add("X-Hub-Signature-256", sign(secret, []byte(pushToMain))) }, 401},
		"wrong secret":           {func(r *http.Request) { r.Header.Set("X-Hub-Signature-256", sign([]byte("x"), []byte(pushToMain))) }, 401},
		"signed with no secret":  {func(r *http.Request) { r.Header.Set("X-Hub-Signature-256", sign(nil, []byte(pushToMain))) }, 401},
		"changed body":           {func(r *http.Request) { r.Body = io.NopCloser(strings.NewReader(pushToMain + " ")) }, 401},
		"claims to be too large": {func(r *http.Request) { r.ContentLength = 5000 }, 413},
		"too large":              {func(r *http.Request) { resign(r, strings.Repeat(" ", 4097)); r.ContentLength = -1 }, 413},
		"no JSON":                {func(r *http.Request) { resign(r, "payload=1") }, 400},
		"empty":                  {func(r *http.Request) { resign(r, "") }, 400},
		"null":                   {func(r *http.Request) { resign(r, `{"installation":{"id":7},"repository":{}}`) }, 400},
		"no event":               {func(r *http.Request) { r.Header.Del("X-GitHub-Event") }, 400},
		"odd event":              {func(r *http.Request) { r.Header.Set("X-GitHub-Event", "push\x00") }, 400},
		"no GUID":                {func(r *http.Request) { r.Header.Del("X-GitHub-Delivery") }, 400},
		"odd GUID":               {func(r *http.Request) { r.Header.Set("X-GitHub-Delivery", strings.Repeat("g", 65)) }, 400},
		"another App":            {func(r *http.Request) { r.Header.Set("X-GitHub-Hook-Installation-Target-ID", "4712") }, 403},
		"a repository's hook": {func(r *http.Request) {
			r.Header.Set("X-GitHub-Hook-Installation-Target-Type", "repository")
			r.Header.Set("X-GitHub-Hook-Installation-Target-ID", "1")
		}, 403},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, func(c *Config) { c.MaxBody = 4096 })
			r := request("push", "g-1", pushToMain)
			c.change(r)
			status, text := w.send(r)
			if status != c.want {
				t.Errorf("answered %d %q, want %d", status, text, c.want)
			}
			if due := w.due(t); len(due) != 0 {
				t.Errorf("it marked %q", due)
			}
			counts := w.door.Counts()
			if counts.Refused[c.want] != 1 || counts.Accepted != 0 || counts.BytesInFlight != 0 {
				t.Errorf("counts are %+v", counts)
			}
			if state, err := w.queue.Delivery(t.Context(), "g-1"); err != nil || state != queue.StateUnknown {
				t.Errorf("the queue has it: %q, %v", state, err)
			}
		})
	}
}

func TestAcceptedIsDurableAndNamesAreLearned(t *testing.T) {
	w := newWorld(t, nil)
	status, text := w.send(request("push", "g-1", pushToMain))
	if status != 202 || text != "accepted" {
		t.Fatalf("answered %d %q", status, text)
	}
	if state, err := w.queue.Delivery(t.Context(), "g-1"); err != nil || state != queue.StateReceived {
		t.Errorf("the delivery is %q, %v", state, err)
	}
	want := []string{`repo/1 refs refs/heads/main {"ref":"refs/heads/main","before":"1111111111111111111111111111111111111111","after":"2222222222222222222222222222222222222222","sender":{"id":5,"login":"ada"}}`}
	if got := w.due(t); !reflect.DeepEqual(got, want) {
		t.Errorf("due is %q, want %q", got, want)
	}
	if want := []string{"1=acme/deploy@7 main https://github.example/acme/deploy"}; !reflect.DeepEqual(w.routes.seen, want) {
		t.Errorf("seen %q, want %q", w.routes.seen, want)
	}
	// Done by now: the duplicate is dropped, and answered alike.
	if status, text := w.send(request("push", "g-1", pushToMain)); status != 202 {
		t.Errorf("the duplicate was answered %d %q", status, text)
	}
	if got := w.due(t); len(got) != 0 {
		t.Errorf("the duplicate marked %q", got)
	}
	counts := w.door.Counts()
	if counts.Accepted != 1 || counts.Duplicates != 1 || !counts.LastAuthentic.Equal(start) {
		t.Errorf("counts are %+v", counts)
	}
}

func TestTwoSecretsAtOnce(t *testing.T) {
	old := []byte("the secret before")
	w := newWorld(t, func(c *Config) { c.Secrets = [][]byte{secret, old} })
	for i, s := range [][]byte{secret, old, old} {
		r := request("push", fmt.Sprint("g-", i), pushToMain)
		r.Header.Set("X-Hub-Signature-256", sign(s, []byte(pushToMain)))
		if status, text := w.send(r); status != 202 {
			t.Errorf("delivery %d answered %d %q", i, status, text)
		}
	}
	if got := w.door.Counts().Secrets; !slices.Equal(got, []uint64{1, 2}) {
		t.Errorf("secrets matched %v", got)
	}
	if !strings.Contains(w.log.String(), `"secret":1`) {
		t.Error("the log does not say which secret matched")
	}
}

func TestNothingSecretIsLoggedOrEchoed(t *testing.T) {
	w := newWorld(t, nil)
	const canary = "canary-8d1f"
	for event, body := range map[string]string{
		"push":          `{"ref":5,"repository":{"id":1,"full_name":"` + canary + `"},"installation":{"id":7}}`,
		"pull_request":  `{"action":"opened","number":"` + canary + `","repository":{"id":"` + canary + `"}}`,
		"issue_comment": `{"` + canary + `":`,
		"status":        `{"sha":"` + canary + `","repository":{"id":1,"full_name":"acme/deploy"},"installation":{"id":7}}`,
	} {
		r := request(event, "g-1", body)
		r.Header.Set("X-Github-Encoded-Secret", canary)
		r.Header.Set("Authorization", canary)
		status, text := w.send(r)
		if status != 400 || strings.Contains(text, canary) {
			t.Errorf("%s: answered %d %q", event, status, text)
		}
	}
	if log := w.log.String(); strings.Contains(log, canary) || strings.Contains(log, string(secret)) {
		t.Errorf("the log holds what it should not: %s", log)
	}
}

// failing is an inbox that can't keep anything.
type failing struct{ err error }

func (f failing) Accept(context.Context, queue.Delivery, []queue.Mark) (bool, error) {
	return false, f.err
}

func TestWhatCannotBeKeptIsNotAccepted(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Config)
		body   string
		event  string
		want   int
	}{
		"disk error":      {func(c *Config) { c.Inbox = failing{errors.New("disk full at /secret/path")} }, pushToMain, "push", 503},
		"queue full":      {func(c *Config) { c.Inbox = failing{queue.ErrFull} }, pushToMain, "push", 503},
		"over a limit":    {func(c *Config) { c.Inbox = failing{queue.ErrInvalid} }, pushToMain, "push", 400},
		"routes unready":  {func(c *Config) { c.Routes = &routes{err: errors.New("index not built")} }, dispatchBody(`{"artifact":"checkout","version":"1.4.2"}`), "repository_dispatch", 503},
		"bytes in flight": {func(c *Config) { c.MaxInFlight = 100 }, pushToMain, "push", 503},
		"panic":           {func(c *Config) { c.Routes = &routes{hook: func() { panic("boom") }} }, pushToMain, "push", 500},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, c.change)
			recorder := httptest.NewRecorder()
			w.door.ServeHTTP(recorder, request(c.event, "g-1", c.body))
			if recorder.Code != c.want || strings.Contains(recorder.Body.String(), "secret") {
				t.Errorf("answered %d %q, want %d", recorder.Code, recorder.Body, c.want)
			}
			if c.want == 503 && recorder.Header().Get("Retry-After") == "" {
				t.Error("no Retry-After")
			}
			counts := w.door.Counts()
			if counts.Refused[c.want] != 1 || counts.BytesInFlight != 0 || (name == "panic") != (counts.Panics == 1) {
				t.Errorf("counts are %+v", counts)
			}
		})
	}
}

func TestSlowBodyIsCutOff(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.ReadTimeout = 50 * time.Millisecond })
	server := httptest.NewServer(w.door)
	defer server.Close()
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_, err = fmt.Fprintf(conn, "POST /github/webhook HTTP/1.1\r\nHost: rung\r\nContent-Type: application/json\r\nX-Hub-Signature-256: %s\r\nContent-Length: 100\r\n\r\n{", sign(secret, nil))
	if err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn) // ends when the door gives up
	if err != nil || !bytes.HasPrefix(answer, []byte("HTTP/1.1 408")) {
		t.Errorf("answered %q, %v", answer, err)
	}
}

func TestConnectionIsKeptOnlyBehindAReadBody(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.MaxBody = 4096 })
	unsigned := request("push", "g-1", pushToMain)
	unsigned.Header.Del("X-Hub-Signature-256")
	large := request("push", "g-1", strings.Repeat(" ", 4097))
	for name, c := range map[string]struct {
		request *http.Request
		want    string
	}{
		"accepted": {request("push", "g-1", pushToMain), ""},
		"unsigned": {unsigned, "close"},
		"large":    {large, "close"},
	} {
		recorder := httptest.NewRecorder()
		w.door.ServeHTTP(recorder, c.request)
		if got := recorder.Header().Get("Connection"); got != c.want {
			t.Errorf("%s: Connection is %q, want %q", name, got, c.want)
		}
	}
}

func TestManyAtOnceOverOneServer(t *testing.T) {
	w := newWorld(t, nil)
	server := httptest.NewServer(w.door)
	defer server.Close()
	var group sync.WaitGroup
	for worker := range 8 {
		group.Go(func() {
			for i := range 20 {
				r := request("push", fmt.Sprintf("g-%d-%d", worker, i%10), pushToMain)
				r.URL.Scheme, r.URL.Host, r.RequestURI = "http", server.Listener.Addr().String(), ""
				response, err := http.DefaultClient.Do(r)
				if err != nil {
					t.Error(err)
					return
				}
				_, _ = io.Copy(io.Discard, response.Body)
				_ = response.Body.Close()
				if response.StatusCode != 202 {
					t.Errorf("answered %d", response.StatusCode)
				}
			}
		})
	}
	group.Wait()
	counts := w.door.Counts()
	if counts.Accepted != 80 || counts.Duplicates != 80 {
		t.Errorf("counts are %+v", counts)
	}
	if got := w.due(t); len(got) != 1 {
		t.Errorf("due is %q", got)
	}
}

func TestReplay(t *testing.T) {
	w := newWorld(t, nil)
	raw := Raw{GUID: "g-9", Event: "repository_dispatch", ReceivedAt: start, Payload: []byte(dispatchBody(`{"artifact":"checkout","version":"1.4.2"}`))}
	for range 2 {
		if err := w.door.Replay(t.Context(), raw); err != nil {
			t.Fatal(err)
		}
	}
	if got := w.due(t); len(got) != 2 || !strings.Contains(got[0], `"delivery":"g-9"`) {
		t.Errorf("due is %q", got)
	}
	if len(w.routes.seen) != 0 {
		t.Errorf("names were learned from an old delivery: %q", w.routes.seen)
	}
	for name, bad := range map[string]Raw{
		"malformed": {GUID: "g", Event: "push", Payload: []byte(`{`)},
		"no GUID":   {Event: "push", Payload: []byte(pushToMain)},
	} {
		if err := w.door.Replay(t.Context(), bad); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v, want ErrMalformed", name, err)
		}
	}
	w.routes.err = errors.New("index not built")
	raw.GUID = "g-10"
	if err := w.door.Replay(t.Context(), raw); err == nil || errors.Is(err, ErrMalformed) {
		t.Errorf("replay without routes: %v", err)
	}
}
