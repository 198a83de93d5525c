package pipeline

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rungbot/rung/internal/promotion"
)

func TestParts(t *testing.T) {
	const root = `version: 1
mode: merge
defaults: {approvals: {users: [ada], required: 1}}
floors:
  "prod-*": {soak: 1h, approvals: {required: 2, teams: [acme/sre]}, policies: [policies/floor.yaml]}
  edge: {soak: 10m}
artifacts: {checkout: {image: ghcr.io/acme/checkout}}
environments:
  dev: {}
  edge: {after: [dev]}
`
	tests := []struct {
		name  string
		parts map[string]string
		want  []string // each "path:line:column: text … -> held"
		check func(t *testing.T, p *promotion.Pipeline)
	}{
		{
			name:  "a part defines an environment and an artifact",
			parts: map[string]string{"rung.d/eu.yaml": "version: 1\nartifacts: {cart: {image: ghcr.io/acme/cart}}\nenvironments: {prod-eu: {after: [dev]}}\n"},
			check: func(t *testing.T, p *promotion.Pipeline) {
				eu, _ := p.Environment("prod-eu")
				if eu.Soak != time.Hour || eu.Approvals.Required != 2 || !slices.Equal(eu.Approvals.Teams, []string{"acme/sre"}) || len(eu.Approvals.Users) != 0 || !slices.Equal(eu.Policies, []string{"policies/floor.yaml"}) {
					t.Errorf("the floor is not under prod-eu: %+v", eu)
				}
				if a, ok := p.Artifact("cart"); !ok || !Matches(a.Versions, "1.0.0") {
					t.Errorf("cart: %+v", a)
				}
			},
		},
		{
			name: "a part can't lower a floor",
			parts: map[string]string{"rung.d/eu.yaml": `version: 1
environments:
  prod-eu:
    after: [dev]
    soak: 1m
    approvals: {required: 1, teams: [acme/sre, acme/interns], users: [eve]}
    policies: []
`},
			want: []string{
				"rung.d/eu.yaml:5:11: environments.prod-eu.soak: 1m is below the floor of 1h at rung.yaml:5:20; the floor holds -> [prod-eu]",
				"rung.d/eu.yaml:6:27: environments.prod-eu.approvals.required: 1 is below the floor of 2 at rung.yaml:5:46; the floor holds -> [prod-eu]",
				`rung.d/eu.yaml:6:48: environments.prod-eu.approvals.teams: "acme/interns" is not among the teams of the floor at rung.yaml:5:56; the floor holds -> [prod-eu]`,
				`rung.d/eu.yaml:6:71: environments.prod-eu.approvals.users: "eve" may not count beside the teams of the floor`,
			},
			check: func(t *testing.T, p *promotion.Pipeline) {
				eu, _ := p.Environment("prod-eu")
				if eu.Soak != time.Hour || eu.Approvals.Required != 2 || !slices.Equal(eu.Approvals.Teams, []string{"acme/sre"}) || len(eu.Approvals.Users) != 0 || !slices.Equal(eu.Policies, []string{"policies/floor.yaml"}) {
					t.Errorf("the floor does not hold: %+v", eu)
				}
			},
		},
		{
			name: "what belongs in the root is refused in a part",
			parts: map[string]string{"rung.d/x.yaml": `version: 1
mode: merge
ledger: 1f2e3d4c5b6a79880123456789abcdef01234567
defaults: {soak: 1s}
floors: {}
policies: {}
commands: {}
environments: {prod-x: {after: [dev]}}
`},
			want: []string{
				"rung.d/x.yaml:2:1: mode belongs in rung.yaml", "rung.d/x.yaml:3:1: ledger belongs", "rung.d/x.yaml:4:1: defaults belongs",
				"rung.d/x.yaml:5:1: floors belongs", "rung.d/x.yaml:6:1: policies belongs", "rung.d/x.yaml:7:1: commands belongs in rung.yaml: a file of rung.d defines artifacts and environments only -> [prod-x]",
			},
		},
		{
			name: "names are taken once, by the first file",
			parts: map[string]string{
				"rung.d/a.yaml": "version: 1\nenvironments: {prod-a: {after: [dev]}, dev: {path: elsewhere}}\nartifacts: {checkout: {image: evil.example.com/checkout}}\n",
				"rung.d/b.yaml": "version: 1\nenvironments: {prod-b: {after: [dev]}, prod-a: {}}\n",
			},
			want: []string{
				"rung.d/a.yaml:2:40: environment dev is already defined at rung.yaml:9:3 -> [prod-a]",
				"rung.d/a.yaml:3:13: artifact checkout is already defined at rung.yaml:7:13 -> [prod-a]",
				"rung.d/b.yaml:2:40: environment prod-a is already defined at rung.d/a.yaml:2:16 -> [prod-b]",
			},
			check: func(t *testing.T, p *promotion.Pipeline) {
				dev, _ := p.Environment("dev")
				checkout, _ := p.Artifact("checkout")
				if dev.Path != "environments/dev" || checkout.Image != "ghcr.io/acme/checkout" || !Matches(checkout.Versions, "1.0.0") {
					t.Errorf("the root's definitions do not stand: %+v %+v", dev, checkout)
				}
			},
		},
		{
			name: "a faulty part holds what it defines and nothing else",
			parts: map[string]string{
				"rung.d/bad.yaml": "version: 1\nartifacts: {cart: {image: ghcr.io/acme/cart, poll: x}}\nenvironments: {prod-bad: {after: [dev]}, prod-too: {after: [dev], pin: x}}\n",
				"rung.d/ok.yaml":  "version: 1\nenvironments: {prod-ok: {after: [dev]}}\n",
			},
			want: []string{
				`rung.d/bad.yaml:2:52: artifacts.cart.poll: "x" is not a duration: write 90s, 30m, 12h, 2d or 1d12h -> [prod-bad prod-too]`,
				`rung.d/bad.yaml:3:72: environments.prod-too.pin: "x" is not one of digest, tag; if a newer rung reads it, use that one, or take it out for this one -> [prod-bad prod-too]`,
			},
			check: func(t *testing.T, p *promotion.Pipeline) {
				for _, name := range []promotion.Environment{"prod-bad", "prod-too", "prod-ok"} {
					if _, ok := p.Environment(name); !ok {
						t.Errorf("%s is not in the pipeline; a rollback would not find it", name)
					}
				}
				cart, ok := p.Artifact("cart")
				if !ok || Matches(cart.Versions, "1.0.0") || Matches(cart.Versions, "main") {
					t.Errorf("an artifact of a faulty file matches versions: %+v", cart)
				}
			},
		},
		{
			name:  "a part that defines artifacts only holds no environment",
			parts: map[string]string{"rung.d/cart.yaml": "version: 1\nartifacts: {cart: {image: ghcr.io/acme/cart:1}}\n"},
			want:  []string{`rung.d/cart.yaml:2:27: artifacts.cart.image: "ghcr.io/acme/cart:1" carries the tag "1": write "ghcr.io/acme/cart"; which version stands where is found in the manifests, not configured -> [+none]`},
			check: func(t *testing.T, p *promotion.Pipeline) {
				if _, ok := p.Artifact("cart"); ok {
					t.Error("an artifact without an image is in the pipeline")
				}
			},
		},
		{
			name:  "an unreadable part holds nothing but those who name what it may define",
			parts: map[string]string{"rung.d/a.yaml": "version: 1\nenvironments: {prod-a: {\n", "rung.d/b.yaml": "version: 1\nenvironments: {prod-b: {after: [prod-a]}, prod-c: {after: [dev]}}\n"},
			want: []string{
				"rung.d/a.yaml:2:1: not valid YAML: did not find expected node content -> [+none]",
				`rung.d/b.yaml:2:33: environments.prod-b.after: there is no environment "prod-a"; did you mean "prod-b"? (rung.d/a.yaml can't be read and may define it) -> [prod-b]`,
			},
		},
		{
			name:  "a cycle through a part is the part's",
			parts: map[string]string{"rung.d/x.yaml": "version: 1\nenvironments:\n  p: {after: [q]}\n  q: {after: [p]}\n  r: {after: [q]}\n"},
			want: []string{
				"rung.d/x.yaml:3:15: environments stand behind each other: p → q → p -> [p q r]",
				"rung.d/x.yaml:5:3: environment r can't be reached from a first environment: it stands behind the cycle p → q → p -> [p q r]",
			},
			check: func(t *testing.T, p *promotion.Pipeline) {
				for _, name := range []promotion.Environment{"p", "q", "r"} {
					if _, ok := p.Environment(name); ok {
						t.Errorf("%s stands on or behind a cycle and is in the pipeline", name)
					}
				}
				if len(p.Environments) != 2 {
					t.Errorf("environments: %v", p.Environments)
				}
			},
		},
		{
			name:  "no version in a part",
			parts: map[string]string{"rung.d/x.yaml": "environments: {prod-x: {after: [dev]}}\n"},
			want:  []string{"rung.d/x.yaml:1:1: the file: version is missing -> [prod-x]"},
		},
		{
			name:  "strange names in rung.d",
			parts: map[string]string{"rung.d/x.yml": "version: 1\n", "rung.d/a/b.yaml": "version: 1\n", "rung.d/\n@acme.yaml": "version: 1\n"},
			want:  []string{`rung.d:1:1: "rung.d/\n@acme.yaml" is not read`, `rung.d:1:1: "rung.d/a/b.yaml" is not read`, `rung.d:1:1: "rung.d/x.yml" is not read: files of rung.d are named *.yaml, in letters, digits, '.', '_' and '-', without subdirectories -> [+none]`},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			files := map[string]string{"rung.yaml": root}
			if !strings.Contains(fmt.Sprint(tt.parts), "prod-") { // the floor's pattern must match
				files["rung.yaml"] = strings.Replace(root, `"prod-*"`, "dev", 1)
			}
			for path, text := range tt.parts {
				files[path] = text
			}
			r := load(files)
			for i, p := range r.Problems {
				got := fmt.Sprintf("%s -> %v", p, p.Environments)
				if i >= len(tt.want) {
					t.Errorf("one problem too many: %s", got)
				} else if !strings.HasPrefix(got, tt.want[i]) {
					t.Errorf("problem %d:\n got %s\nwant %s…", i, got, tt.want[i])
				}
				if len(p.Environments) == 0 {
					t.Errorf("a problem of a part holds everything: %s", p)
				}
			}
			for _, missing := range tt.want[min(len(r.Problems), len(tt.want)):] {
				t.Errorf("problem is not reported: %s", missing)
			}
			if r.Pipeline == nil {
				t.Fatal("there is no pipeline")
			}
			if tt.check != nil {
				tt.check(t, r.Pipeline)
			}
		})
	}
}
