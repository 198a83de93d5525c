package forge

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/google/go-github/v60/github"

	"github.com/rungbot/rung/internal/promotion"
)

// Answer is how a server answers somebody whom it does not know.
type Answer struct {
	Status int
	// Date is the server's clock, zero where it does not show it, and Here the
	// clock of this process at that moment.
	Date, Here time.Time
	// GitHub tells whether it answers as GitHub does.
	GitHub bool
}

// Knock asks the server something that needs no credentials and costs nothing: who
// it is, and what time it is there.
func (a *App) Knock(ctx context.Context) (Answer, error) {
	const op = "reach GitHub"
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, a.api.JoinPath("rate_limit").String(), http.NoBody)
	if err != nil {
		return Answer{}, fmt.Errorf("forge: %s: %w", op, err)
	}
	req.Header.Set("User-Agent", a.config.UserAgent)
	sent := a.config.Now()
	resp, err := a.httpClient(a.wire()).Do(req)
	if err != nil {
		return Answer{}, translate(op, false, promotion.Repository{}, err)
	}
	defer func() { _ = resp.Body.Close() }()
	if _, err := io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<20)); err != nil {
		return Answer{}, translate(op, false, promotion.Repository{}, err)
	}
	out := Answer{Status: resp.StatusCode, GitHub: resp.Header.Get("X-Github-Request-Id") != ""}
	if date, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		out.Date, out.Here = date, sent.Add(a.config.Now().Sub(sent)/2)
	}
	return out, nil
}

// Registration is the App as GitHub knows it.
type Registration struct {
	ID   int64
	Slug string
	// Permissions and Events are what the App asks its installations for.
	Permissions map[string]string
	Events      []string
	// Settings is the page on which its owner changes them.
	Settings string
}

// Registration reads the App.
func (a *App) Registration(ctx context.Context) (Registration, error) {
	var app struct {
		ID    int64  `json:"id"`
		Slug  string `json:"slug"`
		Owner struct {
			Login string `json:"login"`
			Type  string `json:"type"`
		} `json:"owner"`
		Permissions map[string]string `json:"permissions"`
		Events      []string          `json:"events"`
	}
	if err := a.get(ctx, "app", &app); err != nil {
		return Registration{}, translate("read the App", false, promotion.Repository{}, err)
	}
	out := Registration{ID: app.ID, Slug: app.Slug, Permissions: app.Permissions, Events: app.Events}
	out.Settings = a.config.WebURL + "/settings/apps/" + url.PathEscape(app.Slug)
	if app.Owner.Type == "Organization" {
		out.Settings = a.config.WebURL + "/organizations/" + url.PathEscape(app.Owner.Login) + "/settings/apps/" + url.PathEscape(app.Slug)
	}
	return out, nil
}

// Hook says where GitHub sends the App's webhooks.
type Hook struct {
	URL string `json:"url"`
	// ContentType is json or form.
	ContentType string `json:"content_type"`
	// Insecure tells that GitHub does not check the receiver's certificate.
	Insecure bool `json:"-"`
	// Signed tells that a secret is set.
	Signed bool `json:"-"`
}

// Hook reads where the App's webhooks go. ErrNotFound: it has no webhook.
func (a *App) Hook(ctx context.Context) (Hook, error) {
	var answer struct {
		Hook
		InsecureSSL json.RawMessage `json:"insecure_ssl"` // "0", "1", or a number
		Secret      string          `json:"secret"`
	}
	if err := a.get(ctx, "app/hook/config", &answer); err != nil {
		return Hook{}, translate("read the webhook's configuration", false, promotion.Repository{}, err)
	}
	answer.Insecure = string(answer.InsecureSSL) == `"1"` || string(answer.InsecureSSL) == "1"
	answer.Signed = answer.Secret != ""
	return answer.Hook, nil
}

// NewestDeliveries lists the App's newest deliveries, newest first, at most a
// hundred: one request.
func (a *App) NewestDeliveries(ctx context.Context) ([]Delivery, error) {
	page, _, err := a.rest.Apps.ListHookDeliveries(ctx, &github.ListCursorOptions{PerPage: pageSize})
	if err != nil {
		return nil, translate("list deliveries", false, promotion.Repository{}, err)
	}
	out := make([]Delivery, len(page))
	for i, d := range page {
		out[i] = deliveryOf(d)
	}
	return out, nil
}

// get reads one document as the App.
func (a *App) get(ctx context.Context, path string, into any) error {
	_, err := a.page(ctx, path, into)
	return err
}

// page reads one page of a list as the App.
func (a *App) page(ctx context.Context, path string, into any) (*github.Response, error) {
	req, err := a.rest.NewRequest(http.MethodGet, path, nil)
	if err != nil {
		return nil, err
	}
	return a.rest.Do(ctx, req, into)
}

// Quota is what an installation may still ask in this hour.
type Quota struct {
	// Unlimited is true for a server that keeps no limits.
	Unlimited     bool
	Core, GraphQL QuotaOf
}

// QuotaOf is one kind of requests.
type QuotaOf struct {
	Limit, Remaining int
	Reset            time.Time
}

// Quota reads the installation's limits; that costs nothing of them.
func (c *Client) Quota(ctx context.Context) (Quota, error) {
	type row struct {
		Limit     int   `json:"limit"`
		Remaining int   `json:"remaining"`
		Reset     int64 `json:"reset"`
	}
	var answer struct {
		Resources map[string]row `json:"resources"`
	}
	err := c.getJSON(ctx, "rate_limit", &answer)
	failed := translate("read the rate limit", false, promotion.Repository{}, err)
	if errors.Is(failed, ErrNotFound) {
		return Quota{Unlimited: true}, nil // an Enterprise Server without limits
	}
	if failed != nil {
		return Quota{}, failed
	}
	of := func(name string) QuotaOf {
		r := answer.Resources[name]
		return QuotaOf{Limit: r.Limit, Remaining: r.Remaining, Reset: time.Unix(r.Reset, 0).UTC()}
	}
	return Quota{Core: of("core"), GraphQL: of("graphql")}, nil
}
