package forge_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v4"

	"github.com/rungbot/rung/internal/forge"
	"github.com/rungbot/rung/internal/promotion"
)

const (
	appID          = 4711
	installationID = 99
	head           = promotion.Hash("1111111111111111111111111111111111111111")
	base           = promotion.Hash("2222222222222222222222222222222222222222")
	merged         = promotion.Hash("3333333333333333333333333333333333333333")
)

var repo = promotion.Repository{ID: 7, Installation: installationID, Owner: "acme", Name: "deploy", URL: "https://github.example/acme/deploy"}

// key is one RSA key for all tests of the package.
var key = sync.OnceValues(func() (*rsa.PrivateKey, []byte) {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return k, pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(k)})
})

// world is a small GitHub: handlers by "METHOD /path", a clock, and what was
// asked of it.
type world struct {
	t      *testing.T
	server *httptest.Server
	app    *forge.App

	mu       sync.Mutex
	now      time.Time
	handlers map[string]http.HandlerFunc
	asked    []string
	bodies   map[string]string
	minted   int
	// mint answers token requests; nil mints one that lives for an hour.
	mint http.HandlerFunc
}

func newWorld(t *testing.T, change ...func(*forge.Config)) *world {
	t.Helper()
	w := &world{t: t, now: time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC), handlers: map[string]http.HandlerFunc{}, bodies: map[string]string{}}
	w.server = httptest.NewServer(w)
	t.Cleanup(w.server.Close)
	_, pemKey := key()
	config := forge.Config{APIURL: w.server.URL + "/api/v3", AppID: appID, PrivateKey: pemKey, Now: w.clock}
	for _, c := range change {
		c(&config)
	}
	app, err := forge.New(config)
	if err != nil {
		t.Fatal(err)
	}
	w.app = app
	return w
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) advance(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

func (w *world) client() *forge.Client { return w.app.Installation(installationID) }

// on answers requests for "METHOD /path" below the API's root.
func (w *world) on(route string, h http.HandlerFunc) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.handlers[route] = h
}

// count is how often a route was asked, token mints apart.
func (w *world) count(route string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := 0
	for _, a := range w.asked {
		if a == route || route == "" {
			n++
		}
	}
	return n
}

// body is the last body sent to a route.
func (w *world) body(route string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.bodies[route]
}

// ServeHTTP answers.
func (w *world) ServeHTTP(out http.ResponseWriter, r *http.Request) {
	path := strings.TrimPrefix(strings.TrimPrefix(r.URL.EscapedPath(), "/api/v3"), "/api")
	if strings.HasSuffix(path, "/access_tokens") {
		w.serveMint(out, r)
		return
	}
	body, _ := io.ReadAll(r.Body)
	route := r.Method + " " + path
	w.mu.Lock()
	w.asked = append(w.asked, route)
	w.bodies[route] = string(body)
	h, ok := w.handlers[route]
	w.mu.Unlock()
	if !ok {
		answer(404, `{"message":"Not Found"}`)(out, r)
		return
	}
	r.Body = io.NopCloser(strings.NewReader(string(body)))
	h(out, r)
}

func (w *world) serveMint(out http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	w.minted++
	n, now, mint := w.minted, w.now, w.mint
	w.mu.Unlock()
	if mint != nil {
		mint(out, r)
		return
	}
	answer(201, fmt.Sprintf(`{"token":"ghs_token%04d","expires_at":%q,"permissions":{"checks":"write","contents":"write","metadata":"read"}}`,
		n, now.Add(time.Hour).Format(time.RFC3339)))(out, r)
}

// answer is a handler with one answer; headers come in pairs.
func answer(status int, body string, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		for i := 0; i+1 < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// inTurn answers with each handler once; the last one stays.
func inTurn(handlers ...http.HandlerFunc) http.HandlerFunc {
	var mu sync.Mutex
	n := 0
	return func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		h := handlers[min(n, len(handlers)-1)]
		n++
		mu.Unlock()
		h(w, r)
	}
}

// cutOff ends the connection without an answer.
func cutOff(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

func TestNewRefusesBadConfigurations(t *testing.T) {
	_, pemKey := key()
	for name, tt := range map[string]struct {
		config forge.Config
		want   string
	}{
		"no App":          {forge.Config{PrivateKey: pemKey}, "AppID"},
		"no key":          {forge.Config{AppID: 1, PrivateKey: []byte("secret stuff")}, "private key"},
		"not a URL":       {forge.Config{AppID: 1, PrivateKey: pemKey, APIURL: "ghs_abcdefgh"}, "is not the URL"},
		"password in URL": {forge.Config{AppID: 1, PrivateKey: pemKey, APIURL: "https://u:hunter2@github.example/api/v3"}, "is not the URL"},
		"GraphQL elsewhere": {
			forge.Config{AppID: 1, PrivateKey: pemKey, APIURL: "https://github.example/api/v3", GraphQLURL: "https://other.example/graphql"},
			"on the API's host",
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := forge.New(tt.config)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("error %v, want one about %q", err, tt.want)
			}
			for _, secret := range []string{"hunter2", "ghs_abc", "secret stuff"} {
				if strings.Contains(err.Error(), secret) {
					t.Errorf("the error tells a secret: %v", err)
				}
			}
		})
	}
}

func TestSelfIsReadOnceWithTheBotAccount(t *testing.T) {
	w := newWorld(t)
	k, _ := key()
	w.on("GET /app", func(out http.ResponseWriter, r *http.Request) {
		raw := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		claims := jwt.RegisteredClaims{}
		parser := jwt.NewParser(jwt.WithoutClaimsValidation(), jwt.WithValidMethods([]string{"RS256"}))
		if _, err := parser.ParseWithClaims(raw, &claims, func(*jwt.Token) (any, error) { return &k.PublicKey, nil }); err != nil {
			t.Errorf("the App's JWT: %v", err)
		}
		// Trap 51: issued a minute ago, so that a slow clock takes it, and
		// gone before GitHub's ten minutes.
		if got := w.clock().Sub(claims.IssuedAt.Time); got != time.Minute {
			t.Errorf("issued %v ago, want 1m", got)
		}
		if got := claims.ExpiresAt.Sub(claims.IssuedAt.Time); got > 10*time.Minute || claims.Issuer != "4711" {
			t.Errorf("lives %v, issuer %q", got, claims.Issuer)
		}
		answer(200, `{"id":4711,"slug":"rung-acme","name":"rung"}`)(out, r)
	})
	w.on("GET /app/installations", answer(200, `[{"id":98,"suspended_at":"2026-01-01T00:00:00Z"},{"id":99,"account":{"login":"acme","id":5},"permissions":{"checks":"write"}}]`))
	w.on("GET /users/rung-acme[bot]", func(out http.ResponseWriter, r *http.Request) {
		if got := r.Header.Get("Authorization"); got != "token ghs_token0001" {
			t.Errorf("the account was asked for with %q", got)
		}
		answer(200, `{"id":1234,"login":"rung-acme[bot]","type":"Bot"}`)(out, r)
	})
	for range 2 {
		self, err := w.app.Self(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		want := forge.Self{AppID: 4711, Slug: "rung-acme", Name: "rung", Bot: promotion.Person{ID: 1234, Login: "rung-acme[bot]", Bot: true}}
		if self != want {
			t.Fatalf("got %+v, want %+v", self, want)
		}
	}
	if n := w.count("GET /app"); n != 1 {
		t.Errorf("the App was read %d times", n)
	}
}

func TestListsOfInstallationsAndRepositoriesArePagedToTheEnd(t *testing.T) {
	w := newWorld(t)
	next := func(path string) string {
		return fmt.Sprintf(`<%s/api/v3%s?page=2>; rel="next"`, w.server.URL, path)
	}
	w.on("GET /app/installations", func(out http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("page") == "2" {
			answer(200, `[{"id":2,"account":{"login":"beta","id":6},"suspended_at":"2026-01-01T00:00:00Z"}]`)(out, r)
			return
		}
		answer(200, `[{"id":1,"account":{"login":"acme","id":5},"permissions":{"checks":"write","contents":"read"}}]`, "Link", next("/app/installations"))(out, r)
	})
	list, err := w.app.Installations(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(list) != 2 || list[0].Account != "acme" || !list[1].Suspended || list[0].Suspended {
		t.Fatalf("got %+v", list)
	}
	// Trap 47: what was not granted is named.
	missing := forge.MissingPermissions(list[0].Permissions)
	if got := strings.Join(missing, ", "); got != "contents: write, issues: write, metadata: read, pull_requests: write, statuses: read" {
		t.Errorf("missing permissions %q", got)
	}

	w.on("GET /installation/repositories", func(out http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("page") == "2" {
			answer(200, `{"repositories":[{"id":8,"name":"shop","owner":{"login":"acme"},"html_url":"https://github.example/acme/shop"}]}`)(out, r)
			return
		}
		answer(200, `{"repositories":[{"id":7,"name":"deploy","owner":{"login":"acme"},"html_url":"https://github.example/acme/deploy"}]}`, "Link", next("/installation/repositories"))(out, r)
	})
	repos, err := w.app.Repositories(t.Context(), installationID)
	if err != nil {
		t.Fatal(err)
	}
	if len(repos) != 2 || repos[0] != repo || repos[1].Name != "shop" {
		t.Fatalf("got %+v", repos)
	}

	w.on("GET /repos/acme/deploy/installation", answer(200, `{"id":99}`))
	if id, err := w.app.RepositoryInstallation(t.Context(), "acme", "deploy"); err != nil || id != 99 {
		t.Fatalf("got %d, %v", id, err)
	}
}

func TestDeliveriesSinceAnInstantAndTheirPayload(t *testing.T) {
	w := newWorld(t)
	w.on("GET /app/hook/deliveries", func(out http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("cursor") == "abc" {
			answer(200, `[{"id":2,"guid":"g2","delivered_at":"2026-03-02T11:00:00Z","status_code":502,"event":"push","installation_id":99,"repository_id":7},
				{"id":1,"guid":"g1","delivered_at":"2026-03-02T09:00:00Z","status_code":200}]`)(out, r)
			return
		}
		answer(200, `[{"id":3,"guid":"g3","delivered_at":"2026-03-02T11:30:00Z","status_code":202,"redelivery":true,"event":"ping"}]`,
			"Link", fmt.Sprintf(`<%s/api/v3/app/hook/deliveries?cursor=abc>; rel="next"`, w.server.URL))(out, r)
	})
	list, err := w.app.Deliveries(t.Context(), w.clock().Add(-2*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	if len(list) != 2 || list[0].ID != 3 || !list[0].OK() || list[1].OK() || list[1].Repository != 7 || list[1].GUID != "g2" {
		t.Fatalf("got %+v", list)
	}
	w.on("GET /app/hook/deliveries/2", answer(200, `{"id":2,"guid":"g2","event":"push","request":{"headers":{},"payload":{"ref":"refs/heads/main"}}}`))
	d, payload, err := w.app.DeliveryPayload(t.Context(), 2)
	if err != nil || d.Event != "push" || string(payload) != `{"ref":"refs/heads/main"}` {
		t.Fatalf("got %+v %s %v", d, payload, err)
	}
	w.on("POST /app/hook/deliveries/2/attempts", answer(202, `{}`))
	if err := w.app.Redeliver(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
}

// decode reads what was sent.
func decode(t *testing.T, body string) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal([]byte(body), &m); err != nil {
		t.Fatalf("%v in %q", err, body)
	}
	return m
}
