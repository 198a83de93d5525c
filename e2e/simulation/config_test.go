package simulation

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// artifacts are what climbs. Both stand in one file of most environments.
var artifacts = []string{"checkout", "cart"}

// config is rung.yaml as the simulation writes it.
type config struct {
	Mode     string
	Coalesce string
	Envs     []environment
	// Broken makes it invalid in one of several ways; 0 is valid.
	Broken int
}

type environment struct {
	Name      string
	After     []string
	Soak      string
	Approvals int
	Health    bool
	Auto      bool
	Supersede string
	Merge     string
	Manual    string
}

func randomConfig(r *rand.Rand) *config {
	pick := func(of ...string) string { return of[r.IntN(len(of))] }
	c := &config{Mode: pick("merge", "merge", "merge", "merge", "merge", "propose", "observe"), Coalesce: pick("0s", "0s", "10s")}
	c.Envs = []environment{
		{Name: "dev"},
		{Name: "staging", After: []string{"dev"}},
		{Name: "prod", After: []string{"staging"}, Approvals: 1},
	}
	if r.IntN(3) == 0 {
		c.Envs = append(c.Envs, environment{Name: "prod-us", After: []string{"staging"}, Approvals: r.IntN(3)})
	}
	if r.IntN(4) == 0 {
		c.Envs[2].After = []string{"dev", "staging"}
	}
	for i := range c.Envs {
		e := &c.Envs[i]
		e.Soak = pick("", "", "30s", "2m", "6m")
		e.Health = r.IntN(2) == 0
		e.Auto = r.IntN(2) == 0
		e.Supersede = pick("", "", "always", "never", "until-approved")
		e.Merge = pick("", "", "", "squash")
		e.Manual = pick("", "", "hold", "revert")
	}
	return c
}

// render writes the file; ledger is the ledger's first commit, or empty.
func (c *config) render(ledger string) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("version: 1")
	line("mode: %s", c.Mode)
	if ledger != "" {
		line("ledger: %s", ledger)
	}
	line("artifacts:")
	for _, a := range artifacts {
		line("  %s: {image: %s/acme/%s}", a, registryHost, a)
	}
	line("environments:")
	for i := range c.Envs {
		e := &c.Envs[i]
		line("  %s:", e.Name)
		if len(e.After) > 0 {
			line("    after: [%s]", strings.Join(e.After, ", "))
		}
		line("    approvals: {required: %d}", e.Approvals)
		if e.Auto {
			line("    rollback: auto")
		}
		for _, kv := range [][2]string{{"soak", e.Soak}, {"supersede", e.Supersede}, {"merge", e.Merge}, {"manualChanges", e.Manual}} {
			if kv[1] != "" {
				line("    %s: %s", kv[0], kv[1])
			}
		}
		if e.Health {
			line("    health:")
			for _, a := range artifacts {
				line("      - {http: \"http://%s/{environment}/%s/{digest}\", artifact: %s, interval: 10s, failAfter: 30s}", healthHost, a, a)
			}
		}
	}
	switch c.Broken {
	case 1:
		line("  nowhere: {after: [atlantis]} # broken")
	case 2:
		line("aproovals: 3 # broken")
	case 3:
		line("  dev: {soak: soon} # broken")
	case 4:
		line(": : [ # broken")
	}
	return b.String()
}

// layout is the files of one environment: a kustomization with both images, or
// one beside a manifest.
func layout(e *environment, at int, digests map[string]string) map[string]string {
	dir := "environments/" + e.Name + "/"
	image := func(a string) string { return registryHost + "/acme/" + a }
	if at%2 == 0 {
		var b strings.Builder
		b.WriteString("# who owns this: platform\nresources:\n  - ../base\nimages:\n")
		for _, a := range artifacts {
			fmt.Fprintf(&b, "  - name: %s\n    newTag: 1.0.0 # kept by rung\n    digest: %s\n", image(a), digests[a])
		}
		return map[string]string{dir + "kustomization.yaml": b.String()}
	}
	return map[string]string{
		dir + "kustomization.yaml": fmt.Sprintf("images:\n  - name: %s\n    newTag: 1.0.0\n    digest: %s\nresources: [cart.yaml]\n", image(artifacts[0]), digests[artifacts[0]]),
		dir + "cart.yaml": fmt.Sprintf("apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: cart}\nspec:\n  template:\n    spec:\n      containers:\n        - name: cart\n          image: %s:1.0.0@%s # kept by rung\n",
			image(artifacts[1]), digests[artifacts[1]]),
	}
}
