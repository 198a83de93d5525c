package audit

import (
	"fmt"
	"slices"
	"strings"

	"github.com/rungbot/rung/internal/ledger"
	"github.com/rungbot/rung/internal/promotion"
)

// outdated reports whether a removed announcement had to make room: the same
// commit announces another version of its artifact, and as many as are kept stand
// after it, none of them older.
func (s *ledgerStep) outdated(path string) bool {
	gone := s.stands(path).newest()
	if gone == nil || gone.Record.Kind != promotion.RecordAnnounce {
		return false
	}
	stands, added := 0, false
	prefix := path[:strings.LastIndexByte(path, '/')+1]
	_ = s.remember(prefix) // noted as doubt
	for at, f := range s.standing() {
		r := f.newest()
		if !strings.HasPrefix(at, prefix) || r == nil {
			continue
		}
		if r.Record.IssuedAt.Before(gone.Record.IssuedAt) {
			return false
		}
		stands++
		added = added || s.changed[at] != nil
	}
	return added && stands >= ledger.KeepAnnounced
}

// standing are the record files as they stand after the step.
func (s *ledgerStep) standing() map[string]*recordFile {
	files := make(map[string]*recordFile, len(s.files))
	for path, f := range s.files {
		files[path] = f
	}
	for path, f := range s.changed {
		files[path] = f
	}
	for _, path := range s.removed {
		delete(files, path)
	}
	return files
}

// announced checks the announcement that a record cites: it is of the same version,
// and nobody is left out of those who caused it.
func (s *ledgerStep) announced(r *recorded) {
	rec := &r.Record
	if rec.Announced == "" {
		return
	}
	to := s.cites(rec.Announced, ledger.AnnouncedPath(ledger.PairOf(*rec).Artifact, versionOf(rec)))
	switch {
	case to == nil || to.Record.Kind != promotion.RecordAnnounce || rec.Artifact == nil || to.Record.Artifact.Name != rec.Artifact.Name,
		to.Record.Artifact.Digest != "" && to.Record.Artifact.Digest != rec.Artifact.Digest,
		to.Record.Artifact.Digest == "" && to.Record.Artifact.Version != rec.Artifact.Version:
		s.say(r, ChainBreak, "the announcement of "+artifactWords(rec.Artifact), rec.Announced)
	case rec.Restores == "":
		s.blamed(r, to)
	}
}

func versionOf(rec *promotion.Record) promotion.Version {
	if rec.Artifact == nil {
		return ""
	}
	return rec.Artifact.Version
}

// blamed checks that a record holds everybody who caused what it stands on: nobody
// of them may approve it.
func (s *ledgerStep) blamed(r, on *recorded) {
	if on == nil {
		return
	}
	for _, causer := range on.Record.Causers {
		if !slices.ContainsFunc(r.Record.Causers, func(p promotion.Person) bool { return samePerson(p, causer) }) {
			s.say(r, ApprovalMismatch, fmt.Sprintf("%s among the causers, as in the %s that it stands on", personWords(promotion.Actor{Person: causer}), on.Record.Kind), "left out")
			return
		}
	}
}
