package promotion

import (
	"fmt"
	"time"
)

// Mode says how far rung goes by itself in a repository.
type Mode string

// The modes of rung.yaml, from the most careful to the least.
const (
	// ModeObserve writes no commit, branch, record or pull request; it posts
	// the check run and shows what it would do.
	ModeObserve Mode = "observe"
	// ModePropose opens promotion pull requests; people merge them.
	ModePropose Mode = "propose"
	// ModeMerge merges promotion pull requests once every gate passes.
	ModeMerge Mode = "merge"
)

// Commits says who makes and signs promotion commits.
type Commits string

// The makers of promotion commits.
const (
	// CommitsRung: rung, with its release key.
	CommitsRung Commits = "rung"
	// CommitsGitHub: GitHub, through its API, with its own key; for a base branch
	// that takes only commits that GitHub can verify. The records carry the proof.
	CommitsGitHub Commits = "github"
)

// Supersede says what happens to an open promotion when a newer version comes.
type Supersede string

// The supersede policies.
const (
	// SupersedeUntilApproved replaces the version unless an approval counts.
	SupersedeUntilApproved Supersede = "until-approved"
	// SupersedeAlways replaces the version always.
	SupersedeAlways Supersede = "always"
	// SupersedeNever lets the open promotion end first.
	SupersedeNever Supersede = "never"
)

// Pin says what is written at a place.
type Pin string

// The pins.
const (
	// PinDigest writes the digest, and the version beside it for people.
	PinDigest Pin = "digest"
	// PinTag writes the version alone; it is shown as unpinned.
	PinTag Pin = "tag"
)

// ManualChanges says what rung does about versions changed by hand.
type ManualChanges string

// The answers to manual changes.
const (
	// ManualAdopt records who did it and goes on.
	ManualAdopt ManualChanges = "adopt"
	// ManualHold stops promotions into the pair until somebody says /adopt.
	ManualHold ManualChanges = "hold"
	// ManualRevert puts back, once, what stood before.
	ManualRevert ManualChanges = "revert"
)

// Pipeline is a repository's checked configuration: rung.yaml and rung.d,
// defaults and globs resolved. It is built by package pipeline only.
type Pipeline struct {
	Mode Mode `json:"mode"`
	// Commits says who makes and signs promotion commits.
	Commits Commits `json:"commits"`
	// Ledger is the first commit of the ledger branch, or empty before
	// onboarding is merged.
	Ledger Hash `json:"ledger,omitempty"`
	// LedgerBefore is the last commit of the ledger before it, whose keys are lost.
	LedgerBefore Hash `json:"ledgerBefore,omitempty"`
	// Artifacts are sorted by name.
	Artifacts []ArtifactSpec `json:"artifacts"`
	// Environments are in topological order, ties by name: an environment
	// stands behind all its predecessors.
	Environments []EnvironmentSpec `json:"environments"`
	// PolicyPaths are all policy files that any environment binds, sorted.
	PolicyPaths []string `json:"policyPaths,omitempty"`
	// Digest is the sha256 over the configuration files that made it.
	Digest string `json:"digest"`
}

// Environment finds an environment by name.
func (p *Pipeline) Environment(name Environment) (*EnvironmentSpec, bool) {
	for i := range p.Environments {
		if p.Environments[i].Name == name {
			return &p.Environments[i], true
		}
	}
	return nil, false
}

// Artifact finds an artifact by name.
func (p *Pipeline) Artifact(name Artifact) (*ArtifactSpec, bool) {
	for i := range p.Artifacts {
		if p.Artifacts[i].Name == name {
			return &p.Artifacts[i], true
		}
	}
	return nil, false
}

// ArtifactSpec is what rung.yaml says of one artifact.
type ArtifactSpec struct {
	Name Artifact `json:"name"`
	// Image is an OCI repository without tag or digest.
	Image string `json:"image"`
	// Publishers are the repositories ("owner/name") whose events may
	// announce it. Empty: only events sent to the GitOps repository itself.
	Publishers []string `json:"publishers,omitempty"`
	// Versions says which versions count and how they are ordered.
	Versions VersionRule `json:"versions"`
	// Repository is the source repository's web address for compare links,
	// or empty.
	Repository string `json:"repository,omitempty"`
	// Poll is how often the registry is asked without an event; 0 is the
	// default of 10 minutes.
	Poll time.Duration `json:"poll,omitempty"`
}

// VersionRule says which versions count: a semantic version range, or a
// regular expression with an order. The zero rule is every semantic version
// that is not a pre-release.
type VersionRule struct {
	Range string `json:"range,omitempty"`
	Regex string `json:"regex,omitempty"`
	// Order is semver (default), numeric (of the first capture group) or
	// lexical (likewise).
	Order string `json:"order,omitempty"`
}

// EnvironmentSpec is what rung.yaml says of one environment, defaults and
// floors applied.
type EnvironmentSpec struct {
	Name Environment `json:"name"`
	// Path is the directory, without a trailing slash: environments/<name>
	// unless `path:` says otherwise; empty where there are several.
	Path string `json:"path"`
	// Paths are the directories and files, where there are several; a part of
	// one that is `*` stands for any name.
	Paths []string `json:"paths,omitempty"`
	// After are the predecessors, sorted. Empty: a first environment.
	After []Environment `json:"after,omitempty"`
	// Soak is how long a release must have been healthy here.
	Soak time.Duration `json:"soak,omitempty"`
	// Health are the sources that are asked whether a release works.
	Health []HealthSource `json:"health,omitempty"`
	// Approvals are the reviews needed on a promotion into it.
	Approvals ApprovalRule `json:"approvals"`
	// Policies are the kyverno-json policy files bound to it, in order.
	Policies      []string      `json:"policies,omitempty"`
	Supersede     Supersede     `json:"supersede"`
	Pin           Pin           `json:"pin"`
	ManualChanges ManualChanges `json:"manualChanges"`
	// AutoRollback is true for `rollback: auto`: a release that settles bad
	// is rolled back without a person.
	AutoRollback bool `json:"autoRollback,omitempty"`
	// Protected is true where nothing is merged unless the base branch's rules
	// require rung's own check from rung's own App.
	Protected bool `json:"protected,omitempty"`
	// Method is how rung merges: merge or squash.
	Method string `json:"method"`
	// Commands says who may use which command here; a verb that is absent
	// has its default role.
	Commands map[string]Who `json:"commands,omitempty"`
}

// HealthSource is one place to ask whether a release works. Exactly one of
// Status and HTTP is set.
type HealthSource struct {
	// Status is the context of a commit status or the name of a check run on
	// the base branch.
	Status string `json:"status,omitempty"`
	// App is the number of the App that must have posted it; 0 takes any.
	App int64 `json:"app,omitempty"`
	// HTTP is a URL; 2xx is healthy. `{version}`, `{digest}` and
	// `{environment}` are replaced.
	HTTP string `json:"http,omitempty"`
	// Artifact limits the source to one artifact; empty applies to all.
	Artifact Artifact `json:"artifact,omitempty"`
	// Timeout is the deadline of one HTTP probe; 0 is 5 seconds.
	Timeout time.Duration `json:"timeout,omitempty"`
	// Interval is how often it is asked while it is waited for; 0 is 30
	// seconds.
	Interval time.Duration `json:"interval,omitempty"`
	// FailAfter is how long it must keep failing before the release settles
	// bad; 0 is 2 minutes.
	FailAfter time.Duration `json:"failAfter,omitempty"`
}

// Name is the source as people know it.
func (h HealthSource) Name() string {
	if h.Status != "" {
		return h.Status
	}
	return h.HTTP
}

// ApprovalRule is how many reviews a promotion needs and from whom.
type ApprovalRule struct {
	Required int `json:"required,omitempty"`
	// Teams are "org/slug". With no team and no user anybody with write
	// counts.
	Teams []string `json:"teams,omitempty"`
	// Users are logins.
	Users []string `json:"users,omitempty"`
}

// Who says who may use a command.
type Who struct {
	// Permission is the least permission on the repository: read, triage,
	// write, maintain or admin. Empty: the command's default.
	Permission string   `json:"permission,omitempty"`
	Teams      []string `json:"teams,omitempty"`
	Users      []string `json:"users,omitempty"`
}

// ConfigProblem is an error in the configuration, with its position.
type ConfigProblem struct {
	Path   string `json:"path"`
	Line   int    `json:"line"`
	Column int    `json:"column"`
	Text   string `json:"text"`
	// Environments are those it holds; empty holds everything.
	Environments []Environment `json:"environments,omitempty"`
}

// String is "path:line:column: text".
func (p ConfigProblem) String() string {
	return fmt.Sprintf("%s:%d:%d: %s", p.Path, max(p.Line, 1), max(p.Column, 1), p.Text)
}
