package forge

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"slices"
	"strings"
)

// refusals tells which permission a request that GitHub refused would have taken.
type refusals struct {
	client *Client
	next   http.RoundTripper
}

// notAccessible is what GitHub says when an App lacks a permission.
const notAccessible = "resource not accessible by integration"

// RoundTrip sends, and makes a *ForbiddenError of a refusal for lack of a permission.
func (t *refusals) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := t.next.RoundTrip(req)
	if err != nil || resp.StatusCode != http.StatusForbidden {
		return resp, err
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err != nil || !strings.Contains(strings.ToLower(string(body)), notAccessible) {
		rest := resp.Body
		resp.Body = struct {
			io.Reader
			io.Closer
		}{io.MultiReader(bytes.NewReader(body), rest), rest}
		return resp, nil //nolint:nilerr // whoever reads on meets it again
	}
	_ = resp.Body.Close()
	return nil, t.client.refused("Resource not accessible by integration", lacking(resp.Header.Get("X-Accepted-GitHub-Permissions"), t.client.granted()))
}

// granted is what the token in hand may do.
func (c *Client) granted() map[string]string {
	c.tokens.mu.Lock()
	defer c.tokens.mu.Unlock()
	return c.tokens.permissions
}

// refused is a refusal for lack of permissions.
func (c *Client) refused(message string, missing []string) *ForbiddenError {
	owner := c.app.owner(c.installation)
	return &ForbiddenError{Message: message, Missing: missing, Account: owner.Account, Page: owner.Page}
}

// lacking are the permissions that a grant lacks for a request. accepted is GitHub's
// header: alternatives with semicolons between them, each a list with commas, as in
// "pull_requests=write,contents=read; issues=write". The alternative that lacks least
// counts. Without the header it is what rung can't do without.
func lacking(accepted string, granted map[string]string) []string {
	if strings.TrimSpace(accepted) == "" {
		return MissingPermissions(granted)
	}
	var least []string
	for i, alternative := range strings.Split(accepted, ";") {
		var missing []string
		for _, need := range strings.Split(alternative, ",") {
			name, level, ok := strings.Cut(strings.TrimSpace(need), "=")
			if ok && permissionName(name) && ranks[level] > ranks[granted[name]] {
				missing = append(missing, name+": "+level)
			}
		}
		if i == 0 || len(missing) < len(least) {
			least = missing
		}
	}
	slices.Sort(least)
	return least
}

// permissionName reports whether a word can be a permission's name: it is shown to
// people.
func permissionName(s string) bool {
	return s != "" && len(s) <= 60 && !strings.ContainsFunc(s, func(r rune) bool { return (r < 'a' || r > 'z') && r != '_' })
}

// Lacking tells whether the installation was not granted a permission, such as
// "contents" at the level "write": a push through git says only that it is refused. nil:
// it was, or that is not known.
func (c *Client) Lacking(ctx context.Context, name, level string) *ForbiddenError {
	granted, err := c.Permissions(ctx)
	if err != nil || ranks[granted[name]] >= ranks[level] {
		return nil //nolint:nilerr // what is not known is not claimed
	}
	return c.refused("the push was not taken", []string{name + ": " + level})
}
