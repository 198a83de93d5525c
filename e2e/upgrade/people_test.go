package upgrade

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rungbot/rung/e2e/world"
	"github.com/rungbot/rung/internal/githubemu"
)

var environments = []string{"dev", "staging", "prod"}

const config = `version: 1
mode: merge
artifacts:
  checkout: {image: REGISTRY/checkout}
  web: {image: REGISTRY/web}
environments:
  dev: {}
  staging: {after: [dev], health: [{http: "HEALTH/{environment}", interval: 200ms}]}
  prod: {after: [staging], approvals: {required: 1}, health: [{http: "HEALTH/{environment}", interval: 200ms}]}
`

// cast is everybody but rung, and the rung that runs.
type cast struct {
	t *testing.T
	*world.World
	older, newer string
	settings     []string
	began        time.Time
	rung         *world.Process
	// absent is true while nobody approves.
	absent bool
}

// serve starts one of the two versions on the one data directory.
func (c *cast) serve(binary string) {
	c.t.Helper()
	c.Use(binary)
	c.rung = c.Serve("shared", c.settings...)
	c.Receive(c.rung)
}

// back starts the version before on what this version left. Where it refuses the data
// directory, because a schema step says that it breaks what was before, that directory is
// deleted, as the refusal says.
func (c *cast) back() {
	c.t.Helper()
	c.Use(c.older)
	rung, err := c.TryServe("shared", c.settings...)
	if err != nil && strings.Contains(err.Error(), "start the newer rung again") {
		c.t.Logf("going back costs the data directory: %v", err)
		c.rung.Forget()
		rung, err = c.TryServe("shared", c.settings...)
	}
	if err != nil {
		c.t.Fatal(err)
	}
	c.rung = rung
	c.Receive(rung)
}

// until waits for a state of the world, while everybody does what is asked of them.
func (c *cast) until(what string, cond func() bool) {
	c.t.Helper()
	c.Wait(what, func() bool { c.look(); return cond() }, func() string {
		log := strings.Split(c.rung.Log(), "\n")
		return c.Describe(environments...) + "\n" + strings.Join(log[max(0, len(log)-20):], "\n")
	})
}

// look lets alice merge the ledger's line, and bob approve what waits for an approval.
func (c *cast) look() {
	st := c.State()
	for _, pr := range st.Pulls {
		if pr.State != "open" {
			continue
		}
		title := ""
		for _, check := range st.Checks[pr.HeadSHA] {
			if check.Name == "rung" {
				title = check.Title
			}
		}
		approved := slices.ContainsFunc(pr.Reviews, func(r githubemu.ReviewState) bool { return r.SHA == pr.HeadSHA })
		var err error
		switch {
		case title == "":
		case pr.Head == "rung/onboard":
			_, err = c.Emulator.Merge(c.t.Context(), world.Repository, pr.Number, "alice", "merge")
		case title == "Waits for approval" && !approved && !c.absent:
			_, err = c.Emulator.Review(c.t.Context(), world.Repository, pr.Number, "bob", "APPROVE", "")
		}
		if err != nil {
			c.t.Logf("pull request %d: %v; tried again at the next look", pr.Number, err) // the world moved on meanwhile
		}
	}
}

// publish publishes a version and tells GitHub.
func (c *cast) publish(artifact, version string) {
	c.t.Helper()
	c.Publish(artifact, version)
	c.Dispatch(artifact, version)
}

// arrives waits until a version is live in prod, and good.
func (c *cast) arrives(artifact, version string) {
	c.t.Helper()
	c.until(artifact+" "+version+" is live in prod", func() bool {
		live := c.Live("prod", artifact)
		return len(live) > 0 && strings.HasSuffix(live[0], " "+version) && live[len(live)-1] == "settle "+version+" good"
	})
}

// recorded waits until the ledger has more than n records of a kind.
func (c *cast) recorded(kind string, n int) {
	c.t.Helper()
	c.until(fmt.Sprintf("%d records of kind %s", n+1, kind), func() bool { return c.count(kind) > n })
}

func (c *cast) count(kind string) int {
	n := 0
	for _, r := range c.Ledger() {
		if r.Kind == kind {
			n++
		}
	}
	return n
}

// pull is the newest pull request of a promotion into prod in a state; 0 for none.
func (c *cast) pull(artifact, state string) int {
	number := 0
	for _, pr := range c.State().Pulls {
		if pr.Head == "rung/p/prod/"+artifact && pr.State == state {
			number = max(number, pr.Number)
		}
	}
	return number
}

// say comments on a promotion, and waits for the record that follows.
func (c *cast) say(number int, who, words, kind string) {
	c.t.Helper()
	n := c.count(kind)
	if _, err := c.Emulator.Comment(c.t.Context(), world.Repository, number, who, words); err != nil {
		c.t.Fatal(err)
	}
	c.recorded(kind, n)
}

// push changes a file on main by hand.
func (c *cast) push(file string, change func(string) string) {
	c.t.Helper()
	text, there := c.Emulator.ReadFile(c.t.Context(), world.Repository, "main", file)
	if !there {
		c.t.Fatalf("there is no %s", file)
	}
	if _, err := c.Emulator.PushFiles(c.t.Context(), githubemu.Push{Repository: world.Repository, Person: "alice", Branch: "main", Message: "By hand", Files: map[string]string{file: change(text)}}); err != nil {
		c.t.Fatal(err)
	}
}

// run runs one of the two versions as a command; its code must be as wanted.
func (c *cast) run(code int, binary string, args ...string) string {
	c.t.Helper()
	cmd := exec.Command(binary, args...) // #nosec G204 -- the programs under test
	cmd.Dir, cmd.Env = c.Dir, append(os.Environ(), "HOME="+c.Dir)
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil || cmd.ProcessState.ExitCode() != code {
		c.t.Fatalf("%s %s: %v, want code %d\n%s", c.name(binary), strings.Join(args, " "), err, code, out)
	}
	return string(out)
}

func (c *cast) name(binary string) string {
	if binary == c.older {
		return "the version before"
	}
	return "this version"
}

// verify has both versions verify the history from its beginning, and with the one
// checkpoint that they write in turn; and each what the other bundled.
func (c *cast) verify(when string) {
	c.t.Helper()
	c.until("nothing is open", c.resting)
	c.Quiet()
	c.t.Logf("rung verify by both, %s: %d records, after %s", when, len(c.Ledger()), time.Since(c.began).Round(time.Second))
	bundles := map[string]string{}
	for _, binary := range []string{c.older, c.newer} {
		c.run(0, binary, "verify", "--recompute", c.Bare)
		c.run(0, binary, "verify", "--checkpoint", filepath.Join(c.Dir, "checkpoint"), c.Bare)
		bundles[binary] = filepath.Join(c.t.TempDir(), "evidence.tar")
		c.run(0, binary, "audit", "--bundle", bundles[binary], c.Bare)
	}
	c.run(0, c.older, "verify", bundles[c.newer])
	c.run(0, c.newer, "verify", bundles[c.older])
}

// document is the API's answer of the rung that runs: each field's path with its type.
func (c *cast) document() map[string]string {
	c.t.Helper()
	res, err := http.Get("http://" + c.rung.Addr + "/api/v1/state")
	if err != nil {
		c.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	var answer any
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil {
		c.t.Fatalf("/api/v1/state: %s, %v", res.Status, err)
	}
	all := map[string]string{}
	fields(answer, "", all)
	return all
}

// lost are the fields of a document that a later one lacks, or has with another type.
func lost(before, after map[string]string) []string {
	var all []string
	for path, is := range before {
		if after[path] != is {
			all = append(all, path)
		}
	}
	slices.Sort(all)
	return all
}

// fields collects the paths of a JSON document with their types; the elements of a list
// share one.
func fields(v any, path string, into map[string]string) {
	into[path] = fmt.Sprintf("%T", v)
	switch v := v.(type) {
	case map[string]any:
		for key, value := range v {
			fields(value, path+"."+key, into)
		}
	case []any:
		for _, value := range v {
			fields(value, path+"[]", into)
		}
	}
}
