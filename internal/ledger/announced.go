package ledger

import (
	"slices"
	"strings"

	"github.com/rungbot/rung/internal/promotion"
)

// KeepAnnounced is how many announce records of one artifact stand in the tree:
// more than there are versions that may be promoted next. The commit that adds
// one more takes the oldest out; it stays in the history, and the records of
// what it led to cite it.
const KeepAnnounced = 8

// announcedIn are a state's announcements, oldest first.
func announcedIn(st promotion.LedgerState) map[promotion.Artifact][]promotion.LedgerEntry {
	all := map[promotion.Artifact][]promotion.LedgerEntry{}
	for name, list := range st.Announced {
		all[name] = slices.SortedFunc(slices.Values(list), func(a, b promotion.LedgerEntry) int {
			if c := a.Record.IssuedAt.Compare(b.Record.IssuedAt); c != 0 {
				return c
			}
			return strings.Compare(string(a.Record.Artifact.Version), string(b.Record.Artifact.Version))
		})
	}
	return all
}

// outdated are the paths that have to go where an announce record comes.
func (a *appender) outdated(r *promotion.Record) []string {
	var paths []string
	same := func(e promotion.LedgerEntry) bool { return e.Record.Artifact.Version == r.Artifact.Version }
	others := slices.DeleteFunc(slices.Clone(a.announced[r.Artifact.Name]), same)
	for _, e := range others[:max(0, len(others)-KeepAnnounced+1)] {
		paths = append(paths, AnnouncedPath(r.Artifact.Name, e.Record.Artifact.Version))
	}
	return paths
}

// announce keeps an announce record among the newest, and takes out what is
// outdated by it.
func (a *appender) announce(e promotion.LedgerEntry) {
	name := e.Record.Artifact.Name
	gone := a.outdated(&e.Record)
	for _, path := range gone {
		a.files[path] = nil
		delete(a.links, path)
	}
	a.announced[name] = append(slices.DeleteFunc(a.announced[name], func(old promotion.LedgerEntry) bool {
		return old.Record.Artifact.Version == e.Record.Artifact.Version || slices.Contains(gone, AnnouncedPath(name, old.Record.Artifact.Version))
	}), e)
}
