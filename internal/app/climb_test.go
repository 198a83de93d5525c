package app

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	stdlog "log"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/rs/zerolog"

	"github.com/rungbot/rung/internal/githubemu"
	"github.com/rungbot/rung/internal/githubemu/gitmem"
	"github.com/rungbot/rung/internal/githubemu/gitstore"
	"github.com/rungbot/rung/internal/promotion"
	"github.com/rungbot/rung/internal/settings"
	"github.com/rungbot/rung/internal/sign"
)

const gitops = "acme/environments"

// world is an emulator, a registry and a service that joins them, in process.
type world struct {
	t      *testing.T
	emu    *githubemu.Server
	image  string
	app    *App
	cancel context.CancelFunc
	done   chan error
	env    []string
}

const climbConfig = `version: 1
mode: merge
artifacts:
  checkout: {image: IMAGE}
environments:
  dev: {}
  staging: {after: [dev]}
  prod: {after: [staging], approvals: {required: 1}}
`

func newWorld(t *testing.T, config string) *world {
	t.Helper()
	w := &world{t: t}
	reg := httptest.NewServer(registry.New(registry.Logger(stdlog.New(io.Discard, "", 0))))
	t.Cleanup(reg.Close)
	w.image = strings.TrimPrefix(reg.URL, "http://") + "/acme/checkout"
	first := w.publish("1.0.0")
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	w.emu, err = githubemu.New(githubemu.Config{
		Store: gitmem.New(gitstore.Options{}), App: githubemu.App{ID: 7, Slug: "rung", PublicKey: &key.PublicKey, WebhookSecret: strings.Repeat("s", 32)},
	})
	if err != nil {
		t.Fatal(err)
	}
	front := httptest.NewServer(w.emu)
	t.Cleanup(front.Close)
	t.Cleanup(w.emu.Close)
	w.emu.SetBaseURL(front.URL)
	for _, p := range []string{"alice", "bob", "mallory"} {
		w.emu.AddPerson(githubemu.Person{Login: p})
	}
	files := map[string]string{"rung.yaml": strings.ReplaceAll(config, "IMAGE", w.image), "README.md": "# environments\n"}
	for _, env := range []string{"dev", "staging", "prod"} {
		files["environments/"+env+"/kustomization.yaml"] = fmt.Sprintf("images:\n  - name: %s\n    newTag: 1.0.0\n    digest: %s\n", w.image, first)
	}
	if err := w.emu.CreateRepository(t.Context(), githubemu.RepositorySeed{
		Name: gitops, Commits: []githubemu.CommitSeed{{Author: "alice", Files: files}},
		Collaborators: map[string]string{"alice": "admin", "bob": "write", "mallory": "read"},
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.emu.Install("acme", gitops); err != nil {
		t.Fatal(err)
	}
	signing, err := sign.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	release, err := signing.MarshalOpenSSH("rung")
	if err != nil {
		t.Fatal(err)
	}
	w.env = []string{
		"RUNG_LISTEN=127.0.0.1:0", "RUNG_DATA=" + filepath.Join(t.TempDir(), "data"), "RUNG_GITHUB_URL=" + front.URL, "RUNG_GITHUB_APP_ID=7",
		"RUNG_GITHUB_PRIVATE_KEY=" + string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})),
		"RUNG_GITHUB_WEBHOOK_SECRETS=" + strings.Repeat("s", 32), "RUNG_SIGNING_KEY=" + string(release), "RUNG_COALESCE=0s",
	}
	w.start()
	return w
}

func (w *world) start() {
	w.t.Helper()
	s, err := settings.Load(w.env)
	if err != nil {
		w.t.Fatal(err)
	}
	log := zerolog.Nop()
	if os.Getenv("LOG") != "" {
		log = zerolog.New(zerolog.ConsoleWriter{Out: os.Stderr, TimeFormat: "05.000"}).With().Timestamp().Logger()
	}
	w.app, err = New(w.t.Context(), s, Options{Log: log})
	if err != nil {
		w.t.Fatal(err)
	}
	w.emu.SetWebhookURL("http://" + w.app.Addr() + "/github/webhook")
	ctx, cancel := context.WithCancel(context.Background())
	w.cancel, w.done = cancel, make(chan error, 1)
	go func() { w.done <- w.app.Run(ctx) }()
	w.t.Cleanup(w.stop)
}

func (w *world) stop() {
	if w.cancel == nil {
		return
	}
	w.cancel()
	w.cancel = nil
	if err := <-w.done; err != nil {
		w.t.Error(err)
	}
	if err := w.app.Close(); err != nil {
		w.t.Error(err)
	}
}

// publish pushes a small random image and returns its digest.
func (w *world) publish(version string) promotion.Digest {
	w.t.Helper()
	img, err := random.Image(64, 1)
	if err != nil {
		w.t.Fatal(err)
	}
	ref, err := name.ParseReference(w.image + ":" + version)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := remote.Write(ref, img); err != nil {
		w.t.Fatal(err)
	}
	d, err := img.Digest()
	if err != nil {
		w.t.Fatal(err)
	}
	return promotion.Digest(d.String())
}

func (w *world) dispatch(version string) {
	w.t.Helper()
	if err := w.emu.Dispatch(gitops, "alice", "artifact-published", map[string]any{"artifact": "checkout", "version": version}); err != nil {
		w.t.Fatal(err)
	}
}

// view is the service's last view of the repository.
func (w *world) view() promotion.View {
	w.t.Helper()
	views, err := w.app.queue.Views(context.Background(), promotion.ViewName)
	if err != nil {
		w.t.Fatal(err)
	}
	var v promotion.View
	for _, raw := range views {
		if err := json.Unmarshal(raw.Data, &v); err != nil {
			w.t.Fatal(err)
		}
	}
	return v
}

func (w *world) pair(env string) promotion.PairState {
	for _, p := range w.view().Pairs {
		if string(p.Pair.Environment) == env {
			return p
		}
	}
	return promotion.PairState{}
}

// wait polls until cond holds.
func (w *world) wait(what string, cond func() bool) {
	w.t.Helper()
	deadline := time.NewTimer(20 * time.Second)
	tick := time.NewTicker(20 * time.Millisecond)
	defer deadline.Stop()
	defer tick.Stop()
	for !cond() {
		select {
		case <-deadline.C:
			data, _ := json.MarshalIndent(w.view(), "", " ")
			w.t.Fatalf("waited in vain until %s; last view:\n%.6000s", what, data)
		case <-tick.C:
		}
	}
}

func TestAVersionClimbsAndComesBack(t *testing.T) {
	w := newWorld(t, climbConfig)
	w.wait("the ledger is started", func() bool { return w.view().Ledger != "" })
	w.publish("1.1.0")
	w.dispatch("1.1.0")
	w.wait("staging runs 1.1.0", func() bool { return w.pair("staging").Live.Version == "1.1.0" })
	w.wait("prod waits for an approval", func() bool { return strings.Contains(w.pair("prod").Sentence, "approval") })
	number := w.pair("prod").PullRequest
	if _, err := w.emu.Review(t.Context(), gitops, number, "bob", "APPROVE", ""); err != nil {
		t.Fatal(err)
	}
	w.wait("prod runs 1.1.0", func() bool { return w.pair("prod").Live.Version == "1.1.0" })
	w.wait("prod settles", func() bool { return w.pair("prod").Settled == "good" })
	if _, err := w.emu.Comment(t.Context(), gitops, number, "bob", "/rollback"); err != nil {
		t.Fatal(err)
	}
	w.wait("prod runs 1.0.0 again", func() bool { return w.pair("prod").Live.Version == "1.0.0" })
	if n := len(w.view().Quarantine); n != 1 {
		t.Errorf("%d quarantined digests, want 1", n)
	}
	counts, _ := json.MarshalIndent(w.emu.Counts(), "", " ")
	t.Logf("%s", counts)
}
