// Package registry reads OCI registries: which versions an image has, which
// digest a version stands for, and whether a digest is still served.
//
// State. A Client holds credentials and the registries' short-lived tokens;
// nothing else is kept, every call asks. Nothing is ever written.
//
// Invariants. A digest is computed here over the bytes of the manifest and
// never taken from a header. "Not there" is said only when the registry itself
// answers 404; whatever else goes wrong is an error, so that an outage never
// looks like a deleted image. Every call has a deadline, every answer a bound.
// Plain HTTP is spoken to loopback and to the hosts that the configuration
// names; credentials go to their own host only; no error text carries one.
//
// Concurrency. A Client may be used by several goroutines.
//
// What it does not do: it pulls no layers, checks no signatures, orders no
// versions, and doesn't try again: the caller looks again later.
package registry

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/rungbot/rung/internal/promotion"
)

// Bounds of one call.
const (
	defaultTimeout = 20 * time.Second
	defaultTags    = 50000
	pageLimit      = 500
	childLimit     = 1000
	answerLimit    = 8 << 20
)

// Errors; use errors.Is.
var (
	// ErrNotFound: the registry says that it has no such image or version.
	ErrNotFound = errors.New("the registry has no such image or version")
	// ErrUnauthorized: the credentials are missing, wrong or not enough.
	ErrUnauthorized = errors.New("the registry refuses the credentials: check RUNG's registry settings")
	// ErrUnreachable: no answer, or one that the registry can't have meant.
	ErrUnreachable = errors.New("the registry does not answer as it should")
)

// Credentials are a name and a password or access token.
type Credentials struct {
	Username string
	Password string
}

// String hides them.
func (Credentials) String() string { return "REDACTED" }

// GoString hides them.
func (Credentials) GoString() string { return "REDACTED" }

// Config says how registries are reached.
type Config struct {
	// Transport carries every request; nil is net/http's default.
	Transport http.RoundTripper
	// Insecure are the hosts ("host" or "host:port") that may be spoken to
	// over plain HTTP. Loopback always may.
	Insecure []string
	// Credentials are by host ("ghcr.io", "registry.acme.example:5000").
	Credentials map[string]Credentials
	// DockerConfig also looks into the credentials of the docker command.
	DockerConfig bool
	// Timeout bounds one call, redirects, tokens and pages included; 0 is 20
	// seconds.
	Timeout time.Duration
}

// Client reads registries.
type Client struct {
	insecure map[string]bool
	timeout  time.Duration
	puller   *remote.Puller
}

// New makes a Client. It sends nothing.
func New(c Config) (*Client, error) {
	if c.Transport == nil {
		c.Transport = http.DefaultTransport
	}
	if c.Timeout <= 0 {
		c.Timeout = defaultTimeout
	}
	insecure := map[string]bool{}
	for _, host := range c.Insecure {
		insecure[strings.ToLower(host)] = true
	}
	puller, err := remote.NewPuller(
		remote.WithTransport(&guard{next: c.Transport, insecure: insecure}),
		remote.WithAuthFromKeychain(&keychain{credentials: c.Credentials, docker: c.DockerConfig}),
		remote.WithRetryBackoff(remote.Backoff{Steps: 1}),
		remote.WithRetryStatusCodes(),
		remote.WithUserAgent("rung"),
	)
	if err != nil {
		return nil, fmt.Errorf("registry: %w", err)
	}
	return &Client{insecure: insecure, timeout: c.Timeout, puller: puller}, nil
}

// keychain finds credentials by host.
type keychain struct {
	credentials map[string]Credentials
	docker      bool
}

// Resolve is called by go-containerregistry with the registry's host.
func (k *keychain) Resolve(target authn.Resource) (authn.Authenticator, error) {
	if c, ok := k.credentials[target.RegistryStr()]; ok {
		return &authn.Basic{Username: c.Username, Password: c.Password}, nil
	}
	if c, ok := k.credentials["docker.io"]; ok && target.RegistryStr() == name.DefaultRegistry {
		return &authn.Basic{Username: c.Username, Password: c.Password}, nil
	}
	if k.docker {
		return authn.DefaultKeychain.Resolve(target)
	}
	return authn.Anonymous, nil
}

// guard refuses plain HTTP where it is not allowed and bounds answers.
type guard struct {
	next     http.RoundTripper
	insecure map[string]bool
}

// RoundTrip sends the request if it may go out.
func (g *guard) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL.Scheme != "https" && !g.allowed(req.URL) {
		if req.Body != nil {
			_ = req.Body.Close()
		}
		return nil, fmt.Errorf("plain HTTP to %s is not allowed: list the host as insecure if it has no TLS", req.URL.Host)
	}
	resp, err := g.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	resp.Body = &bounded{body: resp.Body, left: answerLimit}
	return resp, nil
}

func (g *guard) allowed(u *url.URL) bool {
	host := strings.ToLower(u.Hostname())
	if g.insecure[strings.ToLower(u.Host)] || g.insecure[host] || host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// bounded fails, rather than ends, when the body is too large.
type bounded struct {
	body io.ReadCloser
	left int64
}

// Read reads up to the bound.
func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, fmt.Errorf("the answer is larger than %d MiB", answerLimit>>20)
	}
	if int64(len(p)) > b.left {
		p = p[:b.left]
	}
	n, err := b.body.Read(p)
	b.left -= int64(n)
	return n, err
}

// Close closes the body.
func (b *bounded) Close() error { return b.body.Close() }

// repository parses an image's name: a repository without tag or digest.
func (c *Client) repository(image string) (name.Repository, error) {
	repo, err := name.NewRepository(image)
	if err != nil {
		return name.Repository{}, fmt.Errorf("registry: %q is not an image name: write registry/path without tag or digest", short(image))
	}
	host := strings.ToLower(repo.RegistryStr())
	bare, _, _ := strings.Cut(host, ":")
	if c.insecure[host] || c.insecure[bare] {
		repo, err = name.NewRepository(image, name.Insecure)
	}
	return repo, err
}

// Versions lists the image's tags that are versions by promotion's grammar, in
// the registry's order. More than limit tags are an error, never a short list;
// a limit of 0 is 50,000.
func (c *Client) Versions(ctx context.Context, image string, limit int) ([]promotion.Version, error) {
	op := "list the versions of " + short(image)
	repo, err := c.repository(image)
	if err != nil {
		return nil, err
	}
	if limit <= 0 {
		limit = defaultTags
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	lister, err := c.puller.Lister(ctx, repo)
	if err != nil {
		return nil, explain(op, err)
	}
	var versions []promotion.Version
	tags, pages := 0, 0
	for lister.HasNext() {
		page, err := lister.Next(ctx)
		if err != nil {
			return nil, explain(op, err)
		}
		tags += len(page.Tags)
		if pages++; tags > limit || pages > pageLimit {
			return nil, fmt.Errorf("registry: %s: more than %d tags or %d pages: refused rather than cut", op, limit, pageLimit)
		}
		for _, tag := range page.Tags {
			if v, err := promotion.ParseVersion(tag); err == nil {
				versions = append(versions, v)
			}
		}
	}
	return versions, nil
}

// Resolve finds the digest that a version stands for now, and, when it is an
// index of several platforms, the digests of its manifests. It reads the
// manifest with GET: the digest is that of the bytes.
func (c *Client) Resolve(ctx context.Context, image string, version promotion.Version) (promotion.Digest, []promotion.Digest, error) {
	op := fmt.Sprintf("resolve %s:%s", short(image), short(string(version)))
	repo, err := c.repository(image)
	if err != nil {
		return "", nil, err
	}
	tag, err := name.NewTag(repo.Name()+":"+string(version), tagOptions(repo)...)
	if err != nil || tag.TagStr() != string(version) {
		return "", nil, fmt.Errorf("registry: %s: %w: the version can't be a tag", op, ErrNotFound)
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	found, err := c.puller.Get(ctx, tag)
	if err != nil {
		return "", nil, explain(op, err)
	}
	children, err := childrenOf(found.Manifest, found.MediaType)
	if err != nil {
		return "", nil, fmt.Errorf("registry: %s: %w: %w", op, ErrUnreachable, err)
	}
	return digestOf(found.Manifest), children, nil
}

func tagOptions(repo name.Repository) []name.Option {
	if repo.Scheme() == "http" {
		return []name.Option{name.Insecure}
	}
	return nil
}

func digestOf(manifest []byte) promotion.Digest {
	sum := sha256.Sum256(manifest)
	return promotion.Digest("sha256:" + hex.EncodeToString(sum[:]))
}

// Exists reports whether the registry still serves a digest of the image. It
// reads the manifest itself, so that an answer by something else than a
// registry is not taken for yes: the bytes must have the digest. Only the
// registry's 404 is no.
func (c *Client) Exists(ctx context.Context, image string, digest promotion.Digest) (bool, error) {
	op := fmt.Sprintf("look for %s@%s", short(image), digest.Short())
	repo, err := c.repository(image)
	if err != nil {
		return false, err
	}
	if _, err := promotion.ParseDigest(string(digest)); err != nil {
		return false, fmt.Errorf("registry: %s: %w", op, err)
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	_, err = c.puller.Get(ctx, repo.Digest(string(digest)))
	if err == nil {
		return true, nil
	}
	failed := explain(op, err)
	if errors.Is(failed, ErrNotFound) {
		return false, nil
	}
	return false, failed
}

// childrenOf reads the manifests of an index. A document that could be read as
// an index and as an image is refused: two readers would see two things.
func childrenOf(manifest []byte, kind types.MediaType) ([]promotion.Digest, error) {
	var doc struct {
		SchemaVersion int             `json:"schemaVersion"`
		MediaType     types.MediaType `json:"mediaType"`
		Manifests     []struct {
			Digest string `json:"digest"`
		} `json:"manifests"`
		Config json.RawMessage `json:"config"`
		Layers json.RawMessage `json:"layers"`
	}
	if err := json.Unmarshal(manifest, &doc); err != nil {
		return nil, errors.New("the manifest is not JSON")
	}
	switch {
	case doc.SchemaVersion != 2:
		return nil, fmt.Errorf("the manifest has schema version %d, not 2", doc.SchemaVersion)
	case doc.Manifests != nil && (doc.Config != nil || doc.Layers != nil):
		return nil, errors.New("the manifest is an index and an image at once")
	case doc.MediaType != "" && doc.MediaType != kind:
		return nil, errors.New("the manifest says another media type than the registry")
	case kind.IsIndex() != (doc.Manifests != nil):
		return nil, errors.New("the manifest is not of the media type that the registry says")
	case len(doc.Manifests) > childLimit:
		return nil, fmt.Errorf("the index has more than %d manifests", childLimit)
	}
	var children []promotion.Digest
	for _, m := range doc.Manifests {
		d, err := promotion.ParseDigest(m.Digest)
		if err != nil {
			return nil, err
		}
		children = append(children, d)
	}
	return children, nil
}

// explain makes an error of this package, with nothing in it that the registry
// or a URL could have put there.
func explain(op string, err error) error {
	var answer *transport.Error
	if !errors.As(err, &answer) {
		return fmt.Errorf("registry: %s: %w: %s", op, ErrUnreachable, reason(err))
	}
	switch answer.StatusCode {
	case http.StatusNotFound:
		if !asked(answer.Request) {
			break // the host, or its token service, is no registry
		}
		return fmt.Errorf("registry: %s: %w", op, ErrNotFound)
	case http.StatusUnauthorized, http.StatusForbidden:
		return fmt.Errorf("registry: %s: %w (%d)", op, ErrUnauthorized, answer.StatusCode)
	}
	return fmt.Errorf("registry: %s: %w: it answered %d %s", op, ErrUnreachable, answer.StatusCode, http.StatusText(answer.StatusCode))
}

// asked reports whether the request was the one for the manifest or the tags,
// and not one on the way to it.
func asked(req *http.Request) bool {
	return req != nil && req.URL != nil && strings.HasPrefix(req.URL.Path, "/v2/") &&
		(strings.Contains(req.URL.Path, "/manifests/") || strings.HasSuffix(req.URL.Path, "/tags/list"))
}

// reason says why there is no answer, in words of this machine.
func reason(err error) string {
	var (
		dns  *net.DNSError
		dial *net.OpError
		long net.Error
	)
	switch {
	case errors.Is(err, context.Canceled):
		return "the call was given up"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &long) && long.Timeout():
		return "no answer in time"
	case errors.As(err, &dns):
		return "its name has no address"
	case strings.Contains(err.Error(), "plain HTTP"):
		return "plain HTTP to it is not allowed: list the host as insecure if it has no TLS"
	case strings.Contains(err.Error(), "does not match requested digest"):
		return "it answered with other bytes than the digest asked for"
	case strings.Contains(err.Error(), "x509"), strings.Contains(err.Error(), "tls:"):
		return "its TLS certificate is not accepted"
	case errors.As(err, &dial) && dial.Op == "dial":
		return "no connection"
	}
	return "the answer is not what a registry says"
}

func short(s string) string {
	if len(s) > 200 {
		return strings.ToValidUTF8(s[:200], "") + "…"
	}
	return s
}
