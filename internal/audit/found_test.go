package audit

import (
	"strings"
	"testing"

	"github.com/rungbot/rung/internal/promotion"
)

// asia is rung.yaml with an environment more, or without prod, or both.
func asia(more bool, prod bool) string {
	text := rungYAML
	if more {
		text = strings.Replace(text, "environments:\n", "environments:\n  asia: {}\n", 1)
	}
	if !prod {
		text = text[:strings.Index(text, "  prod:")] + afterLine(text[strings.Index(text, "  prod:"):])
	}
	return text
}

func afterLine(s string) string {
	_, rest, _ := strings.Cut(s, "\n")
	return rest
}

// foundIn is what rung writes of a pair that came into rung.yaml.
func foundIn(p promotion.Pair, v promotion.Value) promotion.Record {
	return promotion.Record{
		Kind: promotion.RecordAdopt, Environment: p.Environment, Artifact: artifact(p.Artifact, v), Reason: "found when it came into rung.yaml",
		Places: []promotion.PlaceChange{{
			Path: kustomization(string(p.Environment)), Locator: "kustomize:0:images[name=registry.example.com/acme/" + string(p.Artifact) + "]", After: v,
		}},
	}
}

func images(version string) string {
	return "images:\n  - name: registry.example.com/acme/cart\n    newTag: " + version + "\n    digest: " + string(digest("cart", version)) + "\n"
}

// TestWhatCameIntoTheConfigurationLater is recorded as found, and nothing that
// people changed is hidden by such a record.
func TestWhatCameIntoTheConfigurationLater(t *testing.T) {
	cart := pair("prod", "cart")
	for name, c := range map[string]struct {
		grow func(*world)
		want string
	}{
		"an environment that was added": {func(w *world) {
			w.hand("files first", map[string]string{kustomization("asia"): images("2.0.0")})
			to := w.hand("then rung.yaml", map[string]string{"rung.yaml": asia(true, true)})
			w.append(to, foundIn(pair("asia", "cart"), value("cart", "2.0.0")))
			w.promote(ride{pair: pair("asia", "cart"), version: "2.1.0"})
		}, ""},
		"an environment that is back, with another version": {func(w *world) {
			w.append(w.hand("out", map[string]string{"rung.yaml": asia(false, false)}))
			w.append(w.hand("meanwhile", map[string]string{kustomization("prod"): images("2.0.0")}))
			w.append(w.hand("in", map[string]string{"rung.yaml": asia(false, true)}), foundIn(cart, value("cart", "2.0.0")))
		}, ""},
		"another version than the files have": {func(w *world) {
			to := w.hand("asia", map[string]string{kustomization("asia"): images("2.0.0"), "rung.yaml": asia(true, true)})
			w.append(to, foundIn(pair("asia", "cart"), value("cart", "2.0.1")))
		}, "CHANGE_MISMATCH"},
		"not where the ledger stands": {func(w *world) {
			to := w.hand("asia", map[string]string{kustomization("asia"): images("2.0.0"), "rung.yaml": asia(true, true)})
			r := foundIn(pair("asia", "cart"), value("cart", "2.0.0"))
			r.Base.Judged = to
			w.append(w.hand("more", map[string]string{"README.md": "more\n"}), r)
		}, "CHANGE_MISMATCH"},
		"a change by hand that is called found": {func(w *world) {
			to := w.hand("a hotfix", map[string]string{kustomization("prod"): images("2.0.0")})
			w.append(to, foundIn(cart, value("cart", "2.0.0")))
		}, "CHANGE_MISMATCH UNATTESTED_CHANGE"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.start()
			c.grow(w)
			w.push()
			if _, got := w.verify(Options{}); got != c.want {
				t.Errorf("found %q, want %q", got, c.want)
			}
		})
	}
}
