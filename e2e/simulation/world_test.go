package simulation

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	mrand "math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/rungbot/rung/e2e/simulation/oracle"
	"github.com/rungbot/rung/internal/app"
	"github.com/rungbot/rung/internal/githubemu"
	"github.com/rungbot/rung/internal/githubemu/gitmem"
	"github.com/rungbot/rung/internal/githubemu/gitstore"
	"github.com/rungbot/rung/internal/settings"
	"github.com/rungbot/rung/internal/sign"
)

// The addresses of the world. Nothing listens there: requests are answered in
// process.
const (
	repository   = "acme/environments"
	githubHost   = "127.0.0.1:3000"
	registryHost = "127.0.0.1:5000"
	healthHost   = "127.0.0.1:7000"
	rungHost     = "127.0.0.1:8080"
	secret       = "ssssssssssssssssssssssssssssssss"
)

// keys are made once: an App's key costs more than a whole seed.
var keys = sync.OnceValues(func() (*rsa.PrivateKey, []byte) {
	k, err := rsa.GenerateKey(rand.Reader, 1024) // #nosec G403 -- each request to the App's own routes is signed
	if err != nil {
		panic(err)
	}
	return k, pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(k)})
})

// releaseKey is always the same, so that a seed gives the same commit ids.
var releaseKey = sync.OnceValue(func() []byte {
	k, err := sign.NewKey(ed25519.NewKeyFromSeed([]byte("a release key of the simulation.")))
	if err != nil {
		panic(err)
	}
	text, err := k.MarshalOpenSSH("rung")
	if err != nil {
		panic(err)
	}
	return text
})

// world is everything outside rung, and the process that rung is just now.
type world struct {
	t    *testing.T
	ctx  context.Context
	seed uint64
	rng  *mrand.Rand
	dice *grid

	emu      *githubemu.Server
	git      gitstore.Repository
	registry *images
	health   *clinic
	config   *config
	oracle   *oracle.Oracle
	people   map[string]string // login to role

	proc      *process
	queue     string // the queue's file, or empty for one in memory
	logged    bytes.Buffer
	trace     []string
	faults    []*fault
	crash     *crash
	between   *interlude
	calm      bool // no more faults, crashes or interludes
	lost      bool // a comment's webhook was lost unlisted
	suspended bool
	steps     int
	crashes   int
	passes    int
}

// process is one life of rung.
type process struct {
	app     *app.App
	wire    *wire
	started bool
	swept   time.Time
	since   time.Time
}

// errCrash is what a crash panics with: it unwinds the pass as death does, and
// nothing of rung's runs any more.
var errCrash = errors.New("the process died")

func newWorld(t *testing.T, seed uint64, dice *grid) *world {
	w := &world{
		t: t, ctx: context.Background(), seed: seed, rng: mrand.New(mrand.NewPCG(seed, 0x72756e67)), dice: dice,
		people: map[string]string{"alice": "admin", "bob": "write", "carol": "maintain", "dave": "write", "erin": "triage", "mallory": "read"},
	}
	key, _ := keys()
	store := gitmem.New(gitstore.Options{})
	var err error
	w.emu, err = githubemu.New(githubemu.Config{
		Store: store, BaseURL: "http://" + githubHost, Manual: true, Seed: seed, Transport: (*doorstep)(w),
		App: githubemu.App{ID: 7, Slug: "rung", PublicKey: &key.PublicKey, WebhookSecret: secret, WebhookURL: "http://" + rungHost + "/github/webhook"},
	})
	w.must(err)
	for login := range sorted(w.people) {
		w.emu.AddPerson(githubemu.Person{Login: login})
	}
	w.registry = newImages()
	w.config = randomConfig(w.rng)
	w.health = newClinic()
	files := map[string]string{"rung.yaml": w.config.render(""), "README.md": "# environments\n"}
	first := map[string]string{}
	for _, name := range artifacts {
		first[name] = w.registry.publish(name, "1.0.0", fmt.Sprintf("%s the first", name))
	}
	for i := range w.config.Envs {
		for path, text := range layout(&w.config.Envs[i], i, first) {
			files[path] = text
		}
	}
	w.must(w.emu.CreateRepository(w.ctx, githubemu.RepositorySeed{
		Name: repository, Commits: []githubemu.CommitSeed{{Author: "alice", Files: files}}, Collaborators: w.people,
	}))
	_, err = w.emu.Install("acme", repository)
	w.must(err)
	w.git, err = store.Open("acme", "environments")
	w.must(err)
	w.oracle = oracle.New(oracle.World{
		Emulator: w.emu, Repository: repository, Git: w.git, Bot: "rung[bot]",
		Key:    ed25519.NewKeyFromSeed([]byte("a release key of the simulation.")).Public().(ed25519.PublicKey),
		Role:   func(login string) string { return w.people[login] },
		Sick:   w.health.sickFor,
		Images: map[string]string{artifacts[0]: registryHost + "/acme/" + artifacts[0], artifacts[1]: registryHost + "/acme/" + artifacts[1]},
	})
	if w.rng.IntN(3) == 0 {
		w.queue = filepath.Join(t.TempDir(), "rung.db")
	}
	w.emu.SetNullMergeable(1 + w.rng.IntN(2))
	return w
}

func (w *world) must(err error) {
	if err != nil {
		w.t.Helper()
		w.t.Fatalf("the simulation itself failed: %v", err)
	}
}

// say adds a line to the trace.
func (w *world) say(format string, args ...any) {
	w.trace = append(w.trace, time.Now().UTC().Format("15:04:05 ")+fmt.Sprintf(format, args...))
}

// boot starts a process where none runs. It may fail, as any request may.
func (w *world) boot() {
	_, pemKey := keys()
	s, err := settings.Load([]string{
		"RUNG_DATA=" + filepath.Join(os.TempDir(), "rung-simulation"), "RUNG_GITHUB_URL=http://" + githubHost,
		"RUNG_GITHUB_APP_ID=7", "RUNG_GITHUB_PRIVATE_KEY=" + string(pemKey), "RUNG_GITHUB_WEBHOOK_SECRETS=" + secret,
		"RUNG_SIGNING_KEY=" + string(releaseKey()), "RUNG_COALESCE=" + w.config.Coalesce,
	})
	w.must(err)
	s.Listen = "none" // requests are answered in process
	p := &process{wire: &wire{w: w}, since: time.Now().Add(-71 * time.Hour)}
	path := w.queue
	if path == "" {
		path = ":memory:"
	}
	log := zerolog.New(&w.logged).Level(zerolog.InfoLevel)
	if os.Getenv("LOG") != "" {
		log = zerolog.New(zerolog.ConsoleWriter{Out: os.Stderr, TimeFormat: "15:04:05", NoColor: true}).With().Timestamp().Logger()
	}
	p.app, err = app.New(w.ctx, s, app.Options{Log: log, Transport: p.wire, QueuePath: path})
	if err != nil {
		w.say("rung does not start: %v", err)
		return
	}
	w.proc = p
}

// stop ends the process. With forget its queue is deleted.
func (w *world) stop(forget bool) {
	if w.proc != nil {
		w.proc.wire.dead = true
		w.must(w.proc.app.Close())
		w.proc = nil
	}
	if forget && w.queue != "" {
		for _, suffix := range []string{"", "-wal", "-shm", ".lock"} {
			_ = os.Remove(w.queue + suffix)
		}
	}
}

// maxPasses is how many passes may follow each other without a moment passing.
const maxPasses = 100

// work lets rung do everything that is due now.
func (w *world) work() {
	for n := 0; ; n++ {
		if n > maxPasses {
			w.oracle.Report("7 bounded", "more than %d passes without a moment passing", maxPasses)
			return
		}
		more, died := w.once()
		if died {
			continue
		}
		if !more {
			return
		}
	}
}

// once is one step of the process: starting, sweeping or a pass.
func (w *world) once() (more, died bool) {
	defer func() {
		if p := recover(); p != nil {
			if err, ok := p.(error); !ok || !errors.Is(err, errCrash) {
				panic(p)
			}
			died = true
			w.crashes++
			w.stop(w.crash.forget)
			w.crash = nil
		}
	}()
	if w.proc == nil {
		w.boot()
		if w.proc == nil {
			return false, false
		}
	}
	p := w.proc
	if !p.started {
		if err := p.app.Start(w.ctx); err != nil {
			w.say("rung can't list its repositories: %v", err)
			return false, false
		}
		p.started = true
	}
	if p.swept.IsZero() || time.Since(p.swept) >= 10*time.Minute {
		began := time.Now()
		if err := p.app.Redeliver(w.ctx, p.since); err == nil {
			p.since, p.swept = began.Add(-20*time.Minute), began
		} else {
			p.swept = began.Add(-9 * time.Minute) // tried again soon, as Sweep does
		}
	}
	w.passes++
	more, err := p.app.Once(w.ctx)
	if err != nil {
		w.oracle.Report("7 bounded", "the queue failed: %v", err)
		return false, false
	}
	return more, false
}

// elapse lets time pass, with rung at work meanwhile.
func (w *world) elapse(d, step time.Duration) {
	for d > 0 {
		time.Sleep(min(d, step))
		d -= step
		w.work()
	}
}

// doorstep carries webhooks from the emulator to whatever process runs.
type doorstep world

func (d *doorstep) RoundTrip(r *http.Request) (*http.Response, error) {
	p := d.proc
	if p == nil {
		return nil, errors.New("connection refused")
	}
	return answer(p.app.Handler(), r)
}

// answer lets a handler serve a request in the caller's goroutine.
func answer(h http.Handler, r *http.Request) (*http.Response, error) {
	in := r.Clone(r.Context())
	in.RequestURI = r.URL.RequestURI()
	in.RemoteAddr = "127.0.0.1:1"
	if in.Body == nil {
		in.Body = http.NoBody
	}
	rec := &recorder{status: http.StatusOK, head: http.Header{}}
	h.ServeHTTP(rec, in)
	return &http.Response{
		Status: http.StatusText(rec.status), StatusCode: rec.status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: rec.head, Body: io.NopCloser(bytes.NewReader(rec.body.Bytes())), ContentLength: int64(rec.body.Len()), Request: r,
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

// logTail is the end of what rung logged.
func (w *world) logTail(n int) string {
	lines := strings.Split(strings.TrimSpace(w.logged.String()), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// redeliver posts a webhook that was sent before at rung's door, as GitHub's
// redelivery does: the same GUID, the same bytes.
func (w *world) redeliver(d githubemu.Delivery) {
	if w.proc == nil {
		return
	}
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(d.Payload)
	req, err := http.NewRequest(http.MethodPost, "http://"+rungHost+"/github/webhook", bytes.NewReader(d.Payload))
	w.must(err)
	for k, v := range map[string]string{
		"Content-Type": "application/json", "X-GitHub-Event": d.Event, "X-GitHub-Delivery": d.GUID, "X-Hub-Signature-256": "sha256=" + hex.EncodeToString(mac.Sum(nil)),
		"X-GitHub-Hook-Installation-Target-ID": "7", "X-GitHub-Hook-Installation-Target-Type": "integration",
	} {
		req.Header.Set(k, v)
	}
	res, err := answer(w.proc.app.Handler(), req)
	w.must(err)
	if res.StatusCode >= http.StatusInternalServerError && res.StatusCode != http.StatusServiceUnavailable {
		w.oracle.Report("7 bounded", "the door answers %d to a webhook", res.StatusCode)
	}
}
