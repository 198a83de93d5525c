package e2e

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	stdlog "log"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/rungbot/rung/internal/githubemu"
	"github.com/rungbot/rung/internal/githubemu/gitmem"
	"github.com/rungbot/rung/internal/githubemu/gitstore"
	"github.com/rungbot/rung/internal/manifest"
	"github.com/rungbot/rung/internal/promotion"
	"github.com/rungbot/rung/internal/sign"
)

// gitops is the GitOps repository of every story, appID the App that rung is.
const (
	gitops = "acme/environments"
	appID  = 7
	secret = "a webhook secret of the stories."
)

// Hosts that scripts write; the world puts loopback addresses in their place.
const (
	registryName = "registry.test"
	healthName   = "health.test"
)

// roles are the people of every story. alice publishes, so she causes what is
// promoted.
var roles = map[string]string{"alice": "admin", "bob": "write", "carol": "write", "dave": "maintain", "mallory": "read"}

// appKey is made once: it costs more than a story.
var appKey = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

// defaultConfig and defaultPlace are the repository of a script that brings
// none of its own.
const (
	defaultConfig = `version: 1
mode: merge
artifacts:
  checkout: {image: registry.test/acme/checkout}
environments:
  dev: {}
  staging: {after: [dev]}
  prod: {after: [staging], approvals: {required: 1}}
`
	defaultPlace = `images:
  - name: registry.test/acme/checkout
    newTag: 1.0.0
    digest: <checkout:1.0.0>
`
)

// world is everything that a story plays in.
type world struct {
	dir      string // the script's own
	name     string // of the GitOps repository, as it is now
	main     string // its default branch
	emu      *githubemu.Server
	store    gitstore.Store
	git      gitstore.Repository
	front    *httptest.Server
	registry *httptest.Server
	health   *httptest.Server
	env      []string // of rung
	rung     service
	logs     logs
	closers  []func()

	ahead atomic.Int64 // how far GitHub's clock is ahead

	mu     sync.Mutex
	images map[string]v1.Image // by "checkout:1.0.0"
	sick   map[string]int      // status by path, such as "staging/1.1.0"
	backup string              // the ledger's tip before it was taken away
}

// service is rung, in this process or another.
type service interface {
	// addr is where it listens.
	addr() string
	// view is its last look at the GitOps repository.
	view(ctx context.Context) (promotion.View, error)
	// idle reports whether it has nothing to do now or soon.
	idle(ctx context.Context) (bool, error)
	// sweep makes it look for lost deliveries.
	sweep(ctx context.Context) error
	stop() error
}

// logs keep what rung logged, for a story that fails.
type logs struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logs) tail(n int) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	lines := strings.Split(strings.TrimSpace(l.buf.String()), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// What make conformance puts around the emulator (conformance_test.go): its
// handler, and how it sends webhooks; nil is net/http's own way.
var (
	aroundGitHub   = func(h http.Handler) http.Handler { return h }
	aroundWebhooks http.RoundTripper
)

// newWorld starts everything but rung, with the repository that lies in repo/
// of the script's directory; empty leaves rung.yaml away.
func newWorld(ctx context.Context, dir string, empty bool) (*world, error) {
	w := &world{dir: dir, name: gitops, main: "main", images: map[string]v1.Image{}, sick: map[string]int{}}
	w.registry = httptest.NewServer(registry.New(registry.Logger(stdlog.New(io.Discard, "", 0))))
	w.health = httptest.NewServer(http.HandlerFunc(w.answerHealth))
	w.closers = append(w.closers, w.registry.Close, w.health.Close)
	if err := w.startGitHub(); err != nil {
		return w, err
	}
	files, err := w.repository()
	if err != nil {
		return w, err
	}
	if empty {
		delete(files, "rung.yaml")
	}
	if err := w.emu.CreateRepository(ctx, githubemu.RepositorySeed{
		Name: gitops, Public: true, Collaborators: maps.Clone(roles),
		Commits: []githubemu.CommitSeed{{Author: "alice", Message: "Begin with what runs today", Files: files}},
	}); err != nil {
		return w, err
	}
	if err := w.emu.AddTeam("acme", "sre", map[string]string{"bob": "member", "carol": "member"}, map[string]string{gitops: "read"}); err != nil {
		return w, err
	}
	if _, err := w.emu.Install("acme", gitops); err != nil {
		return w, err
	}
	return w, w.environ()
}

// startGitHub starts the emulator.
func (w *world) startGitHub() error {
	key, err := appKey()
	if err != nil {
		return err
	}
	w.store = gitmem.New(gitstore.Options{})
	w.emu, err = githubemu.New(githubemu.Config{
		Store: w.store, AnonymousRead: true, Transport: aroundWebhooks, Now: func() time.Time { return time.Now().Add(time.Duration(w.ahead.Load())) },
		App: githubemu.App{ID: appID, Slug: "rung", PublicKey: &key.PublicKey, WebhookSecret: secret},
	})
	if err != nil {
		return err
	}
	w.front = httptest.NewServer(aroundGitHub(w.emu))
	w.closers = append(w.closers, w.front.Close, w.emu.Close)
	w.emu.SetBaseURL(w.front.URL)
	for _, login := range slices.Sorted(maps.Keys(roles)) {
		w.emu.AddPerson(githubemu.Person{Login: login})
	}
	w.emu.AddOrganization("acme", "none", map[string]string{"alice": "admin", "bob": "member", "carol": "member", "dave": "member", "mallory": "member"})
	return nil
}

// environ makes the settings that rung is started with.
func (w *world) environ() error {
	owner, short, _ := strings.Cut(gitops, "/")
	var err error
	if w.git, err = w.store.Open(owner, short); err != nil {
		return err
	}
	signing, err := sign.GenerateKey()
	if err != nil {
		return err
	}
	release, err := signing.MarshalOpenSSH("rung")
	if err != nil {
		return err
	}
	key, err := appKey()
	if err != nil {
		return err
	}
	w.env = []string{
		"RUNG_LISTEN=127.0.0.1:0", "RUNG_DATA=" + w.data(), "RUNG_GITHUB_URL=" + w.front.URL, fmt.Sprintf("RUNG_GITHUB_APP_ID=%d", appID),
		"RUNG_GITHUB_PRIVATE_KEY=" + string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})),
		"RUNG_GITHUB_WEBHOOK_SECRETS=" + secret, "RUNG_SIGNING_KEY=" + string(release), "RUNG_REGISTRY_INSECURE=true", "RUNG_COALESCE=0s",
	}
	return nil
}

func (w *world) data() string { return filepath.Join(w.dir, "rung-data") }

// host is where an httptest server listens.
func host(s *httptest.Server) string { return strings.TrimPrefix(s.URL, "http://") }

func (w *world) close() error {
	var errs []error
	if w.rung != nil {
		errs = append(errs, w.rung.stop())
		w.rung = nil
	}
	for _, c := range slices.Backward(w.closers) {
		c()
	}
	w.closers = nil
	return errors.Join(errs...)
}

// repository is the script's repo/ directory over the default repository.
func (w *world) repository() (map[string]string, error) {
	files, err := w.files("repo")
	if err != nil {
		return nil, err
	}
	whole := map[string]string{"README.md": "# environments\n"}
	if _, own := files["rung.yaml"]; !own {
		files["rung.yaml"], err = w.fill(defaultConfig)
		if err != nil {
			return nil, err
		}
	}
	places := slices.ContainsFunc(slices.Collect(maps.Keys(files)), func(p string) bool { return strings.HasPrefix(p, "environments/") })
	for _, env := range []string{"dev", "staging", "prod"} {
		if places {
			break
		}
		if whole["environments/"+env+"/kustomization.yaml"], err = w.fill(defaultPlace); err != nil {
			return nil, err
		}
	}
	maps.Copy(whole, files)
	return whole, nil
}

// files reads a directory of the script, placeholders filled in.
func (w *world) files(dir string) (map[string]string, error) {
	files := map[string]string{}
	root := filepath.Join(w.dir, dir)
	err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if errors.Is(err, os.ErrNotExist) && path == root {
			return filepath.SkipAll
		}
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		files[filepath.ToSlash(relative)], err = w.fill(string(data))
		return err
	})
	return files, err
}

// pointers are the links of a directory, with what they point to, and the files that
// are a submodule's line, as git shows one ("Subproject commit <id>"): these are
// taken out of files.
func (w *world) pointers(dir string, files map[string]string) (links, submodules map[string]string, err error) {
	links, submodules = map[string]string{}, map[string]string{}
	for path, text := range files {
		if id, is := strings.CutPrefix(text, "Subproject commit "); is {
			submodules[path] = strings.TrimSpace(id)
			delete(files, path)
		}
	}
	root := filepath.Join(w.dir, dir)
	err = filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.Type()&os.ModeSymlink == 0 {
			return err
		}
		relative, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		links[filepath.ToSlash(relative)], err = os.Readlink(path)
		return err
	})
	return links, submodules, err
}

var digestOf = regexp.MustCompile(`<([a-z0-9-]+:[A-Za-z0-9._+-]+)>`)

// fill puts addresses and digests in place of registry.test, health.test and
// <checkout:1.0.0>; what is not published yet is published.
func (w *world) fill(text string) (string, error) {
	text = strings.NewReplacer(registryName, host(w.registry), healthName, host(w.health)).Replace(text)
	var failed error
	text = digestOf.ReplaceAllStringFunc(text, func(m string) string {
		d, err := w.published(m[1 : len(m)-1])
		failed = errors.Join(failed, err)
		return d
	})
	return text, failed
}

// published is the digest of "checkout:1.0.0", which is pushed if it was not.
func (w *world) published(ref string) (string, error) {
	w.mu.Lock()
	img := w.images[ref]
	w.mu.Unlock()
	if img == nil {
		var err error
		if img, err = random.Image(64, 1); err != nil {
			return "", err
		}
		if err := w.push(ref, img); err != nil {
			return "", err
		}
	}
	d, err := img.Digest()
	return d.String(), err
}

// digest is that of what a story published: a look changes nothing, or a story
// whose rung asked the registry before the look would wait for what came too late.
func (w *world) digest(ref string) (string, error) {
	w.mu.Lock()
	img := w.images[ref]
	w.mu.Unlock()
	if img == nil {
		return "", fmt.Errorf("%s was not published: say publish first", ref)
	}
	d, err := img.Digest()
	return d.String(), err
}

// push publishes an image under a reference such as "checkout:1.0.0".
func (w *world) push(ref string, img v1.Image) error {
	r, err := name.ParseReference(host(w.registry) + "/acme/" + ref)
	if err != nil {
		return err
	}
	if err := remote.Write(r, img); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.images[ref] = img
	return nil
}

// answerHealth answers 200 to every path that no story made sick.
func (w *world) answerHealth(rw http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	status := w.sick[strings.Trim(r.URL.Path, "/")]
	w.mu.Unlock()
	if status == 0 {
		status = http.StatusOK
	}
	rw.WriteHeader(status)
}

// state is the GitOps repository as GitHub shows it.
func (w *world) state(ctx context.Context) (githubemu.RepositoryState, error) {
	return w.emu.State(ctx, w.name)
}

// live is what main's files name of an artifact in an environment.
func (w *world) live(ctx context.Context, env, artifact string) (promotion.Value, error) {
	a := []manifest.Artifact{{Name: promotion.Artifact(artifact), Image: host(w.registry) + "/acme/" + artifact}}
	for path, text := range w.tree(ctx, w.main, "environments/"+env) {
		report, err := manifest.Find(path, []byte(text), a)
		if err != nil {
			return promotion.Value{}, err
		}
		for _, f := range report.Found {
			return f.Place.Value, nil
		}
	}
	return promotion.Value{}, fmt.Errorf("environments/%s names no %s", env, artifact)
}

// tree reads the files below a directory of a branch.
func (w *world) tree(ctx context.Context, branch, dir string) map[string]string {
	files := map[string]string{}
	refs, err := w.git.Refs(ctx, "refs/heads/"+branch)
	if err != nil {
		return files
	}
	c, err := w.git.ReadCommit(ctx, refs["refs/heads/"+branch])
	if err != nil {
		return files
	}
	var walk func(tree, prefix string)
	walk = func(tree, prefix string) {
		entries, err := w.git.ReadTree(ctx, tree)
		if err != nil {
			return
		}
		for _, e := range entries {
			path := prefix + e.Name
			switch {
			case e.Mode == "40000" && (strings.HasPrefix(dir+"/", path+"/") || strings.HasPrefix(path+"/", dir+"/")):
				walk(e.ID, path+"/")
			case e.Mode != "40000" && strings.HasPrefix(path, dir+"/"):
				if _, data, err := w.git.ReadObject(ctx, e.ID); err == nil {
					files[path] = string(data)
				}
			}
		}
	}
	walk(c.Tree, "")
	return files
}

// settle waits until the webhooks are delivered and rung has nothing to do.
func (w *world) settle(ctx context.Context) error {
	for {
		if err := w.emu.Flush(ctx); err != nil {
			return err
		}
		idle, err := w.rung.idle(ctx)
		if err != nil {
			return err
		}
		if idle && len(w.emu.Pending()) == 0 {
			return nil
		}
		if err := pause(ctx); err != nil {
			return err
		}
	}
}

// pause waits until it is time to look again.
func pause(ctx context.Context) error {
	t := time.NewTimer(20 * time.Millisecond)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// describe says how the world stands, for a story that failed.
func (w *world) describe(ctx context.Context) string {
	var b strings.Builder
	if w.rung != nil {
		v, err := w.rung.view(ctx)
		fmt.Fprintf(&b, "--- rung's view (%v): mode %s, error %q, notes %q, problems %v\n", err, v.Mode, v.Error, v.Notes, v.Problems)
		for _, p := range v.Pairs {
			fmt.Fprintf(&b, "%s runs %s, %s: %s (wanted %s)\n", p.Pair, p.Live.Version, p.Phase, p.Sentence, p.Target.Version)
			for _, verdict := range p.Verdicts {
				fmt.Fprintf(&b, "    %s %s: %s\n", verdict.Gate, verdict.Status, verdict.Sentence)
			}
		}
	}
	st, err := w.state(ctx)
	if err != nil {
		return err.Error()
	}
	for _, p := range st.Pulls {
		fmt.Fprintf(&b, "--- #%d %s (%s → %s) by %s\n", p.Number, p.State, p.Head, p.Title, p.Author)
		for _, c := range st.Checks[p.HeadSHA] {
			fmt.Fprintf(&b, "check %s by %s: %s %s\n%s\n", c.Name, c.App, c.Conclusion, c.Title, c.Summary)
		}
		for _, c := range p.Comments {
			fmt.Fprintf(&b, "%s: %s %v\n", c.Author, c.Body, c.Reactions)
		}
	}
	branches, _ := json.Marshal(st.Branches)
	fmt.Fprintf(&b, "--- branches %s\n--- rung's log\n%s\n", branches, w.logs.tail(60))
	return b.String()
}
