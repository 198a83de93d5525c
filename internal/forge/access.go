package forge

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/go-github/v60/github"

	"github.com/rungbot/rung/internal/promotion"
)

// accessEntries bounds an AccessCache; a full one is emptied.
const accessEntries = 4096

// AccessCache remembers what people may do, for a short while. Errors are not
// remembered.
type AccessCache struct {
	ttl time.Duration
	now func() time.Time

	mu      sync.Mutex
	entries map[string]accessEntry
}

type accessEntry struct {
	value string
	until time.Time
}

// NewAccessCache makes a cache whose entries live for ttl by the clock now.
func NewAccessCache(ttl time.Duration, now func() time.Time) *AccessCache {
	return &AccessCache{ttl: ttl, now: now, entries: map[string]accessEntry{}}
}

// Forget empties the cache: a person's rights may have changed.
func (a *AccessCache) Forget() {
	a.mu.Lock()
	defer a.mu.Unlock()
	clear(a.entries)
}

func (a *AccessCache) get(key string) (string, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	e, ok := a.entries[key]
	return e.value, ok && a.now().Before(e.until)
}

func (a *AccessCache) put(key, value string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.entries) >= accessEntries {
		clear(a.entries)
	}
	a.entries[key] = accessEntry{value: value, until: a.now().Add(a.ttl)}
}

// ForgetAccess makes the next Access ask GitHub again.
func (c *Client) ForgetAccess() { c.access.Forget() }

// Access reads what a person may do in the repository, and in which of teams
// ("org/slug") they are an active member. Somebody GitHub does not know there
// has the permission none. Whatever could not be read is in Access.Error, and
// then never counts. Answers are up to a minute old.
func (c *Client) Access(ctx context.Context, repo promotion.Repository, person promotion.Person, teams []string) promotion.Access {
	var access promotion.Access
	var problems []string
	permission, err := c.permission(ctx, repo, person)
	if err != nil {
		problems = append(problems, err.Error())
	} else {
		access.Permission = permission
	}
	for _, team := range slices.Compact(slices.Sorted(slices.Values(teams))) {
		member, err := c.member(ctx, person.Login, team)
		switch {
		case err != nil:
			problems = append(problems, err.Error())
		case member:
			access.Teams = append(access.Teams, team)
		}
	}
	access.Error = cut(strings.Join(problems, "; "), 1000)
	return access
}

// level is the part of GitHub's permission answer that decides.
type level struct {
	Permission string `json:"permission"`
	RoleName   string `json:"role_name"`
	User       *struct {
		ID          int64           `json:"id"`
		Login       string          `json:"login"`
		Permissions map[string]bool `json:"permissions"`
	} `json:"user"`
}

func (c *Client) permission(ctx context.Context, repo promotion.Repository, person promotion.Person) (string, error) {
	op := fmt.Sprintf("read the permission of %s in %s", person.Login, repo.FullName())
	if person.Login == "" {
		return "", fmt.Errorf("forge: %s: the account has no login", op)
	}
	key := fmt.Sprintf("p %d %s %d %s", repo.ID, repo.FullName(), person.ID, strings.ToLower(person.Login))
	if known, ok := c.access.get(key); ok {
		return known, nil
	}
	var answer level
	err := c.getJSON(ctx, fmt.Sprintf("repos/%s/%s/collaborators/%s/permission", repo.Owner, repo.Name, url.PathEscape(person.Login)), &answer)
	failed := translate(op, false, repo, err)
	switch {
	case errors.Is(failed, ErrNotFound):
		answer.Permission = "none"
	case failed != nil:
		return "", failed
	case answer.User != nil && person.ID != 0 && answer.User.ID != 0 && answer.User.ID != person.ID:
		return "", fmt.Errorf("forge: %s: the login belongs to another account now", op)
	}
	permission := baseRole(answer)
	if permission == "" {
		return "", fmt.Errorf("forge: %s: GitHub's answer %q is not understood", op, cut(answer.Permission, 40))
	}
	c.access.put(key, permission)
	return permission, nil
}

// baseRole is one of none, read, triage, write, maintain, admin, or empty for
// an answer that is not understood. A custom role counts as the role it is
// built on; the legacy permission field bounds what is believed.
func baseRole(l level) string {
	atMost := map[string][]string{
		"none": {"none"}, "read": {"read", "triage"}, "write": {"write", "maintain"}, "admin": {"admin"},
	}
	legacy, known := atMost[l.Permission]
	switch {
	case !known && slices.Contains([]string{"triage", "maintain"}, l.Permission):
		return l.Permission
	case !known:
		return ""
	case slices.Contains(legacy, l.RoleName):
		return l.RoleName
	}
	if l.User != nil {
		if l.Permission == "write" && l.User.Permissions["maintain"] {
			return "maintain"
		}
		if l.Permission == "read" && l.User.Permissions["triage"] {
			return "triage"
		}
	}
	return l.Permission
}

// member reports active membership; an invitation does not count.
func (c *Client) member(ctx context.Context, login, team string) (bool, error) {
	op := fmt.Sprintf("read whether %s is in team %s", login, team)
	org, slug, ok := strings.Cut(team, "/")
	if !ok || org == "" || slug == "" || strings.Contains(slug, "/") {
		return false, fmt.Errorf("forge: %s: a team is written org/slug", op)
	}
	key := "t " + strings.ToLower(team+" "+login)
	if known, ok := c.access.get(key); ok {
		return known == "active", nil
	}
	membership, _, err := c.rest.Teams.GetTeamMembershipBySlug(ctx, org, url.PathEscape(slug), url.PathEscape(login))
	failed := translate(op, false, promotion.Repository{}, err)
	if failed != nil && !errors.Is(failed, ErrNotFound) {
		return false, failed
	}
	state := "none"
	if failed == nil {
		state = membership.GetState()
	}
	c.access.put(key, state)
	return state == "active", nil
}

// getJSON reads one document whose shape go-github does not have.
func (c *Client) getJSON(ctx context.Context, path string, into any) error {
	_, err := c.getPage(ctx, path, into)
	return err
}

func (c *Client) getPage(ctx context.Context, path string, into any) (*github.Response, error) {
	req, err := c.rest.NewRequest(http.MethodGet, path, nil)
	if err != nil {
		return nil, err
	}
	return c.rest.Do(ctx, req, into)
}
