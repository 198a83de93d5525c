package forge

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/go-github/v60/github"

	"github.com/rungbot/rung/internal/promotion"
)

// Bounds of lists. A list that is longer is an error, never a short list.
const (
	pageSize  = 100
	pageLimit = 100
	// redeliveryWindow is how long github.com keeps deliveries.
	redeliveryWindow = 72 * time.Hour
)

// Installation is one account that installed the App.
type Installation struct {
	ID int64
	// Account is the owner's login, and AccountID its number.
	Account   string
	AccountID int64
	Suspended bool
	// Permissions are what the owner granted, as GitHub names them, and Events
	// those that it sends for them.
	Permissions map[string]string
	Events      []string
	// Page is where the owner accepts what the App asks for.
	Page string
}

// installationShape is an installation in GitHub's words. go-github v60 leaves out
// permissions that came after it, such as merge_queues.
type installationShape struct {
	ID      int64 `json:"id"`
	Account struct {
		ID    int64  `json:"id"`
		Login string `json:"login"`
	} `json:"account"`
	SuspendedAt *time.Time        `json:"suspended_at"`
	Permissions map[string]string `json:"permissions"`
	Events      []string          `json:"events"`
	HTMLURL     string            `json:"html_url"`
}

// Installations lists where the App is installed, suspended ones included.
func (a *App) Installations(ctx context.Context) ([]Installation, error) {
	const op = "list installations"
	var all []Installation
	for number := 1; number <= pageLimit; {
		var page []installationShape
		resp, err := a.page(ctx, fmt.Sprintf("app/installations?per_page=%d&page=%d", pageSize, number), &page)
		if err != nil {
			return nil, translate(op, false, promotion.Repository{}, err)
		}
		for _, i := range page {
			all = append(all, Installation{
				ID: i.ID, Account: i.Account.Login, AccountID: i.Account.ID, Suspended: i.SuspendedAt != nil,
				Permissions: i.Permissions, Events: i.Events, Page: i.HTMLURL,
			})
		}
		if resp.NextPage == 0 {
			a.remember(all)
			return all, nil
		}
		number = resp.NextPage
	}
	return nil, tooLong(op)
}

// remember keeps who the owners are, and where they grant permissions.
func (a *App) remember(all []Installation) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, i := range all {
		a.owners[i.ID] = i
	}
}

// owner is an installation as it was last listed.
func (a *App) owner(installation int64) Installation {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.owners[installation]
}

// ErrTooMany is for a list that is longer than is read.
var ErrTooMany = errors.New("more")

func tooLong(op string) error {
	return fmt.Errorf("forge: %s: %w than %d pages: refused rather than cut", op, ErrTooMany, pageLimit)
}

// Repositories lists the repositories that an installation gives the App.
func (a *App) Repositories(ctx context.Context, installation int64) ([]promotion.Repository, error) {
	const op = "list the installation's repositories"
	c := a.Installation(installation)
	var all []promotion.Repository
	opts := &github.ListOptions{PerPage: pageSize}
	for range pageLimit {
		page, resp, err := c.rest.Apps.ListRepos(ctx, opts)
		if err != nil {
			return nil, translate(op, false, promotion.Repository{}, err)
		}
		for _, r := range page.Repositories {
			all = append(all, promotion.Repository{
				ID: r.GetID(), Installation: installation,
				Owner: r.GetOwner().GetLogin(), Name: r.GetName(), URL: r.GetHTMLURL(),
			})
		}
		if resp.NextPage == 0 {
			return all, nil
		}
		opts.Page = resp.NextPage
	}
	return nil, tooLong(op)
}

// RepositoryInstallation finds the installation that has a repository.
func (a *App) RepositoryInstallation(ctx context.Context, owner, name string) (int64, error) {
	i, _, err := a.rest.Apps.FindRepositoryInstallation(ctx, owner, name)
	if err != nil {
		return 0, translate("find the installation of "+owner+"/"+name, false, promotion.Repository{Owner: owner, Name: name}, err)
	}
	return i.GetID(), nil
}

// Delivery is one attempt to deliver a webhook, as GitHub recorded it.
type Delivery struct {
	// ID is the attempt's number; GUID the event's, equal for redeliveries.
	ID          int64
	GUID        string
	DeliveredAt time.Time
	Redelivery  bool
	// StatusCode is what the receiver answered; 0 when it did not.
	StatusCode   int
	Event        string
	Action       string
	Installation int64
	Repository   int64
}

// OK reports whether the receiver took it.
func (d Delivery) OK() bool { return d.StatusCode >= 200 && d.StatusCode < 300 }

// Deliveries lists the App's deliveries at or after since, newest first. Since
// may lie no more than the 3 days back that GitHub keeps; earlier is cut to
// that.
func (a *App) Deliveries(ctx context.Context, since time.Time) ([]Delivery, error) {
	const op = "list deliveries"
	since = later(since, a.config.Now().Add(-redeliveryWindow))
	var all []Delivery
	opts := &github.ListCursorOptions{PerPage: pageSize}
	for range pageLimit {
		page, resp, err := a.rest.Apps.ListHookDeliveries(ctx, opts)
		if err != nil {
			return nil, translate(op, false, promotion.Repository{}, err)
		}
		for _, d := range page {
			if d.GetDeliveredAt().Before(since) {
				return all, nil
			}
			all = append(all, deliveryOf(d))
		}
		if resp.Cursor == "" || resp.Cursor == opts.Cursor {
			return all, nil
		}
		opts.Cursor = resp.Cursor
	}
	return nil, tooLong(op)
}

func deliveryOf(d *github.HookDelivery) Delivery {
	return Delivery{
		ID: d.GetID(), GUID: d.GetGUID(), DeliveredAt: d.GetDeliveredAt().Time, Redelivery: d.GetRedelivery(),
		StatusCode: d.GetStatusCode(), Event: d.GetEvent(), Action: d.GetAction(),
		Installation: d.GetInstallationID(), Repository: d.GetRepositoryID(),
	}
}

// DeliveryPayload reads one delivery with the JSON that was sent.
func (a *App) DeliveryPayload(ctx context.Context, id int64) (Delivery, []byte, error) {
	d, _, err := a.rest.Apps.GetHookDelivery(ctx, id)
	if err != nil {
		return Delivery{}, nil, translate(fmt.Sprintf("read delivery %d", id), false, promotion.Repository{}, err)
	}
	if d.Request == nil || d.Request.RawPayload == nil {
		return Delivery{}, nil, fmt.Errorf("forge: read delivery %d: GitHub no longer has its payload", id)
	}
	return deliveryOf(d), *d.Request.RawPayload, nil
}

// Redeliver asks GitHub to send a delivery again. The receiver drops what it
// has seen, so it may be asked twice.
func (a *App) Redeliver(ctx context.Context, id int64) error {
	_, _, err := a.rest.Apps.RedeliverHookDelivery(ctx, id)
	var accepted *github.AcceptedError
	if errors.As(err, &accepted) {
		return nil
	}
	return translate(fmt.Sprintf("redeliver %d", id), true, promotion.Repository{}, err)
}
