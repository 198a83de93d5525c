package registry_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	ociregistry "github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/rungbot/rung/internal/promotion"
	"github.com/rungbot/rung/internal/registry"
)

// world is a registry with a switch in front of it.
type world struct {
	host string
	// before answers instead of the registry when it returns true.
	before func(http.ResponseWriter, *http.Request) bool
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{}
	real := ociregistry.New(ociregistry.Logger(log.New(io.Discard, "", 0)))
	server := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		if w.before == nil || !w.before(out, r) {
			real.ServeHTTP(out, r)
		}
	}))
	t.Cleanup(server.Close)
	w.host = strings.TrimPrefix(server.URL, "http://")
	return w
}

func (w *world) image() string { return w.host + "/acme/checkout" }

func (w *world) client(t *testing.T, change ...func(*registry.Config)) *registry.Client {
	t.Helper()
	config := registry.Config{Transport: &http.Transport{DisableKeepAlives: true}}
	for _, c := range change {
		c(&config)
	}
	c, err := registry.New(config)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (w *world) ref(t *testing.T, tag string) name.Reference {
	t.Helper()
	ref, err := name.ParseReference(w.image() + ":" + tag)
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

func (w *world) pushImage(t *testing.T, tag string) v1.Hash {
	t.Helper()
	img, err := random.Image(64, 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(w.ref(t, tag), img); err != nil {
		t.Fatal(err)
	}
	d, err := img.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func (w *world) pushIndex(t *testing.T, tag string) (v1.Hash, []string) {
	t.Helper()
	index, err := random.Index(64, 1, 2)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.WriteIndex(w.ref(t, tag), index); err != nil {
		t.Fatal(err)
	}
	d, err := index.Digest()
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	var children []string
	for _, m := range manifest.Manifests {
		children = append(children, m.Digest.String())
	}
	return d, children
}

func TestVersionsAndTheirDigests(t *testing.T) {
	w := newWorld(t)
	one := w.pushImage(t, "1.0.0")
	two, wantChildren := w.pushIndex(t, "1.1.0")
	w.pushImage(t, "latest")
	c := w.client(t)

	versions, err := c.Versions(t.Context(), w.image(), 0)
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(versions)
	if fmt.Sprint(versions) != "[1.0.0 1.1.0 latest]" {
		t.Errorf("versions %v", versions)
	}
	digest, children, err := c.Resolve(t.Context(), w.image(), "1.0.0")
	if err != nil || string(digest) != one.String() || children != nil {
		t.Errorf("image: %s %v %v", digest, children, err)
	}
	digest, children, err = c.Resolve(t.Context(), w.image(), "1.1.0")
	if err != nil || string(digest) != two.String() || fmt.Sprint(children) != fmt.Sprint(wantChildren) {
		t.Errorf("index: %s %v %v", digest, children, err)
	}
	for _, d := range append(children, digest) {
		if there, err := c.Exists(t.Context(), w.image(), d); err != nil || !there {
			t.Errorf("%s: %v, %v", d, there, err)
		}
	}

	// The tag moves: the next answer is the new digest, the old one is served.
	three := w.pushImage(t, "1.0.0")
	if digest, _, err = c.Resolve(t.Context(), w.image(), "1.0.0"); err != nil || string(digest) != three.String() {
		t.Errorf("after the tag moved: %s %v", digest, err)
	}
	// The manifest is deleted: it is not there, which is no error.
	old, _ := name.NewDigest(w.image() + "@" + one.String())
	if err := remote.Delete(old); err != nil {
		t.Fatal(err)
	}
	if there, err := c.Exists(t.Context(), w.image(), promotion.Digest(one.String())); err != nil || there {
		t.Errorf("deleted: %v, %v", there, err)
	}
}

func TestNotFound(t *testing.T) {
	w := newWorld(t)
	w.pushImage(t, "1.0.0")
	c := w.client(t)
	if _, _, err := c.Resolve(t.Context(), w.image(), "9.9.9"); !errors.Is(err, registry.ErrNotFound) {
		t.Errorf("version: %v", err)
	}
	if _, _, err := c.Resolve(t.Context(), w.image(), "1.0.0+build"); !errors.Is(err, registry.ErrNotFound) {
		t.Errorf("a version that can't be a tag: %v", err)
	}
	if _, err := c.Versions(t.Context(), w.host+"/acme/none", 0); !errors.Is(err, registry.ErrNotFound) {
		t.Errorf("image: %v", err)
	}
	if _, err := c.Versions(t.Context(), "UPPER case", 0); err == nil || errors.Is(err, registry.ErrNotFound) {
		t.Errorf("bad name: %v", err)
	}
	if _, err := c.Exists(t.Context(), w.image(), "sha256:abc"); err == nil || errors.Is(err, registry.ErrNotFound) {
		t.Errorf("bad digest: %v", err)
	}
}

// Only the registry's own 404 means "not there".
func TestFailuresNeverLookLikeADeletedImage(t *testing.T) {
	digest := promotion.Digest("sha256:" + strings.Repeat("a", 64))
	for label, tt := range map[string]struct {
		answer func(http.ResponseWriter, *http.Request)
		want   error
	}{
		"500":            {status(500), registry.ErrUnreachable},
		"503":            {status(503), registry.ErrUnreachable},
		"429":            {status(429), registry.ErrUnreachable},
		"401":            {status(401), registry.ErrUnauthorized},
		"403":            {status(403), registry.ErrUnauthorized},
		"cut connection": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, registry.ErrUnreachable},
		"captive portal": {func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>please sign in") }, registry.ErrUnreachable},
		"endless answer": {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 9<<20)) }, registry.ErrUnreachable},
	} {
		t.Run(label, func(t *testing.T) {
			w := newWorld(t)
			w.before = func(out http.ResponseWriter, r *http.Request) bool {
				if r.URL.Path == "/v2/" {
					return false
				}
				tt.answer(out, r)
				return true
			}
			c := w.client(t)
			there, err := c.Exists(t.Context(), w.image(), digest)
			if there || !errors.Is(err, tt.want) {
				t.Errorf("exists: %v, %v", there, err)
			}
			if _, _, err := c.Resolve(t.Context(), w.image(), "1.0.0"); !errors.Is(err, tt.want) {
				t.Errorf("resolve: %v", err)
			}
			if _, err := c.Versions(t.Context(), w.image(), 0); !errors.Is(err, tt.want) {
				t.Errorf("versions: %v", err)
			}
		})
	}
	t.Run("not a registry at all", func(t *testing.T) {
		w := newWorld(t)
		w.before = func(out http.ResponseWriter, r *http.Request) bool {
			http.NotFound(out, r)
			return true
		}
		if there, err := w.client(t).Exists(t.Context(), w.image(), digest); there || !errors.Is(err, registry.ErrUnreachable) {
			t.Errorf("got %v, %v", there, err)
		}
	})
	t.Run("no server", func(t *testing.T) {
		server := httptest.NewServer(nil)
		host := strings.TrimPrefix(server.URL, "http://")
		server.Close()
		w := &world{host: host}
		if _, err := w.client(t).Exists(t.Context(), w.image(), digest); !errors.Is(err, registry.ErrUnreachable) {
			t.Errorf("got %v", err)
		}
	})
}

func status(code int) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

// The digest is that of the bytes, whatever a header says; documents that two
// readers could read differently are refused.
func TestManifestsThatLie(t *testing.T) {
	const image = "application/vnd.oci.image.manifest.v1+json"
	const index = "application/vnd.oci.image.index.v1+json"
	hash := "sha256:" + strings.Repeat("b", 64)
	for label, tt := range map[string]struct {
		kind, body string
		ok         bool
	}{
		"plain image":           {image, `{"schemaVersion":2,"config":{},"layers":[]}`, true},
		"plain index":           {index, `{"schemaVersion":2,"mediaType":"` + index + `","manifests":[{"digest":"` + hash + `"}]}`, true},
		"both at once":          {index, `{"schemaVersion":2,"manifests":[],"config":{},"layers":[]}`, false},
		"index sent as image":   {image, `{"schemaVersion":2,"manifests":[{"digest":"` + hash + `"}]}`, false},
		"image sent as index":   {index, `{"schemaVersion":2,"config":{},"layers":[]}`, false},
		"another type within":   {image, `{"schemaVersion":2,"mediaType":"` + index + `","config":{}}`, false},
		"schema 1":              {"application/vnd.docker.distribution.manifest.v1+prettyjws", `{"schemaVersion":1}`, false},
		"child of another hash": {index, `{"schemaVersion":2,"manifests":[{"digest":"sha512:abc"}]}`, false},
		"too many children":     {index, `{"schemaVersion":2,"manifests":[` + strings.Repeat(`{"digest":"`+hash+`"},`, 1001) + `{"digest":"` + hash + `"}]}`, false},
		"not JSON":              {image, `<html>`, false},
	} {
		t.Run(label, func(t *testing.T) {
			w := newWorld(t)
			w.before = func(out http.ResponseWriter, r *http.Request) bool {
				if !strings.Contains(r.URL.Path, "/manifests/") {
					return false
				}
				out.Header().Set("Content-Type", tt.kind)
				out.Header().Set("Docker-Content-Digest", "sha256:"+strings.Repeat("f", 64))
				_, _ = io.WriteString(out, tt.body)
				return true
			}
			digest, _, err := w.client(t).Resolve(t.Context(), w.image(), "1.0.0")
			if (err == nil) != tt.ok {
				t.Fatalf("got %s, %v", digest, err)
			}
			if err == nil && strings.Contains(string(digest), "ffff") {
				t.Error("the digest is the header's")
			}
			if err != nil && !errors.Is(err, registry.ErrUnreachable) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestListsAreReadToTheEndOrRefused(t *testing.T) {
	w := newWorld(t)
	pages := 0
	w.before = func(out http.ResponseWriter, r *http.Request) bool {
		if !strings.HasSuffix(r.URL.Path, "/tags/list") {
			return false
		}
		pages++
		switch r.URL.Query().Get("last") {
		case "":
			out.Header().Set("Link", `</v2/acme/checkout/tags/list?last=b&n=2>; rel="next"`)
			_, _ = io.WriteString(out, `{"tags":["1.0.0","not a tag","-bad"]}`)
		default:
			_, _ = io.WriteString(out, `{"tags":["1.1.0","1.2.0"]}`)
		}
		return true
	}
	versions, err := w.client(t).Versions(t.Context(), w.image(), 5)
	if err != nil || fmt.Sprint(versions) != "[1.0.0 1.1.0 1.2.0]" {
		t.Errorf("got %v, %v", versions, err)
	}
	if versions, err = w.client(t).Versions(t.Context(), w.image(), 4); err == nil || versions != nil {
		t.Errorf("a cut list %v, %v", versions, err)
	}
	// A list that never ends, without a single tag.
	pages = 0
	w.before = func(out http.ResponseWriter, r *http.Request) bool {
		if !strings.HasSuffix(r.URL.Path, "/tags/list") {
			return false
		}
		pages++
		out.Header().Set("Link", `</v2/acme/checkout/tags/list?last=x>; rel="next"`)
		_, _ = io.WriteString(out, `{"tags":[]}`)
		return true
	}
	keepAlive := func(c *registry.Config) { c.Transport = nil }
	if _, err = w.client(t, keepAlive).Versions(t.Context(), w.image(), 0); err == nil || pages > 600 {
		t.Errorf("%v after %d pages", err, pages)
	}
}

func TestCredentialsGoToTheirHostAndIntoNoError(t *testing.T) {
	w := newWorld(t)
	w.before = func(out http.ResponseWriter, r *http.Request) bool {
		user, password, _ := r.BasicAuth()
		if user == "bot" && password == "hunter2" {
			return false
		}
		out.Header().Set("WWW-Authenticate", `Basic realm="acme"`)
		out.WriteHeader(http.StatusUnauthorized)
		return true
	}
	with := func(host string, c registry.Credentials) func(*registry.Config) {
		return func(config *registry.Config) { config.Credentials = map[string]registry.Credentials{host: c} }
	}
	good := w.client(t, with(w.host, registry.Credentials{Username: "bot", Password: "hunter2"}))
	if _, _, err := good.Resolve(t.Context(), w.image(), "1.0.0"); !errors.Is(err, registry.ErrNotFound) {
		t.Errorf("with credentials: %v", err)
	}
	for label, c := range map[string]*registry.Client{
		"none":            w.client(t),
		"wrong":           w.client(t, with(w.host, registry.Credentials{Username: "bot", Password: "hunter3"})),
		"of another host": w.client(t, with("ghcr.io", registry.Credentials{Username: "bot", Password: "hunter2"})),
	} {
		_, _, err := c.Resolve(t.Context(), w.image(), "1.0.0")
		if !errors.Is(err, registry.ErrUnauthorized) || strings.Contains(err.Error(), "hunter") {
			t.Errorf("%s: %v", label, err)
		}
	}
	if s := fmt.Sprintf("%v %+v %#v", registry.Credentials{Password: "hunter2"}, registry.Credentials{Password: "hunter2"}, registry.Credentials{Password: "hunter2"}); strings.Contains(s, "hunter2") {
		t.Errorf("credentials print themselves: %s", s)
	}
}

func TestPlainHTTPOnlyWhereAllowed(t *testing.T) {
	w := newWorld(t)
	w.pushImage(t, "1.0.0")
	// A name that is neither loopback nor listed, served by the same registry.
	dialHere := func(c *registry.Config) {
		c.Transport = &http.Transport{DisableKeepAlives: true, DialContext: dialer(w.host)}
	}
	image := "registry.local:5000/acme/checkout"
	if _, _, err := w.client(t, dialHere).Resolve(t.Context(), image, "1.0.0"); !errors.Is(err, registry.ErrUnreachable) {
		t.Errorf("not listed: %v", err)
	}
	listed := func(c *registry.Config) { c.Insecure = []string{"registry.local:5000"} }
	w.before = nil
	if _, _, err := w.client(t, dialHere, listed).Resolve(t.Context(), image, "1.0.0"); err != nil {
		t.Errorf("listed: %v", err)
	}
}

func TestCallsHaveADeadline(t *testing.T) {
	w := newWorld(t)
	leave := make(chan struct{})
	defer close(leave)
	w.before = func(_ http.ResponseWriter, r *http.Request) bool {
		select {
		case <-r.Context().Done():
		case <-leave:
		}
		return true
	}
	quick := func(c *registry.Config) { c.Timeout = 30 * time.Millisecond }
	_, err := w.client(t, quick).Versions(t.Context(), w.image(), 0)
	if !errors.Is(err, registry.ErrUnreachable) || !strings.Contains(err.Error(), "in time") {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err = w.client(t).Versions(ctx, w.image(), 0); !errors.Is(err, registry.ErrUnreachable) {
		t.Errorf("got %v", err)
	}
}

// dialer connects to one address, whatever is asked for.
func dialer(address string) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, address)
	}
}
