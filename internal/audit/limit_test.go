package audit

import (
	"strings"
	"testing"
	"time"

	"github.com/rungbot/rung/internal/promotion"
)

// TestLimit: a limited report shows less, says what it left out, and judges the
// same.
func TestLimit(t *testing.T) {
	w := newWorld(t)
	w.start()
	w.append(w.base, w.changed(pair("dev", "cart"), "2.0.0"))
	w.promote(ride{pair: pair("dev", "checkout"), version: "1.1.0", byHand: true, noAuthorize: true, unmet: []string{"approval"}})
	later := w.now.Add(time.Second)
	w.append(w.base, w.changed(pair("prod", "cart"), "3.0.0"))
	w.promote(ride{pair: pair("prod", "checkout"), version: "1.1.0", byHand: true, noAuthorize: true, unmet: []string{"approval"}})
	w.push()
	limited := func(o Options, env promotion.Environment, since time.Time) Report {
		report, _ := w.verify(o)
		w.ok(report.Limit(env, since))
		return report
	}
	for _, c := range []struct {
		name             string
		env              promotion.Environment
		since            time.Time
		findings, byHand int
		environments     int
		left             *LeftOut
	}{
		{"nothing", "", time.Time{}, 2, 2, 3, nil},
		{"an environment", "prod", time.Time{}, 1, 1, 1, &LeftOut{Environment: "prod", Findings: 1, ByHand: 1, Environments: 2}},
		{"a time", "", later, 1, 1, 3, &LeftOut{Since: later, Findings: 1, ByHand: 1}},
		{"both", "dev", later, 0, 0, 1, &LeftOut{Environment: "dev", Since: later, Findings: 2, ByHand: 2, Environments: 2}},
	} {
		for _, strict := range []bool{false, true} {
			r := limited(Options{Strict: strict}, c.env, c.since)
			if len(r.Findings) != c.findings || len(r.ByHand) != c.byHand || len(r.Environments) != c.environments {
				t.Errorf("%s: %d findings, %d by hand, %d environments%s", c.name, len(r.Findings), len(r.ByHand), len(r.Environments), show(r))
			}
			if (r.LeftOut == nil) != (c.left == nil) || c.left != nil && *r.LeftOut != *c.left {
				t.Errorf("%s: left out %+v, want %+v", c.name, r.LeftOut, c.left)
			}
			if exit := r.ExitCode(); (exit == 1) != strict || r.OK != !strict {
				t.Errorf("%s, strict %t: exit %d, OK %t", c.name, strict, exit, r.OK)
			}
		}
	}

	report, _ := w.verify(Options{})
	if err := report.Limit("production", time.Time{}); err == nil || !strings.Contains(err.Error(), "dev, prod, staging") {
		t.Error(err)
	}

	// What was tampered with is shown whatever the limits are.
	w.hand("smuggled", map[string]string{kustomization("staging"): strings.Replace(string(w.file(w.base, kustomization("staging"))), "1.0.0", "6.6.6", 1)})
	w.push()
	if r := limited(Options{}, "prod", w.now.AddDate(10, 0, 0)); codes(r) != string(UnattestedChange) || r.ExitCode() != 1 {
		t.Error(r.ExitCode(), show(r))
	}
}
