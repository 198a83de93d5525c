package audit

import (
	"reflect"
	"slices"
	"strings"

	"github.com/rungbot/rung/internal/promotion"
)

// wordBytes is what each half of the cache of words holds.
const wordBytes = 1 << 20

// words gives equal strings one copy, which holds on to nothing larger: the
// strings of a record share the text that it was read from.
type words struct {
	known     generations[string, string]
	artifacts generations[promotion.RecordArtifact, *promotion.RecordArtifact]
	policies  [][]promotion.RecordPolicy
}

func newWords() *words {
	return &words{newGenerations[string, string](wordBytes), newGenerations[promotion.RecordArtifact, *promotion.RecordArtifact](1000), nil}
}

// artifact is one copy of an artifact.
func (w *words) artifact(a promotion.RecordArtifact) *promotion.RecordArtifact {
	a = promotion.RecordArtifact{Name: a.Name, Version: a.Version, Digest: a.Digest}
	if known, ok := w.artifacts.get(a); ok {
		return known
	}
	a = promotion.RecordArtifact{Name: promotion.Artifact(w.word(string(a.Name))), Version: promotion.Version(w.word(string(a.Version))), Digest: promotion.Digest(w.word(string(a.Digest)))}
	w.artifacts.put(a, &a, 1)
	return &a
}

// judgedBy is one copy of the names and digests of policies, while they stay the
// same.
func (w *words) judgedBy(policies []promotion.RecordPolicy) []promotion.RecordPolicy {
	slim := make([]promotion.RecordPolicy, len(policies))
	for i, p := range policies {
		slim[i] = promotion.RecordPolicy{Path: w.word(p.Path), Digest: w.word(p.Digest)}
	}
	same := func(a, b promotion.RecordPolicy) bool { return a.Path == b.Path && a.Digest == b.Digest }
	for _, known := range w.policies {
		if slices.EqualFunc(known, slim, same) {
			return known
		}
	}
	w.policies = append(w.policies[max(0, len(w.policies)-15):], slim)
	return slim
}

func (w *words) word(s string) string {
	if s == "" || w == nil {
		return s
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

// slim takes from a release that nothing follows any more what only those look at
// that come right behind it: what the gates said, the facts they saw, health. The
// rest stays for the base branch, for rollbacks, and for whoever cites it. Records
// of other kinds are let go as a whole.
func (l *ledgerWalk) slim(old *recordFile, now *recordFile) {
	if old == nil || l.options.Recompute || l.words == nil {
		return
	}
	for _, r := range old.entries {
		if !r.released() || now != nil && slices.Contains(now.entries, r) {
			continue
		}
		r.Blob = ""
		l.words.slimmed(&r.Record)
		r.outcome = l.words.word(r.outcome)
		l.words.all(reflect.ValueOf(&r.Record).Elem())
	}
}

// slimmed leaves of a record what is still asked for. Slices and what is pointed to
// may be a caller's too (Options.Each) and are not changed.
func (w *words) slimmed(rec *promotion.Record) {
	rec.Gates, rec.Facts, rec.Window, rec.Events = nil, nil, nil, nil
	if a := rec.Artifact; a != nil {
		rec.Artifact = w.artifact(*a)
	}
	if rec.Kind == promotion.RecordLand {
		rec.Approvals, rec.Policies, rec.Previous = nil, nil, nil
		rec.Reason, rec.Promotion, rec.Authorized, rec.Repository.URI = "", "", "", ""
		rec.Cause, rec.Builder, rec.Actor = promotion.Cause{}, promotion.Builder{}, promotion.Actor{}
	}
}

// own is a list whose strings hold on to nothing larger.
func own[T any](w *words, list []T) []T {
	if len(list) == 0 {
		return nil
	}
	list = slices.Clone(list)
	if w != nil {
		w.all(reflect.ValueOf(&list).Elem())
	}
	return list
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
