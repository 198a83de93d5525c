package doctor

import (
	"time"

	"github.com/rungbot/rung/internal/promotion"
)

// stale is how long ago the last rollback may lie.
const stale = 90 * 24 * time.Hour

// production judges whether rung is ready for more than a trial. What this version
// does not have is said, and never ok.
func (j *judge) production() {
	for i := range j.f.Repositories {
		r := &j.f.Repositories[i]
		if r.Problem != "" || !r.Configured || len(r.Pipeline.Environments) == 0 {
			j.unjudged("ready-mode", "ready-protected", "ready-health", "ready-rollback")
			continue
		}
		j.readyRepository(r)
	}
	j.line("ready-trust", "", Warning, "this version of rung checks no signatures and no provenance of images", "until it does, check them where images are admitted, in the cluster")
	j.line("ready-analysis", "", Warning, "this version of rung analyses no metrics; a release is judged by its health sources", "until it does, let a health source ask something that judges metrics")
	j.line("ready-migrations", "", Warning, "this version of rung knows no migrations: a rollback does not know what it can't undo", "until it does, /hold an artifact whose release must not be rolled back, and say why")
	j.line("ready-escalation", "", Warning, "this version of rung tells nobody by itself when a promotion is stuck", "until it does, alert on rung_phase and rung_repositories_failing (docs/operations.md)")
	j.line("ready-alerts", "", Warning, "whether a monitoring system scrapes /metrics and alerts can't be seen from here", "install the alerts that docs/operations.md names")
}

func (j *judge) readyRepository(r *Repository) {
	if r.Pipeline.Mode == promotion.ModeObserve {
		j.line("ready-mode", r.Name, Warning, "mode observe: rung promotes nothing", "write mode: propose, or mode: merge, in rung.yaml")
	} else {
		j.ok("ready-mode", r.Name, modeWords(r.Pipeline.Mode))
	}
	last := map[promotion.Environment]bool{}
	for _, e := range r.Pipeline.Environments {
		last[e.Name] = true
		for _, before := range e.After {
			delete(last, before)
		}
	}
	var bare, blind []string
	for _, e := range r.Pipeline.Environments {
		if last[e.Name] && !e.Protected {
			bare = append(bare, string(e.Name))
		}
		if len(e.Health) == 0 {
			blind = append(blind, string(e.Name))
		}
	}
	if len(bare) > 0 {
		j.line("ready-protected", r.Name, Warning, "nothing holds promotions into "+list(bare)+" when the branch rules are loosened", "write protected: true for them in rung.yaml")
	} else {
		j.ok("ready-protected", r.Name, "the last environments are protected")
	}
	if len(blind) > 0 {
		j.line("ready-health", r.Name, Warning, "nothing is asked whether a release works in "+list(blind)+": it settles good by time alone", "write health: for them in rung.yaml")
	} else {
		j.ok("ready-health", r.Name, "every environment has a health source")
	}
	j.rolledBack(r)
}

func (j *judge) rolledBack(r *Repository) {
	const id = "ready-rollback"
	fix := "comment /rollback on a landed promotion into the first environment, and see that it comes back"
	switch ago := j.f.Now.Sub(r.RolledBack); {
	case j.f.Brief:
		j.unjudged(id)
	case r.RolledBack.IsZero():
		j.line(id, r.Name, Warning, "no rollback stands in the newest records", fix)
	case ago > stale:
		j.line(id, r.Name, Warning, "the last known rollback landed "+r.RolledBack.UTC().Format(time.DateOnly)+", "+span(ago)+" ago", fix)
	default:
		j.ok(id, r.Name, "a rollback landed "+r.RolledBack.UTC().Format(time.DateOnly))
	}
}
