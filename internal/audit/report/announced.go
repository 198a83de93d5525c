package report

import (
	"strings"
	"time"

	"github.com/rungbot/rung/internal/audit"
	"github.com/rungbot/rung/internal/promotion"
)

// Announcement is where a version's life begins: somebody published it, and an
// event told rung so. A version that rung found in a registry by itself has none.
type Announcement struct {
	Artifact promotion.Artifact `json:"artifact"`
	// Value is the version with its digest, as the registry said; without one
	// it was announced before the registry had it.
	Value promotion.Value `json:"value"`
	// At is when it was recorded; each event says when it happened.
	At time.Time `json:"at"`
	// By is who announced it last; empty where the event names nobody.
	By string `json:"by,omitempty"`
	// Events are what it stands on, oldest first, as the forge delivered them.
	Events []promotion.RecordEvent `json:"events"`
	// Causers are the logins of everybody behind the events.
	Causers []string `json:"causers"`
	// SourceRepository and SourceCommit are what it was built from, as the
	// events said.
	SourceRepository string `json:"sourceRepository,omitempty"`
	SourceCommit     string `json:"sourceCommit,omitempty"`
	// Ledger is the ledger commit with its announce record, and Statement that
	// record's payload digest.
	Ledger    promotion.Hash `json:"ledger"`
	Statement string         `json:"statement"`
}

func (r *Reader) announce(e audit.Entry) {
	rec := &e.Record
	a := &Announcement{
		Artifact: rec.Artifact.Name, Value: promotion.Value{Version: rec.Artifact.Version, Digest: rec.Artifact.Digest}, At: rec.IssuedAt, By: who(rec.Actor),
		Events: list(rec.Events), Causers: logins(rec.Causers), SourceRepository: rec.Artifact.SourceRepository, SourceCommit: rec.Artifact.SourceCommit,
		Ledger: e.Ledger, Statement: e.Statement,
	}
	r.Announced = append(r.Announced, a)
	r.statements[e.Statement] = a
}

// announcedIn are the announcements of an artifact: all of them, or those that
// something in an environment stands on.
func (r *Reader) announcedIn(h *History) []*Announcement {
	cited := map[*Announcement]bool{}
	for _, is := range h.Releases {
		cited[is.Announced] = true
	}
	for _, at := range h.Withdrawn {
		cited[at.Announced] = true
	}
	all := []*Announcement{}
	for _, a := range r.Announced {
		if a.Artifact == h.Artifact && (h.Environment == "" || cited[a]) {
			all = append(all, a)
		}
	}
	return all
}

// eventWords say what announced a version, by whom and in which repository.
func eventWords(a *Announcement) string {
	if a == nil {
		return ""
	}
	all := make([]string, len(a.Events))
	for i, e := range a.Events {
		all[i] = e.Event
		if e.Sender.Login != "" {
			all[i] += " by " + e.Sender.Login
		}
		if e.Publisher != "" {
			all[i] += " in " + e.Publisher
		}
	}
	return strings.Join(all, "; ")
}

// sourceWords are the repository and commit that a version was built from.
func sourceWords(repository, commit string) string {
	if commit != "" && repository != "" {
		return repository + "@" + commit
	}
	return repository + commit
}

// source is what an announcement's version was built from.
func (a *Announcement) source() string {
	if a == nil {
		return ""
	}
	return sourceWords(a.SourceRepository, a.SourceCommit)
}
