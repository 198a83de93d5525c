package kill

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/rungbot/rung/e2e/world"
	"github.com/rungbot/rung/internal/githubemu"
)

// pairConfig has two artifacts in one file of each environment.
const pairConfig = `version: 1
mode: merge
artifacts:
  cart: {image: REGISTRY/cart}
  checkout: {image: REGISTRY/checkout}
environments:
  dev: {}
  prod: {after: [dev]}
`

// pair plays two artifacts that climb side by side, of which one comes back.
type pair struct {
	t *testing.T
	*world.World
	published, said bool
}

func (c *pair) act() bool {
	c.t.Helper()
	st := c.State()
	pinned, open := false, 0
	for _, pr := range st.Pulls {
		pinned = pinned || pr.Head == "rung/onboard" && pr.State == "merged"
		if pr.State != "open" {
			continue
		}
		open++
		title, ci := "", false
		for _, check := range st.Checks[pr.HeadSHA] {
			if check.Name == "rung" {
				title = check.Title
			}
			ci = ci || check.Name == "ci"
		}
		switch {
		case title == "", strings.Contains(title, "head"):
		case !ci:
			_ = c.Emulator.ReportStatus(c.t.Context(), githubemu.CheckReport{Repository: world.Repository, App: "ci", SHA: pr.HeadSHA, Name: "ci", State: "success"}) // or at the next look
		case pr.Head == "rung/onboard":
			_, _ = c.Emulator.Merge(c.t.Context(), world.Repository, pr.Number, "alice", "merge") // likewise
		}
	}
	if pinned && !c.published {
		c.published = true
		for _, artifact := range []string{"cart", "checkout"} {
			c.Publish(artifact, "1.1.0")
			c.Dispatch(artifact, "1.1.0")
		}
	}
	live := func(artifact string) string { return strings.Join(c.Live("prod", artifact), ", ") }
	if !c.said && live("cart") == "land 1.1.0, settle 1.1.0 good" && live("checkout") == "land 1.1.0, settle 1.1.0 good" {
		for _, pr := range st.Pulls {
			if pr.Head == "rung/p/prod/cart" && pr.State == "merged" && !c.said {
				if _, err := c.Emulator.Comment(c.t.Context(), world.Repository, pr.Number, "bob", "/rollback"); err != nil {
					c.t.Fatal(err)
				}
				c.said = true
			}
		}
	}
	return open == 0 && live("cart") == "land 1.0.0, settle 1.0.0 good" && live("checkout") == "land 1.1.0, settle 1.1.0 good"
}

// story is what must be equal of two artifacts in one file. Which of them was
// first, and had the other's head made anew, is left out: a propose or authorize
// that says again what was said since the last landing.
func (c *pair) story() string {
	var lines []string
	told := map[string]bool{}
	for _, r := range c.Ledger() {
		switch {
		case r.Kind == "withdraw", told[r.String()]:
			continue
		case r.Kind == "propose", r.Kind == "authorize":
			told[r.String()] = true
		case r.Kind == "land":
			delete(told, "propose "+r.Subject)
			delete(told, "authorize "+r.Subject)
		}
		lines = append(lines, r.String())
	}
	slices.SortStableFunc(lines, func(a, b string) int { return strings.Compare(pairOf(a), pairOf(b)) })
	promotions := c.Promotions()
	brought := make([]string, len(promotions))
	for i, r := range promotions {
		brought[i] = r.Subject
	}
	slices.Sort(brought)
	return fmt.Sprintf("%s%s\n%s\n%s", c.File("dev"), c.File("prod"), strings.Join(lines, "\n"), strings.Join(brought, "\n"))
}

// pairOf is the environment and artifact of a line such as "land prod/cart@…".
func pairOf(line string) string {
	_, subject, _ := strings.Cut(line, " ")
	pair, _, _ := strings.Cut(subject, "@")
	return pair
}

// TestTwoArtifactsInOneFileKilled kills rung while two artifacts climb side by
// side in the same files: each lands once, and the one that is rolled back takes
// nothing of the other with it.
func TestTwoArtifactsInOneFileKilled(t *testing.T) {
	both := func(t *testing.T, at *point) (string, []string) {
		t.Helper()
		return play(t, at, world.Options{Config: pairConfig, Artifacts: []string{"cart", "checkout"}}, func(w *world.World) actor { return &pair{t: t, World: w} })
	}
	want, writes := both(t, nil)
	var some []point
	for i, at := range points(len(writes), true) {
		if all() || i%20 == 9 {
			some = append(some, at)
		}
	}
	t.Logf("%d writes, rung was killed %d times", len(writes), disturb(t, want, len(writes), some, both))
}
