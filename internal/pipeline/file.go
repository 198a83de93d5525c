package pipeline

import (
	"fmt"
	"reflect"
	"time"
)

// The structs of this file are the YAML format: the walker reads into them by
// reflection, and docs/rung.schema.json is generated from them, doc comments
// included. Struct tags:
//
//	yaml:"name,raw"      the key; raw takes any plain scalar as text
//	jsonschema:"…"       required, enum, minimum and maximum are enforced too
//	min:"…" max:"…"      bounds of a duration
//	root:"only"          refused in rung.d

// position is where something stands. Line 0 means that it is not written.
type position struct {
	Path         string
	Line, Column int
}

func (p position) String() string { return fmt.Sprintf("%s:%d:%d", p.Path, p.Line, p.Column) }

// located is a value with its position.
type located[T any] struct {
	Value T
	At    position
	// Faulty is true when the value, or something in it, is reported.
	Faulty bool
}

func (l *located[T]) slot() (value reflect.Value, at *position, faulty *bool) {
	return reflect.ValueOf(&l.Value).Elem(), &l.At, &l.Faulty
}

// written reports whether a sound value stands in the file.
func (l *located[T]) written() bool { return l.At.Line > 0 && !l.Faulty }

// entry is one key of a mapping with its value.
type entry[T any] struct {
	Key   located[string]
	Value T
}

// entries is a mapping in the order of the file.
type entries[T any] []entry[T]

func (e *entries[T]) add() (*located[string], reflect.Value) {
	*e = append(*e, entry[T]{})
	last := &(*e)[len(*e)-1]
	return &last.Key, reflect.ValueOf(&last.Value).Elem()
}

// duration is a time span as Go writes it, with `d` for days of 24 hours.
type duration time.Duration

// rootFile is rung.yaml, or one file of rung.d.
type rootFile struct {
	// The version of the format: 1.
	Version located[int] `yaml:"version" jsonschema:"required,minimum=1,maximum=1"`
	// How far rung goes by itself: observe says what it would do, propose
	// opens pull requests that people merge, merge also merges them once every
	// gate passes.
	Mode located[string] `yaml:"mode" jsonschema:"enum=observe,enum=propose,enum=merge,default=observe" root:"only"`
	// Who makes and signs promotion commits: rung with its release key, or GitHub
	// through its API with its own, where a rule of the base branch requires signed
	// commits. Either way rung's signed records carry the proof.
	Commits located[string] `yaml:"commits" jsonschema:"enum=rung,enum=github,default=rung" root:"only"`
	// The first commit of the ledger branch, written once by the onboarding
	// pull request. With it present rung never starts another ledger.
	Ledger located[string] `yaml:"ledger,raw" jsonschema:"pattern=^[0-9a-f]{40}$" root:"only"`
	// The last commit of the ledger before this one, which nobody can sign any
	// more because its keys are lost. It lets rung begin another, and stays.
	LedgerBefore located[string] `yaml:"ledgerBefore,raw" jsonschema:"pattern=^[0-9a-f]{40}$" root:"only"`
	// What an environment is when it does not say otherwise.
	Defaults located[settingsFile] `yaml:"defaults" root:"only"`
	// Lower bounds by environment name or glob; neither an environment nor a
	// file of rung.d can go below them.
	Floors entries[floorFile] `yaml:"floors" root:"only"`
	// The artifacts that climb, by name.
	Artifacts entries[artifactFile] `yaml:"artifacts"`
	// The environments, by name.
	Environments entries[environmentFile] `yaml:"environments"`
	// Policy files by environment name or glob; `all` is every environment. A
	// path that ends in / is every *.yaml directly in that directory.
	Policies entries[[]located[string]] `yaml:"policies" root:"only"`
	// Who may use which command, by environment name or glob, then by command;
	// of several entries that match, the last one holds.
	Commands entries[entries[whoFile]] `yaml:"commands" root:"only"`
}

// An artifact: something with versions that is published outside.
type artifactFile struct {
	// The OCI repository with its registry's host, without tag or digest.
	Image located[string] `yaml:"image" jsonschema:"required"`
	// The repositories (owner/name) whose events may announce a version.
	// Without any, only events sent to the GitOps repository itself.
	Publishers located[[]located[string]] `yaml:"publishers"`
	// Which versions count: a semantic version range, or a regular expression
	// with an order. Without it: every semantic version that isn't a
	// pre-release.
	Versions versionsFile `yaml:"versions"`
	// The source repository's web address, for compare links.
	Repository located[string] `yaml:"repository"`
	// How often the registry is asked when no event comes; 10m without it.
	Poll located[duration] `yaml:"poll" min:"10s" max:"24h"`
}

// Which versions count, by regular expression.
type versionRuleFile struct {
	// An RE2 expression that the whole version must match.
	Regex located[string] `yaml:"regex" jsonschema:"required"`
	// How matches are ordered: as semantic versions, as numbers, or as text;
	// by the first capture group if there is one.
	Order located[string] `yaml:"order" jsonschema:"enum=semver,enum=numeric,enum=lexical,default=semver"`
}

// versionsFile is a range or a rule.
type versionsFile struct {
	At    position
	Range string
	Rule  *versionRuleFile
}

// What an environment is, as far as `defaults` may say it.
type settingsFile struct {
	// How long a release must have been healthy before it may climb on.
	Soak located[duration] `yaml:"soak" min:"0s" max:"720h"`
	// Who is asked whether a release works.
	Health located[[]healthFile] `yaml:"health"`
	// The reviews that a promotion needs.
	Approvals located[approvalsFile] `yaml:"approvals"`
	// What a newer version does to an open promotion: replace it unless an
	// approval counts, replace it always, or wait.
	Supersede located[string] `yaml:"supersede" jsonschema:"enum=until-approved,enum=always,enum=never,default=until-approved"`
	// What is written: the digest with the version beside it, or the version
	// alone.
	Pin located[string] `yaml:"pin" jsonschema:"enum=digest,enum=tag,default=digest"`
	// What happens when people change a version by hand: record it and go on,
	// hold until somebody says /adopt, or put back, once, what stood before.
	ManualChanges located[string] `yaml:"manualChanges" jsonschema:"enum=adopt,enum=hold,enum=revert,default=adopt"`
	// Whether a release that turns out bad goes back by itself or asks.
	Rollback located[string] `yaml:"rollback" jsonschema:"enum=auto,enum=ask,default=ask"`
	// Hold promotions unless the base branch's rules require the check rung from
	// this very App, so that nobody merges around the gates and a rule that is
	// loosened is noticed.
	Protected located[bool] `yaml:"protected" jsonschema:"default=false"`
	// How rung merges.
	Merge located[string] `yaml:"merge" jsonschema:"enum=merge,enum=squash,default=merge"`
}

// An environment: a directory of manifests, one rung of the ladder.
type environmentFile struct {
	// The environments that must hold a version before it may come here.
	After located[[]located[string]] `yaml:"after,raw"`
	// The directory of its manifests; environments/<name> without it.
	Path located[string] `yaml:"path"`
	// Several directories and files, instead of path. A part of a path that is
	// * stands for any name: apps/*/overlays/dev.
	Paths located[[]located[string]] `yaml:"paths"`
	// Policy files for this environment, beside those of the root's `policies`
	// and `floors`.
	Policies located[[]located[string]] `yaml:"policies"`
	settingsFile
}

// One place to ask whether a release works: a status or an http probe.
type healthFile struct {
	// The context of a commit status or the name of a check run on the base
	// branch.
	Status located[string] `yaml:"status"`
	// The number of the GitHub App that must have posted it; any without it.
	App located[int] `yaml:"app" jsonschema:"minimum=1"`
	// A URL whose 2xx answer means healthy. {environment}, {version} and
	// {digest} are replaced.
	HTTP located[string] `yaml:"http"`
	// The artifact that it speaks of; all without it.
	Artifact located[string] `yaml:"artifact,raw"`
	// The deadline of one probe; 5s without it.
	Timeout located[duration] `yaml:"timeout" min:"100ms" max:"1m"`
	// How often it is asked while it is waited for; 30s without it.
	Interval located[duration] `yaml:"interval" min:"100ms" max:"1h"`
	// How long it must keep failing before the release counts as bad; 2m
	// without it.
	FailAfter located[duration] `yaml:"failAfter" min:"0s" max:"24h"`

	at position
}

func (h *healthFile) place(at position) { h.at = at }

// The reviews that a promotion needs.
type approvalsFile struct {
	// How many.
	Required located[int] `yaml:"required" jsonschema:"minimum=0,maximum=10"`
	// Teams (org/slug) whose members count. With no team and no user anybody
	// with write counts.
	Teams located[[]located[string]] `yaml:"teams"`
	// Logins that count.
	Users located[[]located[string]] `yaml:"users,raw"`
}

// Lower bounds for the environments that a pattern names.
type floorFile struct {
	// The least soak.
	Soak located[duration] `yaml:"soak" min:"0s" max:"720h"`
	// The least reviews, and the only teams that count.
	Approvals located[floorApprovalsFile] `yaml:"approvals"`
	// true: protected, whatever the environment says.
	Protected located[bool] `yaml:"protected" jsonschema:"default=false"`
	// Policies that always apply.
	Policies located[[]located[string]] `yaml:"policies"`
}

// Lower bounds for reviews.
type floorApprovalsFile struct {
	// The least number.
	Required located[int] `yaml:"required" jsonschema:"minimum=0,maximum=10"`
	// The only teams (org/slug) whose members count.
	Teams located[[]located[string]] `yaml:"teams"`
}

// Who may use a command: who has the permission, and belongs to one of the teams or
// is one of the users.
type whoFile struct {
	// The least permission on the repository.
	Permission located[string] `yaml:"permission" jsonschema:"enum=read,enum=triage,enum=write,enum=maintain,enum=admin"`
	// Teams (org/slug).
	Teams located[[]located[string]] `yaml:"teams"`
	// Logins.
	Users located[[]located[string]] `yaml:"users,raw"`

	at position
}

func (w *whoFile) place(at position) { w.at = at }

// laterFields are fields of the design that this version does not read yet. To
// ignore one would be to drop a guard silently.
var laterFields = map[reflect.Type]map[string]string{
	reflect.TypeFor[rootFile]():        {"paths": "write path or paths in the environment"},
	reflect.TypeFor[artifactFile]():    {"verify": "signatures and provenance are not checked yet", "chart": "only images are promoted yet", "directory": "only images are promoted yet"},
	reflect.TypeFor[settingsFile]():    {"windows": "a freeze is the way to close an environment meanwhile", "analysis": "health sources are the way to judge a release meanwhile"},
	reflect.TypeFor[environmentFile](): {"windows": "a freeze is the way to close an environment meanwhile", "verify": "signatures and provenance are not checked yet", "analysis": "health sources are the way to judge a release meanwhile", "batch": "each artifact has its own promotion meanwhile"},
}
