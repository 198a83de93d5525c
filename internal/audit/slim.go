package audit

import (
	"reflect"
	"slices"
	"strings"

	"github.com/rungbot/rung/internal/promotion"
)

// wordBytes is what each half of the cache of words holds.
const wordBytes = 2 << 20

// words gives equal strings one copy, which holds on to nothing larger: the
// strings of a record share the text that it was read from.
type words struct{ known generations[string, string] }

func newWords() *words { return &words{newGenerations[string, string](wordBytes)} }

func (w *words) word(s string) string {
	if s == "" {
		return ""
	}
	known, ok := w.known.young[s]
	if ok {
		return known
	}
	if known, ok = w.known.old[s]; !ok {
		known = strings.Clone(s)
	}
	w.known.put(known, known, len(known)+32) // not s itself, as a key
	return known
}

// slim takes from records that nothing stands on any more what only those look
// at that come right behind them: what the gates said, the facts they saw, health.
// The rest stays for the base branch, for rollbacks, and for whoever cites them.
// A ledger of ten thousand releases would not fit into memory otherwise.
func (l *ledgerWalk) slim(old *recordFile, now *recordFile) {
	if old == nil || l.options.Recompute {
		return
	}
	for _, r := range old.entries {
		if now != nil && slices.Contains(now.entries, r) {
			continue
		}
		slimmed(&r.Record)
		r.outcome = l.words.word(r.outcome)
		l.words.all(reflect.ValueOf(&r.Record).Elem())
	}
}

// slimmed leaves of a record what is still asked for, by its kind. Slices and what
// is pointed to may be a caller's too (Options.Each) and are not changed.
func slimmed(rec *promotion.Record) {
	rec.Gates, rec.Facts, rec.Window, rec.Events = nil, nil, nil, nil
	if a := rec.Artifact; a != nil {
		rec.Artifact = &promotion.RecordArtifact{Name: a.Name, Version: a.Version, Digest: a.Digest}
	}
	switch rec.Kind {
	case promotion.RecordPropose:
		rec.Previous, rec.Approvals, rec.Policies, rec.Reason = nil, nil, nil, ""
	case promotion.RecordAuthorize:
		rec.Previous, rec.Places, rec.Files, rec.Reason = nil, nil, nil, ""
		rec.Policies = slices.Clone(rec.Policies)
		for i := range rec.Policies {
			rec.Policies[i].Rules, rec.Policies[i].Engine = nil, ""
		}
	case promotion.RecordLand:
		rec.Approvals, rec.Policies, rec.Reason = nil, nil, ""
	case promotion.RecordSettle:
		*rec = promotion.Record{Kind: rec.Kind, Environment: rec.Environment, Artifact: rec.Artifact, Outcome: rec.Outcome, IssuedAt: rec.IssuedAt}
	}
}

// all replaces every string of a value.
func (w *words) all(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		if s := v.String(); s != "" {
			v.SetString(w.word(s))
		}
	case reflect.Pointer:
		if !v.IsNil() {
			w.all(v.Elem())
		}
	case reflect.Slice:
		for i := range v.Len() {
			w.all(v.Index(i))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Field(i); f.CanSet() {
				w.all(f)
			}
		}
	}
}
