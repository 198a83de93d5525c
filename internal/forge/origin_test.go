package forge_test

import (
	"testing"
	"time"

	"github.com/rungbot/rung/internal/forge"
	"github.com/rungbot/rung/internal/githubemu"
	"github.com/rungbot/rung/internal/promotion"
)

// pulled opens a pull request of bob's with a commit for each text, and has it
// merged by ann. It returns main's new commits, oldest first, and the number.
func (e *emulated) pulled(branch, method string, texts ...string) ([]promotion.Hash, int) {
	e.t.Helper()
	for _, text := range texts {
		e.push(branch, text)
	}
	number, err := e.s.OpenPull(e.t.Context(), shop, "bob", branch, "main", "by hand", "")
	e.ok(err)
	sha, err := e.s.Merge(e.t.Context(), shop, number, "ann", method)
	e.ok(err)
	return []promotion.Hash{promotion.Hash(sha)}, number
}

func TestHowACommitCameToABranch(t *testing.T) {
	e := newEmulated(t)
	pushed := e.push("main", "image: shop:3\n")
	merged, merge := e.pulled("one", "", "image: shop:4\n")
	squashed, squash := e.pulled("two", "squash", "image: shop:5\n", "image: shop:6\n")
	rebased, rebase := e.pulled("three", "rebase", "image: shop:7\n", "image: shop:8\n")
	all := append(append(append([]promotion.Hash{pushed}, merged...), squashed...), rebased...)
	ask := func() map[promotion.Hash]forge.Origin {
		found, err := e.client.Origins(t.Context(), e.repo, "main", all)
		e.ok(err)
		return found
	}
	found := ask()
	for i, want := range []struct {
		number int
		login  string
	}{{0, "bob"}, {merge, "ann"}, {squash, "ann"}, {rebase, "ann"}} {
		if o := found[all[i]]; o.PullRequest != want.number || o.Pusher.Login != want.login || o.Pusher.ID == 0 {
			t.Errorf("%d: %+v, want %+v", i, o, want)
		}
	}
	_, err := e.s.AddFault(githubemu.Fault{Kind: githubemu.FaultBadGatewayBefore, Route: "GET /repos/{owner}/{repo}/activity", Times: -1})
	e.ok(err)
	if _, err := e.client.Origins(t.Context(), e.repo, "main", all); err == nil {
		t.Error("a server that does not answer says nothing, and is no error")
	}
	e.s.ClearFaults()
	// What the App may not read is not known, and no error.
	e.ok(e.s.SetPermissions("acme", map[string]string{"metadata": "read", "pull_requests": "read"}))
	e.advance(2 * time.Hour)
	if o := ask()[all[1]]; o.PullRequest != merge || o.Pusher != (promotion.Person{}) {
		t.Errorf("without the list of activities: %+v", o)
	}
}
