package pipeline

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/rungbot/rung/internal/nearest"

	"github.com/rungbot/rung/internal/promotion"
)

// readEnvironments takes the environments of all files, the first of a name.
func (b *builder) readEnvironments() {
	for _, s := range b.sources {
		for i := range s.file.Environments {
			key, file := s.file.Environments[i].Key, &s.file.Environments[i].Value
			name, err := promotion.ParseEnvironment(key.Value)
			if err != nil {
				b.report(key.At, "environments: %v", err)
				continue
			}
			if name == allPattern {
				b.report(key.At, "environments: %s is reserved: policies use it for every environment", name)
				continue
			}
			if first, twice := b.environments[name]; twice {
				b.report(key.At, "environment %s is already defined at %s", name, first.at)
				continue
			}
			if len(b.environments) == maxEnvironments {
				b.report(key.At, "there are more than %d environments", maxEnvironments)
				return
			}
			b.environments[name] = &environment{
				name: name, at: key.At, source: s, file: file,
				spec:  promotion.EnvironmentSpec{Name: name},
				after: map[promotion.Environment]position{},
			}
			s.environments = append(s.environments, name)
		}
	}
	b.checkHealth("defaults", b.defaults.Health.Value, NoEnvironment)
	b.checkApprovals("defaults", &b.defaults.Approvals)
}

// environmentNames are the known names as text.
func (b *builder) environmentNames() []string {
	names := make([]string, 0, len(b.environments))
	for name := range b.environments {
		names = append(names, string(name))
	}
	return names
}

// settle fills one environment in: its own fields, then the defaults, then the
// floors.
func (b *builder) settle(e *environment) {
	f, what := e.file, "environments."+string(e.name)
	b.readAfter(e)
	e.spec.Path = "environments/" + string(e.name)
	if f.Path.written() {
		b.readPath(e)
	}
	if f.Paths.At.Line > 0 { // those of a faulty list that are sound count, never the default
		b.readPaths(e)
	}
	b.checkHealth(what, f.Health.Value, e.name)
	b.checkApprovals(what, &f.Approvals)

	e.spec.Soak = time.Duration(pick(f.Soak, b.defaults.Soak).Value)
	e.spec.Health = healthSpecs(pick(f.Health, b.defaults.Health).Value)
	approvals := pick(f.Approvals, b.defaults.Approvals)
	e.spec.Approvals = promotion.ApprovalRule{
		Required: approvals.Value.Required.Value,
		Teams:    b.valid(approvals.Value.Teams.Value, checkTeam),
		Users:    b.valid(approvals.Value.Users.Value, checkLogin),
	}
	e.spec.Supersede = promotion.Supersede(cmp.Or(f.Supersede.Value, b.defaults.Supersede.Value, string(promotion.SupersedeUntilApproved)))
	e.spec.Pin = promotion.Pin(cmp.Or(f.Pin.Value, b.defaults.Pin.Value, string(promotion.PinDigest)))
	e.spec.ManualChanges = promotion.ManualChanges(cmp.Or(f.ManualChanges.Value, b.defaults.ManualChanges.Value, string(promotion.ManualAdopt)))
	e.spec.AutoRollback = cmp.Or(f.Rollback.Value, b.defaults.Rollback.Value) == "auto"
	e.spec.Protected = pick(f.Protected, b.defaults.Protected).Value
	e.spec.Method = cmp.Or(f.Merge.Value, b.defaults.Merge.Value, "merge")

	b.applyFloor(e)
	if a := e.spec.Approvals; approvals.written() && a.Required == 0 && (len(a.Teams) > 0 || len(a.Users) > 0) {
		b.report(approvals.At, "%s: teams or users are named but no review is required: write required: 1", what)
	}
	b.bindPolicies(e)
	e.spec.Commands = b.commandsFor(e.name)
}

// pick is the environment's own value, or the default.
func pick[T any](own, fallback located[T]) located[T] {
	if own.written() {
		return own
	}
	return fallback
}

func (b *builder) readAfter(e *environment) {
	for _, item := range e.file.After.Value {
		if !item.written() {
			continue
		}
		name := promotion.Environment(item.Value)
		if _, known := b.environments[name]; !known {
			b.unknown(item.At, e.name, "environments.%s.after: there is no environment %s%s", e.name, quote(item.Value), nearest.DidYouMean(item.Value, b.environmentNames()))
			continue
		}
		if _, twice := e.after[name]; twice {
			b.report(item.At, "environments.%s.after: %s is listed twice", e.name, name)
			continue
		}
		e.after[name] = item.At
	}
	e.spec.After = slices.Sorted(maps.Keys(e.after))
	if len(e.spec.After) == 0 {
		e.spec.After = nil
	}
}

func (b *builder) readPath(e *environment) {
	p := strings.TrimSuffix(e.file.Path.Value, "/")
	if err := checkManifestPath(p); err != nil {
		b.report(e.file.Path.At, "environments.%s.path: %v", e.name, err)
		return
	}
	e.spec.Path = p
}

// readPaths takes several directories and files. Faulty ones are left out, so that
// nothing is looked for where nobody meant it.
func (b *builder) readPaths(e *environment) {
	if e.file.Path.written() {
		b.report(e.file.Paths.At, "environments.%s: write path or paths, not both", e.name)
		return
	}
	e.spec.Path = ""
	if len(e.file.Paths.Value) == 0 && e.file.Paths.written() {
		b.report(e.file.Paths.At, "environments.%s.paths: name at least one directory or file, or leave paths out for environments/%s", e.name, e.name)
	}
	for _, item := range e.file.Paths.Value {
		if !item.written() {
			continue
		}
		p := strings.TrimSuffix(item.Value, "/")
		if err := checkPathPattern(p); err != nil {
			b.report(item.At, "environments.%s.paths: %v", e.name, err)
		} else if slices.Contains(e.spec.Paths, p) {
			b.report(item.At, "environments.%s.paths: %s is listed twice", e.name, quote(p))
		} else {
			e.spec.Paths = append(e.spec.Paths, p)
		}
	}
}

// checkPaths refuses environments that have files in common: a promotion into one
// would change the other.
func (b *builder) checkPaths() {
	list, count := b.ordered(), 0
	for i, e := range list {
		if count += len(e.paths()); count > maxPaths {
			b.report(e.at, "environments.%s: there are more than %d paths in all environments: use * for what they share", e.name, maxPaths)
			return
		}
		for _, first := range list[:i] {
			b.checkOverlap(e, first)
		}
	}
}

func (b *builder) checkOverlap(e, first *environment) {
	for _, own := range e.paths() {
		for _, theirs := range first.paths() {
			if !promotion.Overlaps(own, theirs) {
				continue
			}
			at := e.at
			switch {
			case e.file.Path.written():
				at = e.file.Path.At
			case e.file.Paths.written():
				at = e.file.Paths.At
			}
			b.report(at, "environments.%s: its directory %s overlaps %s of environment %s at %s", e.name, own, theirs, first.name, first.at)
			return
		}
	}
}

func (e *environment) paths() []string {
	if e.spec.Path != "" {
		return []string{e.spec.Path}
	}
	return e.spec.Paths
}

// checkHealth checks health sources where they are written. by is who is held
// when an artifact is unknown.
func (b *builder) checkHealth(what string, list []healthFile, by promotion.Environment) {
	for i := range list {
		h, what := &list[i], fmt.Sprintf("%s.health[%d]", what, i)
		if h.at.Line == 0 {
			continue // reported already
		}
		switch {
		case h.Status.written() && h.HTTP.written():
			b.report(h.at, "%s: write status or http, not both", what)
		case h.HTTP.written():
			if err := checkProbe(h.HTTP.Value); err != nil {
				b.report(h.HTTP.At, "%s.http: %v", what, err)
			}
			if h.App.written() {
				b.report(h.App.At, "%s: app belongs to status, not to http", what)
			}
		case h.Status.written():
			if h.Timeout.written() {
				b.report(h.Timeout.At, "%s: timeout belongs to http, not to status", what)
			}
			if strings.ContainsFunc(h.Status.Value, func(r rune) bool { return r < ' ' || r == 0x7f }) || len(h.Status.Value) > 255 {
				b.report(h.Status.At, "%s.status: a context is one line of at most 255 characters", what)
			}
		default:
			b.report(h.at, "%s: write status (a commit status or check) or http (a URL to probe)", what)
		}
		if name := h.Artifact; name.written() {
			if _, known := b.artifacts[promotion.Artifact(name.Value)]; !known {
				b.unknown(name.At, by, "%s.artifact: there is no artifact %s%s", what, quote(name.Value), nearest.DidYouMean(name.Value, b.artifactNames()))
			}
		}
	}
}

func (b *builder) artifactNames() []string {
	names := make([]string, 0, len(b.artifacts))
	for name := range b.artifacts {
		names = append(names, string(name))
	}
	return names
}

func healthSpecs(list []healthFile) []promotion.HealthSource {
	var specs []promotion.HealthSource
	for _, h := range list {
		specs = append(specs, promotion.HealthSource{
			Status: h.Status.Value, App: int64(h.App.Value), HTTP: h.HTTP.Value, Artifact: promotion.Artifact(h.Artifact.Value),
			Timeout: time.Duration(h.Timeout.Value), Interval: time.Duration(h.Interval.Value), FailAfter: time.Duration(h.FailAfter.Value),
		})
	}
	return specs
}

// checkApprovals checks an approval rule where it is written.
func (b *builder) checkApprovals(what string, a *located[approvalsFile]) {
	if !a.written() {
		return
	}
	rule := &a.Value
	b.checkEach(what+".approvals.teams", rule.Teams.Value, checkTeam)
	b.checkEach(what+".approvals.users", rule.Users.Value, checkLogin)
	if users := len(rule.Users.Value); users > 0 && len(rule.Teams.Value) == 0 && rule.Required.Value > users {
		b.report(rule.Required.At, "%s.approvals: %d reviews are required but only %d may give one", what, rule.Required.Value, users)
	}
}

// checkEach checks every item of a list, and that none comes twice.
func (b *builder) checkEach(what string, list []located[string], check func(string) error) {
	seen := map[string]bool{}
	for _, item := range list {
		if !item.written() {
			continue
		}
		if err := check(item.Value); err != nil {
			b.report(item.At, "%s: %v", what, err)
		} else if lower := strings.ToLower(item.Value); seen[lower] {
			b.report(item.At, "%s: %s is listed twice", what, quote(item.Value))
		} else {
			seen[lower] = true
		}
	}
}

// valid is the sound items of a list.
func (b *builder) valid(list []located[string], check func(string) error) []string {
	var values []string
	for _, item := range list {
		if item.written() && check(item.Value) == nil && !slices.Contains(values, item.Value) {
			values = append(values, item.Value)
		}
	}
	return values
}
