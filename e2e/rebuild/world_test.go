package rebuild

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	stdlog "log"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/rs/zerolog"

	"github.com/rungbot/rung/internal/app"
	"github.com/rungbot/rung/internal/githubemu"
	"github.com/rungbot/rung/internal/githubemu/gitmem"
	"github.com/rungbot/rung/internal/githubemu/gitstore"
	"github.com/rungbot/rung/internal/settings"
	"github.com/rungbot/rung/internal/sign"
)

// The addresses of the world. Nothing listens there: requests are answered in
// process, so that the clock of testing/synctest stands still meanwhile.
const (
	repository   = "acme/environments"
	githubHost   = "127.0.0.1:3000"
	registryHost = "127.0.0.1:5000"
	healthHost   = "127.0.0.1:7000"
	rungHost     = "127.0.0.1:8080"
	secret       = "ssssssssssssssssssssssssssssssss"
)

// appKey is made once, outside of the bubble.
var appKey = sync.OnceValues(func() (*rsa.PrivateKey, string) {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return k, string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(k)}))
})

// world is GitHub, a registry, a health server and people; rung comes and goes.
type world struct {
	t        *testing.T
	emu      *githubemu.Server
	git      gitstore.Repository
	registry http.Handler
	// digests are what was published, by "artifact:version".
	digests map[string]string
	// changed is the commit in which somebody set a version by hand.
	changed string
	// closed is true while rung is to write nothing: a request that changes
	// anything fails the test.
	closed bool
	logged bytes.Buffer
	rung   *app.App
}

func newWorld(t *testing.T, config string, environments []string) *world {
	t.Helper()
	w := &world{t: t, registry: registry.New(registry.Logger(stdlog.New(io.Discard, "", 0))), digests: map[string]string{}}
	key, _ := appKey()
	store := gitmem.New(gitstore.Options{})
	var err error
	w.emu, err = githubemu.New(githubemu.Config{
		Store: store, BaseURL: "http://" + githubHost, Manual: true, Transport: transport(w.door), OnWrite: w.wrote,
		NullMergeable: -1, // a head that GitHub has not judged yet is another matter
		App:           githubemu.App{ID: 7, Slug: "rung", PublicKey: &key.PublicKey, WebhookSecret: secret, WebhookURL: "http://" + rungHost + "/github/webhook"},
	})
	w.must(err)
	people := map[string]string{"alice": "admin", "bob": "write", "carol": "maintain", "dave": "write"}
	for _, login := range []string{"alice", "bob", "carol", "dave"} {
		w.emu.AddPerson(githubemu.Person{Login: login})
	}
	files := map[string]string{"rung.yaml": config, "README.md": "# environments\n"}
	for _, env := range environments {
		var images strings.Builder
		for _, name := range artifacts {
			fmt.Fprintf(&images, "  - name: %s/acme/%s\n    newTag: 1.0.0\n    digest: %s\n", registryHost, name, w.publish(name, "1.0.0"))
		}
		files[place(env)] = "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nimages:\n" + images.String()
	}
	w.must(w.emu.CreateRepository(t.Context(), githubemu.RepositorySeed{
		Name: repository, Commits: []githubemu.CommitSeed{{Author: "alice", Files: files}}, Collaborators: people,
	}))
	_, err = w.emu.Install("acme", repository)
	w.must(err)
	w.git, err = store.Open("acme", "environments")
	w.must(err)
	return w
}

func place(environment string) string { return "environments/" + environment + "/kustomization.yaml" }

func (w *world) must(err error) {
	if err != nil {
		w.t.Helper()
		w.t.Fatalf("%v\nthe end of rung's log:\n%s", err, w.logTail(30))
	}
}

func (w *world) logTail(n int) string {
	lines := strings.Split(strings.TrimSpace(w.logged.String()), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// publish puts a manifest under a tag; the same names give the same digest.
func (w *world) publish(artifact, version string) string {
	w.t.Helper()
	const empty = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
	body := fmt.Sprintf(`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.empty.v1+json","digest":%q,"size":2},"layers":[],"annotations":{"org.opencontainers.image.title":"%s %s"}}`, empty, artifact, version)
	r, err := http.NewRequest(http.MethodPut, "http://"+registryHost+"/v2/acme/"+artifact+"/manifests/"+version, strings.NewReader(body))
	w.must(err)
	r.Header.Set("Content-Type", "application/vnd.oci.image.manifest.v1+json")
	if res, err := answer(w.registry, r); err != nil || res.StatusCode != http.StatusCreated {
		w.t.Fatalf("the registry does not take a manifest: %v %v", res, err)
	}
	sum := sha256.Sum256([]byte(body))
	d := "sha256:" + hex.EncodeToString(sum[:])
	w.digests[artifact+":"+version] = d
	return d
}

// boot starts rung with a data directory.
func (w *world) boot(data string) {
	w.t.Helper()
	k, err := sign.NewKey(ed25519.NewKeyFromSeed([]byte("a release key for the rebuilding")))
	w.must(err)
	release, err := k.MarshalOpenSSH("rung")
	w.must(err)
	_, pemKey := appKey()
	s, err := settings.Load([]string{
		"RUNG_DATA=" + data, "RUNG_GITHUB_URL=http://" + githubHost, "RUNG_GITHUB_APP_ID=7", "RUNG_GITHUB_PRIVATE_KEY=" + pemKey,
		"RUNG_GITHUB_WEBHOOK_SECRETS=" + secret, "RUNG_SIGNING_KEY=" + string(release), "RUNG_BOARD_URL=http://" + rungHost, "RUNG_RESYNC=1h",
	})
	w.must(err)
	s.Listen = "none" // requests are answered in process
	since := time.Now().Add(-71 * time.Hour)
	w.rung, err = app.New(w.t.Context(), s, app.Options{Log: zerolog.New(&w.logged), Transport: transport(w.carry)})
	w.must(err)
	w.must(w.rung.Start(w.t.Context()))
	w.work()
	w.must(w.rung.Redeliver(w.t.Context(), since)) // as Sweep does, once it is looked at
	w.work()
}

// halt ends rung.
func (w *world) halt() {
	if rung := w.rung; rung != nil {
		w.rung = nil
		w.must(rung.Close())
	}
}

// work delivers the webhooks and lets rung do all that is due now.
func (w *world) work() {
	w.t.Helper()
	for range 200 {
		for _, d := range w.emu.Pending() {
			w.must(w.emu.Deliver(w.t.Context(), d.ID))
		}
		more, err := w.rung.Once(w.t.Context())
		w.must(err)
		if !more && len(w.emu.Pending()) == 0 {
			return
		}
	}
	w.t.Fatalf("rung does not come to rest:\n%s", w.logTail(30))
}

// elapse lets time pass, with rung at work whenever something is due.
func (w *world) elapse(d time.Duration) {
	for end := time.Now().Add(d); time.Now().Before(end); w.work() {
		until := max(time.Until(w.next()), time.Second)
		time.Sleep(min(until, time.Until(end)))
	}
}

// next is when rung looks at its one repository again.
func (w *world) next() time.Time {
	keys, err := w.rung.Queue().Keys(w.t.Context(), "", 2)
	w.must(err)
	if len(keys) != 1 {
		w.t.Fatalf("there are %d repositories", len(keys))
	}
	return keys[0].NextAt
}

// wrote is told of every write of rung at GitHub.
func (w *world) wrote(_ int, when githubemu.When, r *http.Request) {
	if w.closed && when == githubemu.Before {
		w.t.Errorf("rung writes: %s %s", r.Method, r.URL.Path)
	}
}

// get asks rung for a page.
func (w *world) get(path string) string {
	w.t.Helper()
	r, err := http.NewRequest(http.MethodGet, "http://"+rungHost+path, nil)
	w.must(err)
	res, err := answer(w.rung.Handler(), r)
	w.must(err)
	body, err := io.ReadAll(res.Body)
	w.must(err)
	if res.StatusCode != http.StatusOK {
		w.t.Fatalf("%s: status %d\n%s", path, res.StatusCode, body)
	}
	return string(body)
}

// pull is the number of the open pull request of a pair.
func (w *world) pull(environment, artifact string) int {
	w.t.Helper()
	st, err := w.emu.State(w.t.Context(), repository)
	w.must(err)
	for _, p := range st.Pulls {
		if p.Head == "rung/p/"+environment+"/"+artifact && p.State == "open" {
			return p.Number
		}
	}
	w.t.Fatalf("there is no open pull request of %s in %s:\n%s\n%s", artifact, environment, w.get("/api/v1/state"), w.logTail(30))
	return 0
}

func (w *world) head(ref string) string {
	refs, err := w.git.Refs(w.t.Context(), "refs/heads/"+ref)
	w.must(err)
	return refs["refs/heads/"+ref]
}

// transport answers requests with a function.
type transport func(r *http.Request) (*http.Response, error)

// RoundTrip implements http.RoundTripper.
func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// carry takes rung's requests where they belong.
func (w *world) carry(r *http.Request) (*http.Response, error) {
	switch r.URL.Host {
	case githubHost:
		return w.emu.Transport().RoundTrip(r)
	case registryHost:
		return answer(w.registry, r)
	case healthHost:
		return answer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) }), r)
	}
	return nil, fmt.Errorf("no such host: %s", r.URL.Host)
}

// door takes GitHub's webhooks to rung.
func (w *world) door(r *http.Request) (*http.Response, error) {
	if w.rung == nil {
		return nil, errors.New("connection refused")
	}
	return answer(w.rung.Handler(), r)
}

// answer lets a handler serve a request in the caller's goroutine.
func answer(h http.Handler, r *http.Request) (*http.Response, error) {
	in := r.Clone(context.WithoutCancel(r.Context()))
	in.RequestURI, in.RemoteAddr = r.URL.RequestURI(), "127.0.0.1:1"
	if in.Body == nil {
		in.Body = http.NoBody
	}
	rec := &recorder{status: http.StatusOK, head: http.Header{}}
	h.ServeHTTP(rec, in)
	return &http.Response{
		Status: http.StatusText(rec.status), StatusCode: rec.status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: rec.head, Body: io.NopCloser(&rec.body), ContentLength: int64(rec.body.Len()), Request: r,
	}, nil
}

type recorder struct {
	status int
	wrote  bool
	head   http.Header
	body   bytes.Buffer
}

func (r *recorder) Header() http.Header { return r.head }

func (r *recorder) WriteHeader(status int) {
	if !r.wrote {
		r.status, r.wrote = status, true
	}
}

func (r *recorder) Write(b []byte) (int, error) {
	r.wrote = true
	return r.body.Write(b)
}

// wipe deletes a data directory, which must hold the queue.
func (w *world) wipe(data string) {
	if _, err := os.Stat(filepath.Join(data, "rung.db")); err != nil {
		w.t.Fatalf("there is nothing to delete: %v", err)
	}
	w.must(os.RemoveAll(data))
}
