package pipeline

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rungbot/rung/internal/nearest"

	"github.com/rungbot/rung/internal/promotion"
)

// floor is the union of the floors that stand under one environment.
type floor struct {
	soak       time.Duration
	soakAt     position
	required   int
	requiredAt position
	// teams is nil where no floor names any.
	teams   []string
	teamsAt position
	// protectedAt is where a floor says protected: true.
	protectedAt position
	policies    []located[string]
}

// readPatterns checks the keys of floors, policies and commands, and what
// stands under them, and gathers each environment's floor.
func (b *builder) readPatterns() {
	for i := range b.root.Floors {
		e := &b.root.Floors[i]
		if b.checkKey("floors", e.Key) {
			b.readFloor(e.Key.Value, &e.Value)
		}
	}
	for _, e := range b.root.Policies {
		if e.Key.Value == allPattern || b.checkKey("policies", e.Key) {
			b.checkPolicies("policies."+e.Key.Value, e.Value)
		}
	}
	for _, e := range b.root.Commands {
		if b.checkKey("commands", e.Key) {
			b.checkCommands("commands."+e.Key.Value, e.Value)
		}
	}
}

// checkKey checks a name or glob of environments: it must match one, or a
// mistyped floor would silently guard nothing.
func (b *builder) checkKey(what string, key located[string]) bool {
	if err := checkPattern(key.Value); err != nil {
		b.report(key.At, "%s: %v", what, err)
		return false
	}
	for name := range b.environments {
		if matchPattern(key.Value, name) && key.Value != allPattern {
			return true
		}
	}
	if b.unreadable() != "" {
		return true // the file that can't be read may define one
	}
	if strings.ContainsAny(key.Value, "*?") {
		names := slices.Sorted(slices.Values(b.environmentNames()))
		if len(names) > 10 {
			names = append(names[:10], "…")
		}
		b.report(key.At, "%s: %s matches no environment; there are %s", what, quote(key.Value), strings.Join(names, ", "))
	} else if key.Value == allPattern {
		b.report(key.At, `%s: write "*" for every environment`, what)
	} else {
		b.report(key.At, "%s: there is no environment %s%s", what, quote(key.Value), nearest.DidYouMean(key.Value, b.environmentNames()))
	}
	return false
}

func (b *builder) readFloor(pattern string, f *floorFile) {
	what := "floors." + pattern
	b.checkPolicies(what+".policies", f.Policies.Value)
	b.checkEach(what+".approvals.teams", f.Approvals.Value.Teams.Value, checkTeam)
	teams := b.valid(f.Approvals.Value.Teams.Value, checkTeam)
	for _, e := range b.ordered() {
		if !matchPattern(pattern, e.name) {
			continue
		}
		if soak := time.Duration(f.Soak.Value); soak > e.floor.soak {
			e.floor.soak, e.floor.soakAt = soak, f.Soak.At
		}
		if required := f.Approvals.Value.Required; required.Value > e.floor.required {
			e.floor.required, e.floor.requiredAt = required.Value, required.At
		}
		if f.Protected.Value {
			e.floor.protectedAt = f.Protected.At
		}
		e.floor.policies = append(e.floor.policies, f.Policies.Value...)
		if len(teams) == 0 {
			continue
		}
		if e.floor.teams == nil {
			e.floor.teams, e.floor.teamsAt = teams, f.Approvals.Value.Teams.At
			continue
		}
		both := intersect(e.floor.teams, teams)
		if len(both) == 0 {
			b.report(f.Approvals.Value.Teams.At, "%s.approvals.teams: no team also satisfies the floor at %s, which stands under %s as well", what, e.floor.teamsAt, e.name)
			continue
		}
		e.floor.teams, e.floor.teamsAt = both, f.Approvals.Value.Teams.At
	}
}

func intersect(a, b []string) []string {
	var both []string
	for _, s := range a {
		if containsFold(b, s) {
			both = append(both, s)
		}
	}
	return both
}

func containsFold(list []string, s string) bool {
	return slices.ContainsFunc(list, func(have string) bool { return strings.EqualFold(have, s) })
}

// applyFloor raises the environment to its floor, and reports where its own
// fields try to go below. Defaults are raised silently: they try nothing.
func (b *builder) applyFloor(e *environment) {
	f, spec, what := &e.floor, &e.spec, "environments."+string(e.name)
	if spec.Soak < f.soak {
		if own := e.file.Soak; own.written() {
			b.report(own.At, "%s.soak: %s is below the floor of %s at %s; the floor holds", what, showDuration(spec.Soak), showDuration(f.soak), f.soakAt)
		}
		spec.Soak = f.soak
	}
	if f.protectedAt != (position{}) && !spec.Protected {
		if own := e.file.Protected; own.written() {
			b.report(own.At, "%s.protected: false is below the floor of true at %s; the floor holds", what, f.protectedAt)
		}
		spec.Protected = true
	}
	own := e.file.Approvals
	if spec.Approvals.Required < f.required {
		if own.written() && own.Value.Required.written() {
			b.report(own.Value.Required.At, "%s.approvals.required: %d is below the floor of %d at %s; the floor holds", what, spec.Approvals.Required, f.required, f.requiredAt)
		}
		spec.Approvals.Required = f.required
	}
	if f.teams == nil {
		return
	}
	if own.written() {
		b.reportBeyond(own.Value.Teams.Value, f, what+".approvals.teams: %s is not among the teams of the floor at %s; the floor holds")
		for _, user := range own.Value.Users.Value {
			b.reportSet(user, "%s.approvals.users: %s may not count beside the teams of the floor at %s; the floor holds", what, quote(user.Value), f.teamsAt)
		}
	}
	spec.Approvals.Users = nil
	spec.Approvals.Teams = intersect(spec.Approvals.Teams, f.teams)
	if len(spec.Approvals.Teams) == 0 {
		spec.Approvals.Teams = slices.Clone(f.teams)
	}
}

func (b *builder) reportBeyond(teams []located[string], f *floor, format string) {
	for _, team := range teams {
		if !containsFold(f.teams, team.Value) {
			b.reportSet(team, format, quote(team.Value), f.teamsAt)
		}
	}
}

// policyDirectory is where all policies lie.
const policyDirectory = "policies"

// isCases reports whether a file holds a policy's cases; they lie beside it.
func isCases(file string) bool { return strings.HasSuffix(file, "_test.yaml") }

// policyPaths are the files that one entry names: a file, or every *.yaml
// directly in a directory.
func (b *builder) policyPaths(entry string) ([]string, error) {
	p := strings.TrimSuffix(entry, "/")
	if err := checkPath(p); err != nil {
		return nil, err
	}
	if p != policyDirectory && !strings.HasPrefix(p, policyDirectory+"/") {
		return nil, fmt.Errorf("%s does not lie in %s/, where policies are kept: a pull request that changes one is known by it", quote(entry), policyDirectory)
	}
	if isCases(entry) {
		return nil, fmt.Errorf("%s holds a policy's cases: bind the policy alone", quote(entry))
	}
	if _, found := slices.BinarySearch(b.policyFiles, entry); found {
		return []string{entry}, nil
	}
	var files, known []string
	for _, file := range b.policyFiles {
		if rest, in := strings.CutPrefix(file, p+"/"); in && !strings.Contains(rest, "/") && strings.HasSuffix(rest, ".yaml") && !isCases(rest) {
			files = append(files, file)
		}
		known = append(known, file)
	}
	if len(files) > 0 {
		return files, nil
	}
	if strings.HasSuffix(entry, "/") {
		return nil, fmt.Errorf("there is no policy (*.yaml) in the directory %s", quote(entry))
	}
	if !strings.HasSuffix(entry, ".yaml") {
		return nil, fmt.Errorf("%s is no policy: policies are *.yaml files, or directories of them%s", quote(entry), nearest.DidYouMean(entry, known))
	}
	return nil, fmt.Errorf("there is no file %s%s", quote(entry), nearest.DidYouMean(entry, known))
}

func (b *builder) checkPolicies(what string, list []located[string]) {
	for _, item := range list {
		if _, err := b.policyPaths(item.Value); err != nil {
			b.reportSet(item, "%s: %v", what, err)
		}
	}
}

// bindPolicies lists the environment's policies: the floors', the root's in
// the order of the file, its own; each once. One that is missing stays in the
// list by its name, so that its gate finds nothing and denies.
func (b *builder) bindPolicies(e *environment) {
	items := slices.Clone(e.floor.policies)
	for _, p := range b.root.Policies {
		if matchPattern(p.Key.Value, e.name) {
			items = append(items, p.Value...)
		}
	}
	b.checkPolicies("environments."+string(e.name)+".policies", e.file.Policies.Value)
	items = append(items, e.file.Policies.Value...)
	for _, item := range items {
		paths, err := b.policyPaths(item.Value)
		if err != nil {
			paths = []string{item.Value}
		}
		for _, path := range paths {
			if !slices.Contains(e.spec.Policies, path) {
				e.spec.Policies = append(e.spec.Policies, path)
			}
		}
	}
}

// commands are the verbs that `commands:` may name. force is the right to add
// `force:` to a rollback.
var commands = []string{
	"adopt", "force", "freeze", "help", "hold", "hotfix", "quarantine", "resume", "retry", "rollback", "unfreeze", "unquarantine", "why",
}

func (b *builder) checkCommands(what string, list entries[whoFile]) {
	for i := range list {
		key, who := list[i].Key, &list[i].Value
		if !slices.Contains(commands, key.Value) {
			b.report(key.At, "%s: there is no command %s%s", what, quote(key.Value), suggest(key.Value, commands...))
			continue
		}
		what := what + "." + key.Value
		b.checkEach(what+".teams", who.Teams.Value, checkTeam)
		b.checkEach(what+".users", who.Users.Value, checkLogin)
		if who.Permission.At.Line == 0 && empty(who.Teams) && empty(who.Users) {
			b.report(key.At, "%s says nobody: name a permission, teams or users", what)
		}
		if who.Permission.Value == "read" && key.Value != "why" && key.Value != "help" {
			b.report(who.Permission.At, "%s: read is no guard, everybody has it on a public repository: use triage or more", what)
		}
	}
}

// empty reports whether a list has no item, for no fault of its items.
func empty(l located[[]located[string]]) bool { return len(l.Value) == 0 && !l.Faulty }

// commandsFor are the command rules of one environment; of several entries
// that match, the last one holds.
func (b *builder) commandsFor(name promotion.Environment) map[string]promotion.Who {
	var rules map[string]promotion.Who
	for _, e := range b.root.Commands {
		if e.Key.Value == allPattern || !matchPattern(e.Key.Value, name) {
			continue
		}
		for _, c := range e.Value {
			if !slices.Contains(commands, c.Key.Value) {
				continue
			}
			if rules == nil {
				rules = map[string]promotion.Who{}
			}
			rules[c.Key.Value] = promotion.Who{
				Permission: c.Value.Permission.Value,
				Teams:      b.valid(c.Value.Teams.Value, checkTeam),
				Users:      b.valid(c.Value.Users.Value, checkLogin),
			}
		}
	}
	return rules
}
