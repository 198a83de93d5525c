// Package world is what end-to-end tests stand on: everything around rung,
// running in the test process, and rung itself as a process of its own.
//
// State: a World is an emulator of GitHub over real bare repositories on disk, a
// container registry, a health endpoint for each environment, and the rung
// processes that were started in it. Invariants: rung meets the rest over HTTP
// alone; the same versions have the same digests in every World; what a World
// tells of git it was told by stock git or by the emulator, never by rung's own
// code. Webhooks go to the processes that Receive names, and fail while none of
// them is running.
//
// Concurrency: a World is used by one test; hooks of the emulator may call Kill,
// Stop and Continue from other goroutines. What it does not do: it decides
// nothing about what is right (tests do), and it waits only by looking again, a
// bounded time.
package world

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"log"
	mathrand "math/rand"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/rungbot/rung/internal/githubemu"
	"github.com/rungbot/rung/internal/githubemu/gitdisk"
	"github.com/rungbot/rung/internal/githubemu/gitstore"
	"github.com/rungbot/rung/internal/sign"
)

// Repository is the GitOps repository of every World.
const Repository = "acme/environments"

// AppID is the number of rung's App, Bot its account.
const (
	AppID = 7
	Bot   = "rung[bot]"
)

// Options say what a World begins with.
type Options struct {
	// Config is rung.yaml, and none where it is empty; REGISTRY stands for where the
	// artifacts' images are and HEALTH for the address of the health endpoints.
	Config string
	// Artifacts are in every environment's kustomization.yaml, at 1.0.0; nil is
	// checkout alone.
	Artifacts    []string
	Environments []string
	// Rules are the base branch's rules.
	Rules []githubemu.Ruleset
	// Seed varies the dice of the emulator's faults.
	Seed uint64
	// OnWrite is called around each of rung's writes; see githubemu.Config.
	OnWrite func(n int, when githubemu.When, r *http.Request)
}

// World is everything around rung, running until the test ends.
type World struct {
	Emulator *githubemu.Server
	// Dir is the World's own directory; Bare the GitOps repository in it.
	Dir, Bare string
	// Registry is where the artifacts' images are, without the last part.
	Registry string

	tb     testing.TB
	binary string
	post   *post
	health *health
	env    []string
}

// keys are made once for all Worlds of a test binary: making them takes longer
// than a climb should.
var keys = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

// release is the signing key of all Worlds, in OpenSSH's form.
var release = sync.OnceValues(func() ([]byte, error) {
	key, err := sign.GenerateKey()
	if err != nil {
		return nil, err
	}
	return key.MarshalOpenSSH("rung")
})

// Start makes a World in which binary is rung. It ends with the test.
func Start(tb testing.TB, binary string, o Options) *World {
	tb.Helper()
	w := &World{tb: tb, binary: binary, Dir: tb.TempDir(), post: &post{}, health: &health{bad: map[string]bool{}}}
	app, err := keys()
	if err != nil {
		tb.Fatal(err)
	}
	signing, err := release()
	if err != nil {
		tb.Fatal(err)
	}
	images := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	tb.Cleanup(images.Close)
	w.Registry = strings.TrimPrefix(images.URL, "http://") + "/acme"
	apps := httptest.NewServer(w.health)
	tb.Cleanup(apps.Close)
	store, err := gitdisk.New(filepath.Join(w.Dir, "github"), gitstore.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	w.Bare = filepath.Join(w.Dir, "github", filepath.FromSlash(Repository)+".git")
	secret := fmt.Sprintf("%032x", mathrand.Uint64()) // #nosec G404 -- a webhook secret of a test
	w.Emulator, err = githubemu.New(githubemu.Config{
		Store: &memoStore{Store: store, open: map[gitstore.Repository]*memo{}}, Transport: w.post, OnWrite: o.OnWrite, Seed: o.Seed,
		App: githubemu.App{ID: AppID, Slug: "rung", PublicKey: &app.PublicKey, WebhookSecret: secret, WebhookURL: "http://rung.test/github/webhook"},
	})
	if err != nil {
		tb.Fatal(err)
	}
	front := httptest.NewUnstartedServer(w.Emulator)
	front.Config.ErrorLog = log.New(io.Discard, "", 0)
	front.Start()
	tb.Cleanup(front.Close)
	tb.Cleanup(w.Emulator.Close)
	w.Emulator.SetBaseURL(front.URL)
	w.env = []string{
		"RUNG_LISTEN=127.0.0.1:0", "RUNG_GITHUB_URL=" + front.URL, fmt.Sprintf("RUNG_GITHUB_APP_ID=%d", AppID),
		"RUNG_GITHUB_PRIVATE_KEY=" + string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(app)})),
		"RUNG_GITHUB_WEBHOOK_SECRETS=" + secret, "RUNG_SIGNING_KEY=" + string(signing), "RUNG_COALESCE=0s", "RUNG_LOG_FORMAT=json",
	}
	w.seed(o, apps.URL)
	return w
}

// seed makes the people, the repository and the App's installation.
func (w *World) seed(o Options, apps string) {
	w.tb.Helper()
	for _, p := range []string{"alice", "bob", "carol", "mallory"} {
		w.Emulator.AddPerson(githubemu.Person{Login: p})
	}
	if o.Artifacts == nil {
		o.Artifacts = []string{"checkout"}
	}
	places := ""
	for _, artifact := range o.Artifacts {
		places += fmt.Sprintf("  - name: %s/%s\n    newTag: 1.0.0\n    digest: %s\n", w.Registry, artifact, w.Publish(artifact, "1.0.0"))
	}
	config := strings.NewReplacer("REGISTRY", w.Registry, "HEALTH", apps).Replace(o.Config)
	files := map[string]string{"README.md": "# environments\n"}
	if config != "" {
		files["rung.yaml"] = config
	}
	for _, env := range o.Environments {
		files[FileOf(env)] = fmt.Sprintf("# what runs in %s\nimages:\n%s", env, places)
	}
	w.check(w.Emulator.CreateRepository(context.Background(), githubemu.RepositorySeed{
		Name: Repository, Commits: []githubemu.CommitSeed{{Author: "alice", Files: files}},
		Collaborators: map[string]string{"alice": "admin", "bob": "write", "carol": "write", "mallory": "read"},
	}))
	w.check(w.Emulator.SetRules(Repository, o.Rules...))
	_, err := w.Emulator.Install("acme", Repository)
	w.check(err)
}

func (w *World) check(err error) {
	w.tb.Helper()
	if err != nil {
		w.tb.Fatal(err)
	}
}

// FileOf is the file of an environment in which the version is written.
func FileOf(environment string) string { return "environments/" + environment + "/kustomization.yaml" }

// Publish pushes the image of a version and returns its digest, which is the
// same in every World.
func (w *World) Publish(artifact, version string) string {
	w.tb.Helper()
	sum := fnv.New64a()
	_, _ = sum.Write([]byte(artifact + version))
	img, err := random.Image(64, 1, random.WithSource(mathrand.NewSource(int64(sum.Sum64())))) // #nosec G115 G404 -- the same bytes each time
	w.check(err)
	ref, err := name.ParseReference(w.Registry + "/" + artifact + ":" + version)
	w.check(err)
	w.check(remote.Write(ref, img))
	digest, err := img.Digest()
	w.check(err)
	return digest.String()
}

// Dispatch tells GitHub that a version was published.
func (w *World) Dispatch(artifact, version string) {
	w.tb.Helper()
	w.check(w.Emulator.Dispatch(Repository, "carol", "artifact-published", map[string]any{"artifact": artifact, "version": version}))
}

// State is the repository as the emulator has it.
func (w *World) State() githubemu.RepositoryState {
	w.tb.Helper()
	st, err := w.Emulator.State(context.Background(), Repository)
	w.check(err)
	return st
}

// File is an environment's file on main, with the registry's address, which
// differs from World to World, replaced.
func (w *World) File(environment string) string {
	text, _ := w.Emulator.ReadFile(context.Background(), Repository, "main", FileOf(environment))
	return strings.ReplaceAll(text, w.Registry, "REGISTRY")
}

// Sick makes an environment's health endpoint fail, or well again.
func (w *World) Sick(environment string, sick bool) { w.health.set(environment, sick) }

// health answers for the applications of every environment.
type health struct {
	mu  sync.Mutex
	bad map[string]bool
}

func (h *health) set(environment string, bad bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.bad[environment] = bad
}

// ServeHTTP answers GET /{environment}.
func (h *health) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.bad[strings.Trim(r.URL.Path, "/")] {
		http.Error(rw, "unhealthy", http.StatusServiceUnavailable)
	}
}

// post carries webhooks to whoever receives them now.
type post struct {
	mu sync.Mutex
	to []*Process
}

var errNobody = errors.New("nobody is listening")

// RoundTrip delivers to all and answers as the last one does, or fails as a
// refused connection does.
func (p *post) RoundTrip(r *http.Request) (*http.Response, error) {
	p.mu.Lock()
	to := slices.Clone(p.to)
	p.mu.Unlock()
	to = slices.DeleteFunc(to, func(p *Process) bool { return !p.Running() })
	if len(to) == 0 {
		return nil, errNobody
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	for i, process := range to {
		out := r.Clone(r.Context())
		out.URL.Scheme, out.URL.Host, out.Host = "http", process.Addr, process.Addr // the proxy before it speaks TLS
		out.Body = io.NopCloser(bytes.NewReader(body))
		res, err := http.DefaultTransport.RoundTrip(out)
		if i == len(to)-1 {
			return res, err
		}
		if err == nil {
			_ = res.Body.Close()
		}
	}
	return nil, errNobody
}

// Receive says which processes webhooks go to; none is nobody.
func (w *World) Receive(p ...*Process) {
	w.post.mu.Lock()
	defer w.post.mu.Unlock()
	w.post.to = p
}

// Bounds of waiting.
const (
	patience = 90 * time.Second
	glance   = 15 * time.Millisecond
)

// Wait looks at the world, at short intervals, until cond holds. It fails the
// test when that takes too long; explain, if any, says what there is instead.
func (w *World) Wait(what string, cond func() bool, explain func() string) {
	w.tb.Helper()
	if comes(cond, glance) {
		return
	}
	text := ""
	if explain != nil {
		text = "\n" + explain()
	}
	w.tb.Fatalf("waited in vain until %s%s", what, text)
}

// comes looks at intervals until cond holds; false when that takes too long.
func comes(cond func() bool, interval time.Duration) bool {
	deadline := time.NewTimer(patience)
	tick := time.NewTicker(interval)
	defer deadline.Stop()
	defer tick.Stop()
	for !cond() {
		select {
		case <-deadline.C:
			return false
		case <-tick.C:
		}
	}
	return true
}

// Quiet waits until every webhook was delivered or has failed.
func (w *World) Quiet() {
	w.tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	w.check(w.Emulator.Flush(ctx))
}

// Git runs stock git in the bare repository.
func (w *World) Git(args ...string) string {
	w.tb.Helper()
	cmd := exec.Command("git", append([]string{"--git-dir", w.Bare}, args...)...) // #nosec G204 -- a test's own words
	cmd.Env = append(os.Environ(), "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL="+os.DevNull)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		w.tb.Fatalf("git %s: %v", strings.Join(args, " "), err)
	}
	return string(out)
}
