package doctor

import (
	"fmt"
	"slices"
	"strings"

	"github.com/rungbot/rung/internal/promotion"
)

// repositories judges every repository that was looked at.
func (j *judge) repositories() {
	for i := range j.f.Repositories {
		j.repository(&j.f.Repositories[i])
	}
	if len(j.f.Repositories) > 0 {
		return
	}
	j.unjudged(idsAfter(GroupRepository, "configuration")...)
	if n := len(j.f.Unconfigured); n > 0 && !j.f.Unlooked {
		first := j.f.Unconfigured[0]
		text := first + " has no rung.yaml on its base branch"
		if n > 1 {
			text = fmt.Sprintf("none of %d repositories has a rung.yaml on its base branch", n)
		}
		j.line("configuration", "", Failure, text, "write one, for instance: rung init --pull-request "+first)
		return
	}
	j.unjudged("repository", "configuration")
}

// repository judges one repository.
func (j *judge) repository(r *Repository) {
	switch {
	case r.Problem != "":
		j.blind("repository", r.Name, Failure, r.Problem, "see that the App is installed on "+r.Name+" and may read it, then run rung doctor again")
		j.unjudged(idsAfter(GroupRepository, "repository")...)
		return
	case r.Held != "":
		j.line("repository", r.Name, Failure, r.Held, "mend that, or take the App off the repository")
	default:
		j.ok("repository", r.Name, "it can be read, base branch "+r.Base)
	}
	if !j.configuration(r) {
		j.unjudged(idsAfter(GroupRepository, "mode")...)
		return
	}
	j.policies(r)
	if !j.f.Brief {
		j.ledger(r)
	}
	j.ledgerBranch(r)
	j.promotionBranches(r)
	j.requiredCheck(r)
	for i := range r.Pipeline.Environments {
		j.merge(r, &r.Pipeline.Environments[i])
	}
	if j.f.Brief {
		return
	}
	j.registry(r)
	j.retention(r)
}

// configuration judges rung.yaml. It reports whether there is one to go by.
func (j *judge) configuration(r *Repository) bool {
	const id = "configuration"
	var problems []promotion.ConfigProblem
	for _, p := range r.Problems {
		if !r.isPolicy(p.Path) {
			problems = append(problems, p)
		}
	}
	environments, artifacts := len(r.Pipeline.Environments), len(r.Pipeline.Artifacts)
	switch {
	case !r.Configured:
		j.line(id, r.Name, Failure, "the base branch has no rung.yaml", "write one: rung init --pull-request "+r.Name)
		j.unjudged("mode")
		return false
	case len(problems) > 0:
		text := problems[0].String()
		if n := len(problems) - 1; n > 0 {
			text += fmt.Sprintf(" (and %d more)", n)
		}
		j.line(id, r.Name, Failure, text, "mend it; rung validate shows every problem of a checkout")
	case environments == 0:
		j.line(id, r.Name, Failure, "rung.yaml names no environment, so that there is nothing to promote into", "name the environments, as rung init would: rung init --print")
	case artifacts == 0:
		j.line(id, r.Name, Failure, "rung.yaml names no artifact, so that there is nothing to promote", "name the artifacts, as rung init would: rung init --print")
	default:
		j.ok(id, r.Name, fmt.Sprintf("rung.yaml holds: %s, %s", count(environments, "environment"), count(artifacts, "artifact")))
	}
	if environments == 0 {
		j.unjudged("mode")
		return false
	}
	j.ok("mode", r.Name, modeWords(r.Pipeline.Mode))
	return true
}

func (r *Repository) isPolicy(path string) bool {
	return slices.Contains(r.Pipeline.PolicyPaths, path) || strings.HasPrefix(path, "policies/")
}

func modeWords(m promotion.Mode) string {
	switch m {
	case promotion.ModeMerge:
		return "mode merge: rung merges once every gate passes"
	case promotion.ModePropose:
		return "mode propose: rung opens pull requests, people merge them"
	case promotion.ModeObserve, "":
		return "mode observe: rung says what it would do, and writes only its check"
	}
	return "mode " + string(m)
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

func (j *judge) policies(r *Repository) {
	const id = "policies"
	for _, p := range r.Problems {
		if r.isPolicy(p.Path) {
			j.line(id, r.Name, Failure, p.String(), "mend it; rung validate shows every problem of a checkout, rung policy test tries policies on cases")
			return
		}
	}
	if n := len(r.Pipeline.PolicyPaths); n > 0 {
		files := "policy file"
		j.ok(id, r.Name, fmt.Sprintf("%s compile", count(n, files)))
		return
	}
	j.ok(id, r.Name, "no environment has a policy")
}

func (j *judge) ledger(r *Repository) {
	const id = "ledger"
	observes := r.Pipeline.Mode == promotion.ModeObserve
	switch {
	case r.LedgerProblem != "":
		j.line(id, r.Name, Failure, r.LedgerProblem, "docs/operations.md says what to do when the ledger is lost, reset or another one; rung holds everything until then")
	case r.Tip == "" && observes:
		j.ok(id, r.Name, "there is no ledger yet: in mode observe nothing is recorded")
	case r.Tip == "":
		j.line(id, r.Name, Warning, "there is no ledger yet: rung starts it with its first pass in mode propose or merge", "run rung serve, and merge the pull request that names the ledger")
	case r.Pipeline.Ledger == "":
		j.line(id, r.Name, Warning, "rung.yaml does not name the ledger: whoever can push could put another in its place", "merge rung's pull request rung/onboard, which adds the line")
	default:
		j.ok(id, r.Name, "rung.yaml names the ledger that is there")
	}
}

func (j *judge) registry(r *Repository) {
	const id = "registry"
	if r.Registry == nil {
		j.unjudged(id)
		return
	}
	for _, a := range r.Pipeline.Artifacts {
		subject := r.Name + " " + string(a.Name)
		seen, looked := r.Registry[a.Name]
		switch {
		case !looked:
			j.blind(id, subject, Warning, "nobody asked the registry of "+a.Image, "mend what the lines above say")
		case seen.Error != "":
			j.blind(id, subject, Failure, seen.Error, "see that "+a.Image+" is the image's name, and that RUNG_REGISTRY_HOST, RUNG_REGISTRY_USERNAME and RUNG_REGISTRY_PASSWORD, or the Docker configuration, let rung read it")
		case len(seen.Releases) == 0:
			j.line(id, subject, Warning, "the registry of "+a.Image+" serves no version that counts", "publish one, or mend versions: of "+string(a.Name)+" in rung.yaml")
		default:
			j.ok(id, subject, fmt.Sprintf("%s serves %s as its newest version", a.Image, seen.Releases[0].Version))
		}
	}
}

func (j *judge) retention(r *Repository) {
	const id = "retention"
	for _, b := range r.Rollbacks {
		subject := r.Name + " " + b.Pair.String()
		switch {
		case b.Problem != "":
			j.blind(id, subject, Warning, b.Problem, "run rung doctor again once it answers")
		case b.Last.Digest == "":
			j.ok(id, subject, "there is no earlier good release yet that could be gone back to")
		case !b.Served:
			j.line(id, subject, Failure, fmt.Sprintf("the registry no longer serves %s (%s), to which a rollback would go", b.Last.Version, b.Last.Digest.Short()), "let the registry keep what was live before, or push "+string(b.Last.Version)+" again under the same digest")
		default:
			j.ok(id, subject, fmt.Sprintf("a rollback finds %s (%s)", b.Last.Version, b.Last.Digest.Short()))
		}
	}
}
