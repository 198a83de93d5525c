package pipeline

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rungbot/rung/internal/promotion"
)

// full is a configuration that uses every field once.
const full = `version: 1
mode: propose
commits: github
ledger: 1f2e3d4c5b6a79880123456789abcdef01234567
defaults:
  supersede: always
  pin: tag
  manualChanges: hold
  rollback: auto
  merge: squash
  soak: 10m
  approvals: {required: 1, users: [ada]}
  health:
    - {http: "https://apps.example.com/{environment}/healthz", artifact: checkout, timeout: 2s, interval: 10s, failAfter: 1m}
floors:
  "prod-*":
    soak: 1h
    approvals: {required: 1, teams: [acme/sre]}
    policies: [policies/floor.yaml]
artifacts:
  worker: {image: "localhost:5000/acme/worker", versions: {regex: "main-([0-9]+)", order: numeric}}
  checkout:
    image: ghcr.io/acme/checkout
    publishers: [acme/checkout, acme/releases]
    versions: ">=1.0.0 <2"
    repository: https://github.com/acme/checkout.git
    poll: 1d
environments:
  prod-us: {after: [prod-eu]}
  prod-eu:
    after: [staging, canary]
    soak: 1d12h
    approvals: {required: 2, teams: [Acme/sre]}
    health: []
    policies: [policies/eu.yaml]
    supersede: never
    pin: digest
    manualChanges: adopt
    rollback: ask
    merge: merge
  canary: {after: [dev], health: [{status: argocd/checkout, app: 17}]}
  staging: {after: [dev], path: clusters/staging/}
  dev:
policies:
  all: [policies/digest.yaml]
  "prod-*": [policies/prod/, policies/digest.yaml]
commands:
  "prod-*": {rollback: {permission: write}, force: {permission: admin}}
  prod-us: {rollback: {teams: [acme/oncall], users: [bob]}}
`

var policyFiles = []string{
	"policies/digest.yaml", "policies/eu.yaml", "policies/floor.yaml",
	"policies/digest_test.yaml", "policies/prod/b.yaml", "policies/prod/a.yaml", "policies/prod/a_test.yaml", "policies/prod/deeper/c.yaml",
}

func load(files map[string]string) Result {
	in := map[string][]byte{}
	for path, text := range files {
		in[path] = []byte(text)
	}
	return Load(in, Options{PolicyFiles: policyFiles})
}

func TestLoadEveryField(t *testing.T) {
	r := load(map[string]string{"rung.yaml": full})
	for _, p := range r.Problems {
		t.Errorf("problem: %s", p)
	}
	want := &promotion.Pipeline{
		Mode: promotion.ModePropose, Commits: promotion.CommitsGitHub,
		Ledger: "1f2e3d4c5b6a79880123456789abcdef01234567",
		Artifacts: []promotion.ArtifactSpec{
			{
				Name: "checkout", Image: "ghcr.io/acme/checkout", Publishers: []string{"acme/checkout", "acme/releases"},
				Versions: promotion.VersionRule{Range: ">=1.0.0 <2"}, Repository: "https://github.com/acme/checkout", Poll: 24 * time.Hour,
			},
			{Name: "worker", Image: "localhost:5000/acme/worker", Versions: promotion.VersionRule{Regex: "main-([0-9]+)", Order: "numeric"}},
		},
		PolicyPaths: []string{"policies/digest.yaml", "policies/eu.yaml", "policies/floor.yaml", "policies/prod/a.yaml", "policies/prod/b.yaml"},
		Digest:      r.Pipeline.Digest,
	}
	probe := []promotion.HealthSource{{
		HTTP: "https://apps.example.com/{environment}/healthz", Artifact: "checkout",
		Timeout: 2 * time.Second, Interval: 10 * time.Second, FailAfter: time.Minute,
	}}
	byDefault := promotion.EnvironmentSpec{
		Soak: 10 * time.Minute, Health: probe, Approvals: promotion.ApprovalRule{Required: 1, Users: []string{"ada"}},
		Policies:  []string{"policies/digest.yaml"},
		Supersede: promotion.SupersedeAlways, Pin: promotion.PinTag, ManualChanges: promotion.ManualHold, AutoRollback: true, Method: "squash",
	}
	dev, canary, staging, us := byDefault, byDefault, byDefault, byDefault
	dev.Name, dev.Path = "dev", "environments/dev"
	canary.Name, canary.Path, canary.After = "canary", "environments/canary", []promotion.Environment{"dev"}
	canary.Health = []promotion.HealthSource{{Status: "argocd/checkout", App: 17}}
	staging.Name, staging.Path, staging.After = "staging", "clusters/staging", []promotion.Environment{"dev"}
	us.Name, us.Path, us.After = "prod-us", "environments/prod-us", []promotion.Environment{"prod-eu"}
	us.Soak, us.Approvals = time.Hour, promotion.ApprovalRule{Required: 1, Teams: []string{"acme/sre"}}
	us.Policies = []string{"policies/floor.yaml", "policies/digest.yaml", "policies/prod/a.yaml", "policies/prod/b.yaml"}
	us.Commands = map[string]promotion.Who{"rollback": {Teams: []string{"acme/oncall"}, Users: []string{"bob"}}, "force": {Permission: "admin"}}
	eu := promotion.EnvironmentSpec{
		Name: "prod-eu", Path: "environments/prod-eu", After: []promotion.Environment{"canary", "staging"}, Soak: 36 * time.Hour,
		Approvals: promotion.ApprovalRule{Required: 2, Teams: []string{"Acme/sre"}},
		Policies:  []string{"policies/floor.yaml", "policies/digest.yaml", "policies/prod/a.yaml", "policies/prod/b.yaml", "policies/eu.yaml"},
		Supersede: promotion.SupersedeNever, Pin: promotion.PinDigest, ManualChanges: promotion.ManualAdopt, Method: "merge",
		Commands: map[string]promotion.Who{"rollback": {Permission: "write"}, "force": {Permission: "admin"}},
	}
	want.Environments = []promotion.EnvironmentSpec{dev, canary, staging, eu, us}
	if !reflect.DeepEqual(r.Pipeline, want) {
		t.Errorf("pipeline differs:\n got %s\nwant %s", show(r.Pipeline), show(want))
	}
}

func show(v any) string {
	b, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		return err.Error()
	}
	return string(b)
}

func TestDefaultsOfAnEmptyFile(t *testing.T) {
	r := load(map[string]string{"rung.yaml": "version: 1\nartifacts: {checkout: {image: ghcr.io/acme/checkout}}\nenvironments: {dev: {}}\n"})
	if len(r.Problems) > 0 {
		t.Fatal(r.Problems)
	}
	want := promotion.EnvironmentSpec{
		Name: "dev", Path: "environments/dev", Supersede: promotion.SupersedeUntilApproved,
		Pin: promotion.PinDigest, ManualChanges: promotion.ManualAdopt, Method: "merge",
	}
	if !reflect.DeepEqual(r.Pipeline.Environments[0], want) {
		t.Errorf("got %+v", r.Pipeline.Environments[0])
	}
	if r.Pipeline.Mode != promotion.ModeObserve {
		t.Errorf("mode is %q, want observe", r.Pipeline.Mode)
	}
	if r.Pipeline.Artifacts[0].Versions != (promotion.VersionRule{}) {
		t.Errorf("versions are %+v, want the zero rule", r.Pipeline.Artifacts[0].Versions)
	}
}

// TestProblems checks the position and the sentence of every problem that one
// file can have, and that there is no other.
func TestProblems(t *testing.T) {
	const artifact = "artifacts: {checkout: {image: ghcr.io/acme/checkout}}\n"
	env := func(body string) string { return "version: 1\nenvironments:\n  dev: " + body + "\n" }
	art := func(body string) string { return "version: 1\nartifacts:\n  checkout: " + body + "\n" }
	tests := []struct {
		name, yaml string
		want       []string // each "line:column: part of the text"
	}{
		{"empty", "", []string{"1:1: the file is empty: begin it with version: 1"}},
		{"only a comment", "# nothing\n", []string{"1:1: the file is empty"}},
		{"not YAML", "version: 1\nmode: [\n", []string{"2:1: not valid YAML"}},
		{"a tab", "version: 1\nartifacts:\n\tcheckout: {}\n", []string{"3:1: not valid YAML"}},
		{"not UTF-8", "version: 1\nmode: \xff\n", []string{"1:1: the file is not UTF-8"}},
		{"a list", "- version: 1\n", []string{"1:1: the file must be a mapping"}},
		{"a scalar", "hello\n", []string{"1:1: the file must be a mapping that begins with version: 1, not the text \"hello\""}},
		{"two documents", "version: 1\n---\nversion: 1\n", []string{"2:1: a second document"}},
		{"no version", "mode: merge\n", []string{"1:1: the file: version is missing"}},
		{"version as text", "version: '1'\n", []string{`1:10: version must be a whole number, not the text "1"`}},
		{"version 2", "version: 2\n", []string{"1:10: version must be 1, not 2"}},
		{"unknown field", "version: 1\nenvironment: {}\n", []string{`2:1: the file: unknown field "environment"; did you mean "environments"?`}},
		{"unknown field without a neighbour", "version: 1\nzzzzzzz: {}\n", []string{`2:1: the file: unknown field "zzzzzzz"; known are artifacts, commands`}},
		{"a field of a newer rung", "version: 1\nenvironments:\n  dev: {zzzzzzz: 1}\n", []string{`supersede; if a newer rung reads it, use that one, or take it out for this one`}},
		{"a word of a newer rung", "version: 1\nmode: ramp\n", []string{`2:7: mode: "ramp" is not one of observe, propose, merge; if a newer rung reads it, use that one`}},
		{"hostile field", "version: 1\n\"a\\nb`|@acme\": {}\n", []string{`2:1: the file: unknown field "a\nb` + "`" + `|@acme"; known`}},
		{"mode", "version: 1\nmode: Merge\n", []string{`2:7: mode: "Merge" is not one of observe, propose, merge; did you mean "merge"?`}},
		{"mode is a boolean", "version: 1\nmode: true\n", []string{`2:7: mode must be text, not the boolean "true": put it in quotes`}},
		{"duplicate key", "version: 1\nmode: merge\nmode: observe\n", []string{`3:1: mode is written twice; the first is at line 2, column 1`}},
		{"duplicate environment", "version: 1\nenvironments:\n  dev: {}\n  dev: {}\n", []string{`4:3: environments.dev is written twice; the first is at line 3`}},
		{"null", "version: 1\nmode:\n", []string{"2:6: mode is empty"}},
		{"empty text", "version: 1\nmode: ''\n", []string{"2:7: mode is empty"}},
		{"anchor", "version: 1\nenvironments:\n  dev: &d {soak: 1m}\n  next: *d\n", []string{"3:8: environments.dev: anchors are not read", "4:9: environments.next: aliases are not read"}},
		{"merge key", "version: 1\nenvironments:\n  dev:\n    <<: {soak: 1m}\n", []string{"4:5: environments.dev: merge keys"}},
		{"alias bomb", "version: 1\na: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\nenvironments: *c\n", []string{
			"2:1: the file: unknown field \"a\"", "3:1: the file: unknown field \"b\"", "4:1: the file: unknown field \"c\"", "5:15: environments: aliases",
		}},
		{"tag", "version: !!int 1\n", []string{"1:10: version: the tag"}},
		{"complex key", "version: 1\n? [a]\n: b\n", []string{"2:3: the file: a key must be a name, not a list"}},
		{"ledgerBefore", "version: 1\nledgerBefore: 1f2e\n", []string{`2:15: ledgerBefore: "1f2e" is not a git object id`}},
		{"ledger", "version: 1\nledger: 1f2e\n", []string{`2:9: ledger: "1f2e" is not a git object id`}},
		{"artifacts as a list", "version: 1\nartifacts: [checkout]\n", []string{"2:12: artifacts must be a mapping, not a list"}},

		{"artifact name", "version: 1\nartifacts:\n  Checkout: {image: ghcr.io/acme/checkout}\n", []string{`3:3: artifacts: "Checkout" is not an artifact name`}},
		{"no image", art("{}"), []string{"3:13: artifacts.checkout: image is missing"}},
		{"image with a tag", art("{image: 'ghcr.io/acme/checkout:1.2.3'}"), []string{`3:21: artifacts.checkout.image: "ghcr.io/acme/checkout:1.2.3" carries the tag "1.2.3": write "ghcr.io/acme/checkout"`}},
		{"image with a digest", art("{image: 'ghcr.io/acme/checkout@sha256:00'}"), []string{`3:21: artifacts.checkout.image: "ghcr.io/acme/checkout@sha256:00" carries a digest`}},
		{"image without a host", art("{image: acme/checkout}"), []string{`does not begin with a registry's host`}},
		{"image in capitals", art("{image: ghcr.io/Acme/checkout}"), []string{`"ghcr.io/Acme/checkout" is not an image name`}},
		{"image as an address", art("{image: 'https://ghcr.io/acme/checkout'}"), []string{`is a web address: write the image without https://`}},
		{"two artifacts of one image", "version: 1\nartifacts:\n  a: {image: ghcr.io/acme/x}\n  b: {image: ghcr.io/acme/x}\n", []string{"4:14: artifacts.b.image: artifact a at rung.yaml:3:3 has the same image"}},
		{"two artifacts of one Docker Hub image", "version: 1\nartifacts:\n  a: {image: docker.io/nginx}\n  b: {image: index.docker.io/library/nginx}\n", []string{"4:14: artifacts.b.image: artifact a at rung.yaml:3:3 has the same image"}},
		{"publisher", art("{image: ghcr.io/a/b, publishers: [acme, https://github.com/acme/checkout]}"), []string{
			`3:47: artifacts.checkout.publishers: "acme" is not a repository`, `3:53: artifacts.checkout.publishers: "https://github.com/acme/checkout" is not`,
		}},
		{"publisher twice", art("{image: ghcr.io/a/b, publishers: [acme/x, Acme/X]}"), []string{`3:55: artifacts.checkout.publishers: "Acme/X" is listed twice`}},
		{"publishers as text", art("{image: ghcr.io/a/b, publishers: acme/x}"), []string{`3:46: artifacts.checkout.publishers must be a list, not the text "acme/x"`}},
		{"versions as a number", art("{image: ghcr.io/a/b, versions: 1.0}"), []string{`artifacts.checkout.versions must be text, not the number "1.0": put it in quotes`}},
		{"versions no range", art("{image: ghcr.io/a/b, versions: newest}"), []string{`artifacts.checkout.versions: "newest" is not a range`}},
		{"regex broken", art("{image: ghcr.io/a/b, versions: {regex: 'a)|(b'}}"), []string{`3:52: artifacts.checkout.versions: "a)|(b" is not an RE2 regular expression: unexpected )`}},
		{"regex with look-ahead", art("{image: ghcr.io/a/b, versions: {regex: '(?=a)'}}"), []string{`is not an RE2`}},
		{"regex too long", art("{image: ghcr.io/a/b, versions: {regex: '" + strings.Repeat("a", 257) + "'}}"), []string{`at most 256`}},
		{"regex bomb", art("{image: ghcr.io/a/b, versions: {regex: '((a{100}){100}){100}'}}"), []string{`is not an RE2`}},
		{"no regex", art("{image: ghcr.io/a/b, versions: {order: numeric}}"), []string{"3:44: artifacts.checkout.versions: regex is missing"}},
		{"numeric without a group", art("{image: ghcr.io/a/b, versions: {regex: '[0-9]+', order: numeric}}"), []string{"needs a group around the number"}},
		{"order", art("{image: ghcr.io/a/b, versions: {regex: '(a)', order: numerical}}"), []string{`versions.order: "numerical" is not one of semver, numeric, lexical; did you mean "numeric"?`}},
		{"repository", art("{image: ghcr.io/a/b, repository: acme/checkout}"), []string{`artifacts.checkout.repository: "acme/checkout" is not a web address`}},
		{"repository with a password", art("{image: ghcr.io/a/b, repository: 'https://x:hunter2@github.com/a/b'}"), []string{`the address of host "github.com" must have no user`}},
		{"poll too often", art("{image: ghcr.io/a/b, poll: 1s}"), []string{"3:40: artifacts.checkout.poll must be at least 10s, not 1s"}},
		{"verify is for later", art("{image: ghcr.io/a/b, verify: {}}"), []string{"3:34: artifacts.checkout: verify is not supported yet"}},

		{"environment name", "version: 1\nenvironments: {Dev: {}}\n", []string{`2:16: environments: "Dev" is not an environment name`}},
		{"environment all", "version: 1\nenvironments: {all: {}}\n", []string{`2:16: environments: all is reserved`}},
		{"windows is for later", env("{windows: []}"), []string{"3:9: environments.dev: windows is not supported yet: a freeze is the way"}},
		{"unknown field of an environment", env("{soaks: 1m}"), []string{`3:9: environments.dev: unknown field "soaks"; did you mean "soak"?`}},
		{"unknown predecessor", "version: 1\nenvironments:\n  staging: {}\n  prod: {after: [stagin]}\n", []string{`4:18: environments.prod.after: there is no environment "stagin"; did you mean "staging"?`}},
		{"predecessor twice", "version: 1\nenvironments:\n  a: {}\n  b: {after: [a, a]}\n", []string{`4:18: environments.b.after: a is listed twice`}},
		{"after as text", "version: 1\nenvironments:\n  a: {}\n  b: {after: a}\n", []string{`4:14: environments.b.after must be a list, not the text "a"`}},
		{"itself", env("{after: [dev]}"), []string{"3:17: environments stand behind each other: dev → dev"}},
		{"cycle", "version: 1\nenvironments:\n  a: {after: [c]}\n  b: {after: [a]}\n  c: {after: [b]}\n  d: {after: [c]}\n  e: {}\n", []string{
			"4:15: environments stand behind each other: a → b → c → a",
			"6:3: environment d can't be reached from a first environment: it stands behind the cycle a → b → c → a",
		}},
		{"two cycles", "version: 1\nenvironments:\n  a: {after: [b]}\n  b: {after: [a]}\n  x: {after: [y]}\n  y: {after: [x]}\n  z: {after: [y]}\n", []string{
			"4:15: environments stand behind each other: a → b → a",
			"6:15: environments stand behind each other: x → y → x",
			"7:3: environment z can't be reached from a first environment: it stands behind the cycle x → y → x",
		}},
		{"soak without a unit", env("{soak: 30}"), []string{`3:15: environments.dev.soak: "30" has no unit: write 30s or 30m`}},
		{"soak negative", env("{soak: -1m}"), []string{`"-1m" is negative`}},
		{"soak too long", env("{soak: 31d}"), []string{`3:15: environments.dev.soak must be at most 720h, not 744h`}},
		{"soak no duration", env("{soak: soon}"), []string{`"soon" is not a duration: write 90s`}},
		{"soak a list", env("{soak: [1m]}"), []string{`soak must be a duration such as 90s, 30m, 12h or 2d, not a list`}},
		{"supersede", env("{supersede: untilapproved}"), []string{`"untilapproved" is not one of until-approved, always, never; did you mean "until-approved"?`}},
		{"path outside", env("{path: ../prod}"), []string{`3:15: environments.dev.path: "../prod" is not a path from the repository's root`}},
		{"path absolute", env("{path: /etc}"), []string{`"/etc" is not a path`}},
		{"path hidden", env("{path: .github/workflows}"), []string{`".github/workflows" is not taken`}},
		{"path rung.d", env("{path: rung.d}"), []string{`rung.d/ holds configuration, not manifests`}},
		{"path policies", env("{path: policies/prod}"), []string{`policies/ holds configuration, not manifests`}},
		{"paths overlap", "version: 1\nenvironments:\n  a: {}\n  b: {path: environments/a/b}\n", []string{`4:13: environments.b: its directory environments/a/b overlaps environments/a of environment a at rung.yaml:3:3`}},
		{"path and paths", env("{path: dev, paths: [a/dev]}"), []string{`3:27: environments.dev: write path or paths, not both`}},
		{"no paths", env("{paths: []}"), []string{`3:16: environments.dev.paths: name at least one directory or file`}},
		{"paths twice", env("{paths: [a/dev, a/dev/]}"), []string{`3:24: environments.dev.paths: "a/dev" is listed twice`}},
		{"paths of anything", env("{paths: [a/*, '*/dev', a/*/dev]}"), []string{`3:17: environments.dev.paths: "a/*": the first and the last part must be names`, `3:22: environments.dev.paths: "*/dev": the first and the last`}},
		{"paths with a part of a name", env("{paths: [a/x*/dev]}"), []string{`3:17: environments.dev.paths: "a/x*/dev": * stands for a whole part`}},
		{"paths of configuration", env("{paths: [rung.d/*/dev, policies/dev, rung.yaml]}"), []string{`is not a path from`, `policies/ holds configuration`, `rung.yaml is configuration, not a manifest`}},
		{"paths outside", env("{paths: ['a/*/../dev']}"), []string{`"a/*/../dev" is not a path from the repository's root`}},
		{"patterns overlap", "version: 1\nenvironments:\n  a: {paths: [apps/*/dev, values/a.yaml]}\n  b: {paths: [values/b.yaml, apps/prod/*/x]}\n", []string{`4:14: environments.b: its directory apps/prod/*/x overlaps apps/*/dev of environment a at rung.yaml:3:3`}},
		{"a file in another's directory", "version: 1\nenvironments:\n  a: {path: values}\n  b: {paths: [values/b.yaml]}\n", []string{`4:14: environments.b: its directory values/b.yaml overlaps values of environment a`}},
		{"health of both kinds", env("{health: [{status: a, http: 'http://x/'}]}"), []string{"3:18: environments.dev.health[0]: write status or http, not both"}},
		{"health of no kind", env("{health: [{}]}"), []string{"3:18: environments.dev.health[0]: write status (a commit status or check) or http"}},
		{"health empty", env("{health: [null]}"), []string{"3:18: environments.dev.health[0] is empty"}},
		{"health app of http", env("{health: [{http: 'http://x/', app: 1}]}"), []string{"app belongs to status"}},
		{"health timeout of status", env("{health: [{status: a, timeout: 1s}]}"), []string{"timeout belongs to http"}},
		{"health app", env("{health: [{status: a, app: 0}]}"), []string{"health[0].app must be at least 1, not 0"}},
		{"health placeholder", env("{health: [{http: 'http://x/{env}'}]}"), []string{`"{env}" is not a placeholder; known are {environment}`}},
		{"health placeholder in the host", env("{health: [{http: 'http://{version}.x/'}]}"), []string{`only {environment} may stand in the host`}},
		{"health scheme", env("{health: [{http: 'file:///etc/passwd'}]}"), []string{`is not a web address`}},
		{"health password", env("{health: [{http: 'https://u:p@x/'}]}"), []string{`must carry no user or password`}},
		{"health link-local", env("{health: [{http: 'http://169.254.169.254/latest'}]}"), []string{`link-local`}},
		{"health artifact", artifact + env("{health: [{status: a, artifact: chekout}]}"), []string{`there is no artifact "chekout"; did you mean "checkout"?`}},
		{"approvals", env("{approvals: {required: 11}}"), []string{"3:31: environments.dev.approvals.required must be at most 10, not 11"}},
		{"approvals as text", env("{approvals: {required: two}}"), []string{`required must be a whole number, not the text "two"`}},
		{"approvals without a number", env("{approvals: {teams: [acme/sre]}}"), []string{"3:20: environments.dev: teams or users are named but no review is required"}},
		{"approvals beyond reach", env("{approvals: {required: 2, users: [ada]}}"), []string{"but only 1 may give one"}},
		{"team", env("{approvals: {required: 1, teams: [sre, '@acme/sre']}}"), []string{`"sre" is not a team: write organisation/team-slug`, `write the team without the @`}},
		{"user", env("{approvals: {required: 1, users: ['rung[bot]']}}"), []string{`"rung[bot]" is not a login`}},
		{"policy missing", env("{policies: [policies/digests.yaml]}"), []string{`3:20: environments.dev.policies: there is no file "policies/digests.yaml"; did you mean "policies/digest.yaml"?`}},
		{"policy directory missing", "version: 1\nenvironments: {dev: {}}\npolicies: {all: [policies/none/]}\n", []string{`3:18: policies.all: there is no policy (*.yaml) in the directory "policies/none/"`}},
		{"policy cases", env("{policies: [policies/digest_test.yaml]}"), []string{`"policies/digest_test.yaml" holds a policy's cases`}},
		{"policy elsewhere", env("{policies: [rules/a.yaml]}"), []string{`"rules/a.yaml" does not lie in policies/`}},
		{"policy outside", env("{policies: [../digest.yaml]}"), []string{`is not a path from the repository's root`}},
		{"policy pattern without a match", "version: 1\nenvironments: {dev: {}}\npolicies: {'prod-*': [policies/digest.yaml]}\n", []string{`3:12: policies: "prod-*" matches no environment; there are dev`}},
		{"policy name unknown", "version: 1\nenvironments: {staging: {}}\npolicies: {stagin: [policies/digest.yaml]}\n", []string{`3:12: policies: there is no environment "stagin"; did you mean "staging"?`}},
		{"pattern grammar", "version: 1\nenvironments: {dev: {}}\nfloors: {'[a-z]*': {soak: 1m}}\n", []string{`3:10: floors: "[a-z]*" is not an environment or a pattern`}},
		{"floors of all", "version: 1\nenvironments: {dev: {}}\nfloors: {all: {soak: 1m}}\n", []string{`3:10: floors: write "*" for every environment`}},
		{"floor users", "version: 1\nenvironments: {dev: {}}\nfloors: {dev: {approvals: {users: [ada]}}}\n", []string{`3:28: floors.dev.approvals: unknown field "users"`}},
		{"floors apart", "version: 1\nenvironments: {dev: {}}\nfloors:\n  dev: {approvals: {teams: [acme/a]}}\n  '*': {approvals: {teams: [acme/b]}}\n", []string{`5:28: floors.*.approvals.teams: no team also satisfies the floor at rung.yaml:4:28, which stands under dev`}},
		{"floor in the root itself", "version: 1\nfloors: {dev: {soak: 1h}}\nenvironments:\n  dev: {soak: 5m}\n", []string{`4:15: environments.dev.soak: 5m is below the floor of 1h at rung.yaml:2:22; the floor holds`}},
		{"command", "version: 1\nenvironments: {dev: {}}\ncommands: {dev: {rolback: {permission: write}}}\n", []string{`3:18: commands.dev: there is no command "rolback"; did you mean "rollback"?`}},
		{"command for nobody", "version: 1\nenvironments: {dev: {}}\ncommands: {dev: {rollback: {}}}\n", []string{`3:18: commands.dev.rollback says nobody`}},
		{"command for everybody", "version: 1\nenvironments: {dev: {}}\ncommands: {dev: {rollback: {permission: read}, why: {permission: read}}}\n", []string{`3:41: commands.dev.rollback: read is no guard`}},
		{"permission", "version: 1\nenvironments: {dev: {}}\ncommands: {dev: {rollback: {permission: wrte}}}\n", []string{`"wrte" is not one of read, triage, write, maintain, admin; did you mean "write"?`}},
		{"several at once", "version: 3\nmode: x\nenvironments: {dev: {soak: x}}\n", []string{"1:10: ", "2:7: ", "3:28: "}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := load(map[string]string{"rung.yaml": tt.yaml})
			expectProblems(t, r.Problems, "rung.yaml:", tt.want)
			for _, p := range r.Problems {
				if len(p.Environments) != 0 {
					t.Errorf("a problem of rung.yaml holds only %v: %s", p.Environments, p)
				}
			}
		})
	}
}

func expectProblems(t *testing.T, got []promotion.ConfigProblem, prefix string, want []string) {
	t.Helper()
	for i, p := range got {
		if i >= len(want) {
			t.Errorf("one problem too many: %s", p)
			continue
		}
		if part := want[i]; len(part) > 0 && part[0] >= '0' && part[0] <= '9' {
			if !strings.HasPrefix(p.String(), prefix+part) {
				t.Errorf("problem %d:\n got %s\nwant %s%s…", i, p, prefix, part)
			}
		} else if !strings.Contains(p.String(), part) {
			t.Errorf("problem %d:\n got %s\nwant …%s…", i, p, part)
		}
	}
	for _, missing := range want[min(len(got), len(want)):] {
		t.Errorf("problem is not reported: %s", missing)
	}
}

func TestMissingPolicyStaysBound(t *testing.T) {
	r := load(map[string]string{"rung.yaml": "version: 1\nenvironments: {dev: {policies: [policies/gone.yaml]}}\npolicies: {all: [policies/none/, policies/digest.yaml]}\n"})
	if len(r.Problems) != 2 {
		t.Errorf("problems: %v", r.Problems)
	}
	if got := r.Pipeline.Environments[0].Policies; !slices.Equal(got, []string{"policies/none/", "policies/digest.yaml", "policies/gone.yaml"}) {
		t.Errorf("a missing policy is not bound any more: %v", got)
	}
}

func TestNoRootFile(t *testing.T) {
	r := load(map[string]string{"rung.d/x.yaml": "version: 1\n"})
	if r.Pipeline != nil {
		t.Error("there is a pipeline without rung.yaml")
	}
	expectProblems(t, r.Problems, "rung.yaml:", []string{"1:1: there is no rung.yaml"})
}

func TestLimits(t *testing.T) {
	many := func(n int, line string) string {
		var s strings.Builder
		for i := range n {
			fmt.Fprintf(&s, line+"\n", i)
		}
		return s.String()
	}
	parts := map[string]string{"rung.yaml": "version: 1\n"}
	for i := range MaxFiles + 2 {
		parts[fmt.Sprintf("rung.d/p%03d.yaml", i)] = "version: 1\n"
	}
	tests := []struct {
		name  string
		files map[string]string
		want  string
	}{
		{"file", map[string]string{"rung.yaml": "version: 1\n" + strings.Repeat("#", maxFileBytes)}, "the limit is 262144"},
		{"depth", map[string]string{"rung.yaml": "version: 1\nmode: " + strings.Repeat("[", 50000)}, "not valid YAML: exceeded max depth"},
		{"entries", map[string]string{"rung.yaml": "version: 1\nartifacts:\n" + many(501, "  a%d: {image: ghcr.io/a/b%[1]d}")}, "artifacts has more than 500 entries"},
		{"environments", map[string]string{"rung.yaml": "version: 1\nenvironments:\n" + many(201, "  e%d: {}")}, "more than 200 environments"},
		{"items", map[string]string{"rung.yaml": "version: 1\npolicies:\n  all:\n" + many(101, "  - p%d.yaml")}, "has 101 items; the limit is 100"},
		{"text", map[string]string{"rung.yaml": "version: 1\nmode: " + strings.Repeat("x", 2000)}, "mode has 2000 bytes"},
		{"files", parts, "there are 102 files in rung.d; only the first 100"},
		{"problems", map[string]string{"rung.yaml": "version: 1\n" + many(300, "x%d: 1")}, "201 more problems from here on"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := load(tt.files)
			if !slices.ContainsFunc(r.Problems, func(p promotion.ConfigProblem) bool { return strings.Contains(p.Text, tt.want) }) {
				t.Errorf("no problem says %q: %v", tt.want, r.Problems)
			}
			if tt.name == "files" && !slices.Equal(r.Problems[0].Environments, []promotion.Environment{NoEnvironment}) {
				t.Errorf("files that are not read hold %v", r.Problems[0].Environments)
			}
			if len(r.Problems) > maxProblems {
				t.Errorf("%d problems", len(r.Problems))
			}
		})
	}
}

func TestDigestCoversConfigurationOnly(t *testing.T) {
	digest := func(files map[string]string) string { return load(files).Pipeline.Digest }
	one := digest(map[string]string{"rung.yaml": "version: 1\n"})
	if got := digest(map[string]string{"rung.yaml": "version: 1\n", "README.md": "x"}); got != one {
		t.Error("a file that is not configuration changes the digest")
	}
	if got := digest(map[string]string{"rung.yaml": "version: 1\n# x\n"}); got == one {
		t.Error("a change does not change the digest")
	}
	if got := digest(map[string]string{"rung.yaml": "version: 1\n", "rung.d/x.yaml": "version: 1\n"}); got == one {
		t.Error("another file does not change the digest")
	}
}

func TestTopologicalOrder(t *testing.T) {
	r := load(map[string]string{"rung.yaml": `version: 1
environments:
  z: {}
  a: {after: [z]}
  m: {after: [z]}
  b: {after: [m, a]}
  c: {}
`})
	var got []promotion.Environment
	for _, e := range r.Pipeline.Environments {
		got = append(got, e.Name)
	}
	if want := []promotion.Environment{"c", "z", "a", "m", "b"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// TestPaths: an environment can be several directories and files; what of them is
// faulty is left out, and the default directory never steps in.
func TestPaths(t *testing.T) {
	r := load(map[string]string{"rung.yaml": "version: 1\nenvironments:\n  dev: {paths: [apps/*/overlays/dev, charts/checkout/values-dev.yaml, ../out]}\n  prod: {paths: [7]}\n"})
	if len(r.Problems) != 2 || r.Pipeline == nil {
		t.Fatalf("problems %v", r.Problems)
	}
	for path, want := range map[string]promotion.Environment{
		"apps/checkout/overlays/dev/kustomization.yaml": "dev", "apps/cart/overlays/dev/a/b.yaml": "dev", "charts/checkout/values-dev.yaml": "dev",
		"apps/checkout/overlays/prod/kustomization.yaml": "", "apps/a/b/overlays/dev/x.yaml": "", "apps/overlays/dev/x.yaml": "",
		"charts/checkout/values-dev.yaml.orig": "", "environments/dev/x.yaml": "", "environments/prod/x.yaml": "", "apps/checkout/overlays": "",
	} {
		var got promotion.Environment
		if e := r.Pipeline.EnvironmentAt(path); e != nil {
			got = e.Name
		}
		if got != want {
			t.Errorf("%s belongs to %q, not %q", path, got, want)
		}
	}
}

// TestManyPathsAreBounded: the check for overlaps compares each with each.
func TestManyPathsAreBounded(t *testing.T) {
	var file strings.Builder
	file.WriteString("version: 1\nenvironments:\n")
	for e := range 30 {
		fmt.Fprintf(&file, "  e%d: {paths: [", e)
		for p := range 100 {
			fmt.Fprintf(&file, "a/%d/%d,", e, p)
		}
		file.WriteString("]}\n")
	}
	r := load(map[string]string{"rung.yaml": file.String()})
	expectProblems(t, r.Problems, "rung.yaml:", []string{"there are more than 2000 paths"})
}
