package audit

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/rungbot/rung/internal/ledger"
)

// trailers compares the commit's index with the records that it brings.
func (s *ledgerStep) trailers() {
	s.bases = append(s.bases, oid{})
	t, err := s.c.trailers()
	if err != nil || t == nil {
		f := Finding{Code: TrailerGrammar, Object: s.c.id.String(), Expected: "trailers in their one form", Found: "none"}
		if err != nil {
			f.Found = clip(err.Error())
		}
		s.find(f)
		return
	}
	mismatch := func(expected, found string) {
		s.find(Finding{Code: TrailerMismatch, Object: s.c.id.String(), Expected: expected, Found: found})
	}
	base, ok := parseOID(t.Base)
	if !ok {
		mismatch("Promotion-Base", "none")
	}
	s.bases[s.i] = base
	app, repository := "", ""
	if s.i == 0 {
		app, repository = fmt.Sprint(s.lineage.App), fmt.Sprint(s.lineage.Repository)
	}
	if t.App != app || t.Repository != repository {
		mismatch(fmt.Sprintf("App %q, repository %q", app, repository), fmt.Sprintf("App %q, repository %q", clip(t.App), clip(t.Repository)))
	}
	if t.Ledger != "" {
		mismatch("no Promotion-Ledger on a ledger commit", string(t.Ledger))
	}
	if s.broken {
		return
	}
	var room [2][4]ledger.TrailerGroup
	want, got := room[0][:0], append(room[1][:0], t.Groups...)
	for _, r := range s.added {
		want = append(want, ledger.GroupOf(r.Record, r.Statement))
	}
	slices.SortFunc(want, compareGroups)
	slices.SortFunc(got, compareGroups)
	if !slices.Equal(want, got) {
		mismatch(groupWords(want), groupWords(got))
	}
}

func compareGroups(a, b ledger.TrailerGroup) int {
	return cmp.Or(
		strings.Compare(string(a.Kind), string(b.Kind)), strings.Compare(string(a.Environment), string(b.Environment)), strings.Compare(a.Artifact, b.Artifact),
		strings.Compare(a.From, b.From), strings.Compare(a.Restores, b.Restores), strings.Compare(a.Statement, b.Statement),
	)
}

func groupWords(groups []ledger.TrailerGroup) string {
	words := make([]string, len(groups))
	for i, g := range groups {
		words[i] = fmt.Sprintf("%s %s %s %s", g.Kind, g.Environment, g.Artifact, g.Statement)
	}
	return clip(fmt.Sprintf("%d records: %s", len(groups), strings.Join(words, ", ")))
}
