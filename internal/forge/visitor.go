package forge

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"

	"github.com/rungbot/rung/internal/settings"
)

// Visitor asks a GitHub server what it tells those who have no credentials: who it
// is, and the keys of an App that was just made from a manifest. Its errors are
// sentences for people that name the host; none carries a code or a secret. It
// may be used from several goroutines.
type Visitor struct {
	api  *url.URL
	http *http.Client
}

// NewVisitor makes a Visitor. API is the root of the REST API, with a trailing
// slash. A nil transport is http.DefaultTransport.
func NewVisitor(api string, transport http.RoundTripper) (*Visitor, error) {
	u, err := url.Parse(api)
	if err != nil || u.Host == "" {
		return nil, errors.New("the address of GitHub's API is not one")
	}
	return &Visitor{api: u, http: &http.Client{
		Transport: transport, Timeout: requestTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// Version asks which GitHub Enterprise Server this is, as in "3.18.0"; it is empty
// for github.com and ghe.com. A server that is not GitHub is an error.
func (v *Visitor) Version(ctx context.Context) (string, error) {
	a, err := v.ask(ctx, http.MethodGet, "meta")
	if err != nil {
		return "", err
	}
	var meta struct {
		Installed string `json:"installed_version"`
	}
	// A server in private mode, or one that has had enough of us, refuses: its
	// headers tell all the same.
	refuses := a.status == http.StatusUnauthorized || a.status == http.StatusForbidden || a.status == http.StatusTooManyRequests
	if a.header.Get("X-GitHub-Request-Id") == "" || a.status != http.StatusOK && !refuses {
		return "", fmt.Errorf("%s does not answer as GitHub's API does (status %d): is it a GitHub server, and is this its address?", v.api.Host, a.status)
	}
	if a.status == http.StatusOK {
		if err := json.Unmarshal(a.body, &meta); err != nil {
			return "", v.strange(a)
		}
	}
	if meta.Installed == "" {
		meta.Installed = strings.TrimPrefix(a.header.Get("X-GitHub-Enterprise-Version"), "enterprise-server@")
	}
	return meta.Installed, nil
}

// AccountType is "User" or "Organization", "" where there is no account of that
// name, and "unknown" where the server tells nobody without a login.
func (v *Visitor) AccountType(ctx context.Context, login string) (string, error) {
	a, err := v.ask(ctx, http.MethodGet, "users/"+url.PathEscape(login))
	if err != nil {
		return "", err
	}
	if a.status == http.StatusNotFound {
		return "", nil
	}
	account := struct{ Type string }{Type: "unknown"}
	if a.status == http.StatusOK {
		if err := json.Unmarshal(a.body, &account); err != nil {
			return "", v.strange(a)
		}
	}
	return account.Type, nil
}

// NewApp is an App that was just made from a manifest.
type NewApp struct {
	ID         int64
	Slug, Name string
	// Owner is the login of the account that owns it.
	Owner string
	// URL is its page.
	URL string
	// Permissions are those that it has, as GitHub names them.
	Permissions map[string]string
	// PrivateKey is PEM. GitHub gives it this once.
	PrivateKey settings.Secret
	// WebhookSecret is empty when the App has no webhook.
	WebhookSecret settings.Secret
}

// ErrCodeSpent says that GitHub does not take the code of a manifest: it is more
// than an hour old, was exchanged before, or is none of its own.
var ErrCodeSpent = errors.New("GitHub does not take this code: it was used before, is more than an hour old, or comes from another server")

// NewApp exchanges the code that GitHub gave for a manifest; GitHub does so once.
// ErrCodeSpent is final; after any other error the same code can be tried again.
func (v *Visitor) NewApp(ctx context.Context, code string) (NewApp, error) {
	a, err := v.ask(ctx, http.MethodPost, "app-manifests/"+url.PathEscape(code)+"/conversions")
	if err != nil {
		return NewApp{}, err
	}
	switch {
	case a.status == http.StatusNotFound || a.status == http.StatusUnprocessableEntity:
		return NewApp{}, ErrCodeSpent
	case a.status == http.StatusUnauthorized:
		return NewApp{}, fmt.Errorf("%s wants a login before it hands out the App's keys (%s): try again; if it stays so, the server lets no App be made from a manifest, and the App has to be registered by hand", v.api.Host, a.message())
	case a.status == http.StatusForbidden || a.status == http.StatusTooManyRequests:
		return NewApp{}, fmt.Errorf("%s refuses (%s): wait until its limit is over, but not longer than an hour, and try again", v.api.Host, a.message())
	case a.status/100 != 2:
		return NewApp{}, fmt.Errorf("%s answers with status %d (%s): try again", v.api.Host, a.status, a.message())
	}
	var made struct {
		ID            int64
		Slug, Name    string
		Owner         struct{ Login string }
		URL           string `json:"html_url"`
		Permissions   map[string]string
		PrivateKey    string `json:"pem"`
		WebhookSecret string `json:"webhook_secret"`
	}
	if err := json.Unmarshal(a.body, &made); err != nil || made.ID <= 0 || made.Slug == "" {
		return NewApp{}, v.strange(a)
	}
	if err := checkPrivateKey(made.PrivateKey); err != nil {
		return NewApp{}, fmt.Errorf("%s made the App %s (number %d), and %w", v.api.Host, made.Slug, made.ID, err)
	}
	return NewApp{
		ID: made.ID, Slug: made.Slug, Name: made.Name, Owner: made.Owner.Login, URL: made.URL, Permissions: made.Permissions,
		PrivateKey: settings.NewSecret(strings.TrimSpace(made.PrivateKey) + "\n"), WebhookSecret: settings.NewSecret(made.WebhookSecret),
	}, nil
}

// checkPrivateKey wants an RSA key in PEM. Its error shows nothing of the key.
func checkPrivateKey(text string) error {
	unreadable := errors.New("gave no RSA key for it: make one on the App's settings page")
	block, rest := pem.Decode([]byte(text))
	if block == nil || len(bytes.TrimSpace(rest)) > 0 {
		return unreadable
	}
	if _, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
		return nil
	}
	if _, err := x509.ParsePKCS8PrivateKey(block.Bytes); err == nil {
		return nil
	}
	return unreadable
}

// visitorLimit bounds an answer to a Visitor.
const visitorLimit = 1 << 20

// heard is an answer in JSON, whatever its status.
type heard struct {
	status int
	header http.Header
	body   []byte
}

// message is GitHub's own word for a refusal, shortened.
func (a heard) message() string {
	var said struct{ Message string }
	if json.Unmarshal(a.body, &said) != nil || said.Message == "" {
		return http.StatusText(a.status)
	}
	return fmt.Sprintf("%.120q", said.Message)
}

// ask sends one request and reads the answer. The path is no part of an error: a
// code may be in it.
func (v *Visitor) ask(ctx context.Context, method, path string) (heard, error) {
	req, err := http.NewRequestWithContext(ctx, method, v.api.String()+path, http.NoBody)
	if err != nil {
		return heard{}, errors.New("the address of GitHub's API is not one")
	}
	req.Header.Set("Accept", "application/vnd.github+json")
	req.Header.Set("User-Agent", "rung")
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := v.http.Do(req)
	if err != nil {
		return heard{}, v.unreachable(err)
	}
	defer func() { _ = resp.Body.Close() }() // only read
	body, err := io.ReadAll(io.LimitReader(resp.Body, visitorLimit+1))
	switch {
	case err != nil:
		return heard{}, v.unreachable(err)
	case len(body) > visitorLimit:
		return heard{}, fmt.Errorf("%s answers with more than a MiB: is it a GitHub server?", v.api.Host)
	}
	a := heard{resp.StatusCode, resp.Header, body}
	if to, err := resp.Location(); err == nil && resp.StatusCode/100 == 3 {
		return a, fmt.Errorf("%s sends us on to %.200q: is that the server's address?", v.api.Host, to.Scheme+"://"+to.Host)
	}
	if kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); kind != "application/json" && kind != "application/vnd.github+json" {
		return a, v.strange(a)
	}
	return a, nil
}

// strange says that an answer is not what GitHub's API says.
func (v *Visitor) strange(a heard) error {
	kind, _, _ := mime.ParseMediaType(a.header.Get("Content-Type"))
	if kind == "text/html" {
		kind = "a web page"
	}
	return fmt.Errorf("%s answers with %.60s (status %d), not as GitHub's API does: is it a GitHub server, and does no proxy stand between?", v.api.Host, kind, a.status)
}

// unreachable says why there was no answer, without the request's address.
func (v *Visitor) unreachable(err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	host := v.api.Host
	var (
		name     *net.DNSError
		verify   *tls.CertificateVerificationError
		protocol tls.RecordHeaderError
		timeout  net.Error
	)
	switch {
	case errors.Is(err, context.Canceled):
		return err
	case errors.As(err, &name):
		return fmt.Errorf("there is no host %.200q that this machine knows: is the address right, and can this machine look names up?", name.Name)
	case errors.As(err, &verify):
		return fmt.Errorf("the certificate of %s is not trusted here (%w): add its authority to this machine, or name it in SSL_CERT_FILE", host, verify.Err)
	case errors.As(err, &protocol) || strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		return fmt.Errorf("%s does not speak TLS there: is the port right?", host)
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("nothing listens at %s (connection refused): is the address right, and does no firewall stand between?", host)
	case errors.As(err, &timeout) && timeout.Timeout():
		return fmt.Errorf("%s does not answer within %s: does this machine need a proxy (HTTPS_PROXY)?", host, requestTimeout)
	}
	return fmt.Errorf("%s can't be reached: %w", host, err)
}
