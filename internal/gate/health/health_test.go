package health_test

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/rungbot/rung/internal/gate/health"
	"github.com/rungbot/rung/internal/promotion"
)

const (
	pass    = promotion.StatusPass
	fail    = promotion.StatusFail
	pending = promotion.StatusPending
	unknown = promotion.StatusUnknown
	good    = promotion.SettledGood
	bad     = promotion.SettledBad
)

var (
	now    = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	landed = now.Add(-time.Hour)
	probe  = promotion.HealthSource{HTTP: "https://checkout.example/healthz"}
	status = promotion.HealthSource{Status: "argocd/checkout", FailAfter: 10 * time.Minute, Interval: time.Minute}
	theirs = promotion.HealthSource{HTTP: "https://cart.example/healthz", Artifact: "cart"}
)

func ago(minutes float64) time.Time { return now.Add(-time.Duration(minutes * float64(time.Minute))) }

// said is a reading: since and at are minutes ago.
func said(source promotion.HealthSource, s promotion.Status, since, at float64) promotion.HealthReading {
	return promotion.HealthReading{Source: source, Status: s, Since: ago(since), At: ago(at), Detail: "503"}
}

func TestSettle(t *testing.T) {
	tests := []struct {
		name     string
		soak     time.Duration
		sources  []promotion.HealthSource
		readings []promotion.HealthReading
		outcome  string
		status   promotion.Status
		says     string
		look     time.Time
	}{
		{"no source, no soak", 0, nil, nil, good, pass, "staging asks no health source and has no soak", time.Time{}},
		{"another artifact's source", 0, []promotion.HealthSource{theirs}, []promotion.HealthReading{said(theirs, fail, 50, 0)}, good, pass, "asks no health source", time.Time{}},
		{"soaked without a source", time.Hour, nil, nil, good, pass, "checkout has soaked in staging for 1h0m0s", time.Time{}},
		{"soaking without a source", 90 * time.Minute, nil, nil, "", pending, "staging soaks checkout until 12:30 UTC", now.Add(30 * time.Minute)},
		{"healthy", 0, []promotion.HealthSource{probe}, []promotion.HealthReading{said(probe, pass, 1, 0)}, good, pass, "checkout is healthy in staging", time.Time{}},
		{"healthy for the soak", 30 * time.Minute, []promotion.HealthSource{probe}, []promotion.HealthReading{said(probe, pass, 30, 0)}, good, pass, "healthy in staging for 30m0s, since 11:30 UTC", time.Time{}},
		{"healthy, not for long enough", 30 * time.Minute, []promotion.HealthSource{probe}, []promotion.HealthReading{said(probe, pass, 29, 0)}, "", pending, "staging soaks checkout until 12:01 UTC, healthy since 11:31 UTC", now.Add(time.Minute)},
		{"healthy since before it landed", 61 * time.Minute, []promotion.HealthSource{probe}, []promotion.HealthReading{said(probe, pass, 500, 0)}, "", pending, "healthy since 11:00 UTC", now.Add(time.Minute)},
		{"the one that became healthy last", 30 * time.Minute, []promotion.HealthSource{probe, status}, []promotion.HealthReading{said(probe, pass, 50, 0), said(status, pass, 10, 10)}, "", pending, "healthy since 11:50 UTC", now.Add(20 * time.Minute)},
		{"a status stands, however old", 30 * time.Minute, []promotion.HealthSource{status}, []promotion.HealthReading{said(status, pass, 45, 45)}, good, pass, "healthy", time.Time{}},
		{"without a since", 30 * time.Minute, []promotion.HealthSource{probe}, []promotion.HealthReading{{Source: probe, Status: pass, At: now}}, "", pending, "healthy since 12:00 UTC", now.Add(30 * time.Minute)},

		{"the address that was asked, not its pattern", 0, []promotion.HealthSource{probe}, []promotion.HealthReading{{Source: probe, URL: "https://staging.example/healthz", Status: fail, Detail: "503", At: now, Since: now}}, "", pending, "https://staging.example/healthz fails in staging", now.Add(30 * time.Second)},
		{"nothing said", 0, []promotion.HealthSource{probe}, nil, "", pending, "https://checkout.example/healthz has not said yet", now.Add(30 * time.Second)},
		{"not yet", 0, []promotion.HealthSource{status}, []promotion.HealthReading{said(status, pending, 50, 0)}, "", pending, "argocd/checkout has not said yet", now.Add(time.Minute)},
		{"unreachable for an hour", 0, []promotion.HealthSource{probe}, []promotion.HealthReading{said(probe, unknown, 60, 0)}, "", unknown, "can't tell whether the release in staging is healthy (503); rung asks again", now.Add(30 * time.Second)},
		{"a word nobody knows", 0, []promotion.HealthSource{probe}, []promotion.HealthReading{said(probe, "fine", 60, 0)}, "", unknown, "can't tell", now.Add(30 * time.Second)},
		{"one of two is silent", 0, []promotion.HealthSource{probe, status}, []promotion.HealthReading{said(probe, pass, 50, 0)}, "", pending, "argocd/checkout has not said", now.Add(time.Minute)},
		{"from before it landed", 0, []promotion.HealthSource{probe}, []promotion.HealthReading{said(probe, pass, 90, 61)}, "", pending, "not about this release, or too old", now.Add(30 * time.Second)},
		{"too old", 0, []promotion.HealthSource{probe}, []promotion.HealthReading{said(probe, pass, 50, 2)}, "", pending, "too old", now.Add(30 * time.Second)},
		{"without a time", 0, []promotion.HealthSource{probe}, []promotion.HealthReading{{Source: probe, Status: pass}}, "", pending, "too old", now.Add(30 * time.Second)},
		{"the newest counts", 0, []promotion.HealthSource{probe}, []promotion.HealthReading{said(probe, pass, 50, 1), said(probe, fail, 0, 0)}, "", pending, "fails in staging", now.Add(30 * time.Second)},
		{"another source's reading", 0, []promotion.HealthSource{probe}, []promotion.HealthReading{said(promotion.HealthSource{HTTP: "https://other.example"}, pass, 50, 0)}, "", pending, "has not said yet", now.Add(30 * time.Second)},

		{"one failed sample", 0, []promotion.HealthSource{probe}, []promotion.HealthReading{said(probe, fail, 0, 0)}, "", pending, "fails in staging since 12:00 UTC (503); it settles bad at 12:02 UTC unless it recovers", now.Add(30 * time.Second)},
		{"one failed sample, long ago", 0, []promotion.HealthSource{probe}, []promotion.HealthReading{said(probe, fail, 50, 50)}, "", pending, "too old", now.Add(30 * time.Second)},
		{"one failed sample, looked at late", 0, []promotion.HealthSource{probe}, []promotion.HealthReading{said(probe, fail, 1, 1)}, "", pending, "settles bad at 12:01 UTC", now.Add(30 * time.Second)},
		{"failing for not quite two minutes", 0, []promotion.HealthSource{probe}, []promotion.HealthReading{said(probe, fail, 1.9, 0)}, "", pending, "unless it recovers", now.Add(6 * time.Second)},
		{"failing for two minutes", 0, []promotion.HealthSource{probe}, []promotion.HealthReading{said(probe, fail, 2, 0)}, bad, fail, "https://checkout.example/healthz has failed in staging since 11:58 UTC (503)", time.Time{}},
		{"failing since before it landed", 0, []promotion.HealthSource{probe}, []promotion.HealthReading{said(probe, fail, 500, 0)}, bad, fail, "since 11:00 UTC", time.Time{}},
		{"failing, while it soaks", 2 * time.Hour, []promotion.HealthSource{probe}, []promotion.HealthReading{said(probe, fail, 2, 0)}, bad, fail, "has failed", time.Time{}},
		{"its own patience", 0, []promotion.HealthSource{status}, []promotion.HealthReading{said(status, fail, 9, 9)}, "", pending, "settles bad at 12:01 UTC", now.Add(time.Minute)},
		{"its own patience is over", 0, []promotion.HealthSource{status}, []promotion.HealthReading{said(status, fail, 10, 10)}, bad, fail, "argocd/checkout has failed", time.Time{}},
		{"a failed status without a time", 0, []promotion.HealthSource{status}, []promotion.HealthReading{{Source: status, Status: fail, Commit: "abc"}}, "", pending, "has not said yet", now.Add(time.Minute)},
		{"one fails, one is unreachable", 0, []promotion.HealthSource{probe, status}, []promotion.HealthReading{said(probe, unknown, 50, 0), said(status, fail, 30, 30)}, bad, fail, "argocd/checkout has failed", time.Time{}},
		{"one fails, the others pass", 0, []promotion.HealthSource{probe, status}, []promotion.HealthReading{said(probe, pass, 50, 0), said(status, fail, 30, 30)}, bad, fail, "argocd/checkout", time.Time{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			spec := promotion.EnvironmentSpec{Name: "staging", Soak: tt.soak, Health: tt.sources}
			outcome, v := health.Settle(spec, "checkout", landed, now, tt.readings)
			if outcome != tt.outcome || v.Status != tt.status || !strings.Contains(v.Sentence, tt.says) || v.Gate != health.ID {
				t.Errorf("%q %s: %s\nwant %q %s: %s", outcome, v.Status, v.Sentence, tt.outcome, tt.status, tt.says)
			}
			if !v.Look.Equal(tt.look) {
				t.Errorf("look %s, want %s", v.Look, tt.look)
			}
			if len(v.Evidence) != len(health.Applicable(spec, "checkout")) {
				t.Errorf("evidence %+v", v.Evidence)
			}
		})
	}
}

func TestSettleWithoutALanding(t *testing.T) {
	outcome, v := health.Settle(promotion.EnvironmentSpec{Name: "staging"}, "checkout", time.Time{}, now, nil)
	if outcome != "" || v.Status != unknown {
		t.Errorf("%q %s", outcome, v.Status)
	}
}

func TestSoakEnds(t *testing.T) {
	spec := promotion.EnvironmentSpec{Name: "staging", Soak: 2 * time.Hour, Health: []promotion.HealthSource{probe}}
	tests := []struct {
		name     string
		landed   time.Time
		readings []promotion.HealthReading
		want     time.Time
	}{
		{"healthy since a while", landed, []promotion.HealthReading{said(probe, pass, 30, 0)}, now.Add(90 * time.Minute)},
		{"healthy since it landed", landed, []promotion.HealthReading{said(probe, pass, 90, 0)}, now.Add(time.Hour)},
		{"not healthy", landed, []promotion.HealthReading{said(probe, fail, 90, 0)}, time.Time{}},
		{"nothing said", landed, nil, time.Time{}},
		{"never landed", time.Time{}, []promotion.HealthReading{said(probe, pass, 30, 0)}, time.Time{}},
	}
	for _, tt := range tests {
		if got := health.SoakEnds(spec, "checkout", tt.landed, now, tt.readings); !got.Equal(tt.want) {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

// Whatever the readings: good needs every source to pass, bad needs one that
// failed for its time, an undecided release is looked at again, and no single
// sample of a probe is the end of a release.
func TestSettleNeverGuesses(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		spec := promotion.EnvironmentSpec{Name: "staging", Soak: time.Duration(rapid.IntRange(0, 90).Draw(rt, "soak")) * time.Minute, Health: []promotion.HealthSource{probe, status, theirs}}
		var readings []promotion.HealthReading
		for range rapid.IntRange(0, 6).Draw(rt, "readings") {
			since := rapid.Float64Range(0, 70).Draw(rt, "since")
			at := rapid.Float64Range(0, 2).Draw(rt, "at")
			if rapid.Bool().Draw(rt, "single") {
				since = at
			}
			readings = append(readings, said(rapid.SampledFrom(spec.Health).Draw(rt, "source"),
				promotion.Status(rapid.SampledFrom([]string{"pass", "fail", "pending", "unknown", "odd"}).Draw(rt, "status")), max(since, at), at))
		}
		outcome, v := health.Settle(spec, "checkout", landed, now, readings)
		again, w := health.Settle(spec, "checkout", landed, now, readings)
		if outcome != again || !reflect.DeepEqual(v, w) || v.Sentence == "" {
			rt.Fatal("judging twice differs")
		}
		seen := func(s promotion.HealthSource, want promotion.Status, sustained time.Duration) bool {
			for _, r := range readings {
				if r.Source == s && r.Status == want && now.Sub(r.Since) >= sustained {
					return true
				}
			}
			return false
		}
		switch outcome {
		case good:
			if v.Status != pass || !seen(probe, pass, 0) || !seen(status, pass, 0) {
				rt.Fatalf("good by %+v", readings)
			}
		case bad:
			if v.Status != fail || !seen(probe, fail, 2*time.Minute) && !seen(status, fail, 10*time.Minute) {
				rt.Fatalf("bad by %+v", readings)
			}
		default:
			if v.Status == pass || v.Status == fail || !v.Look.After(now) {
				rt.Fatalf("undecided: %+v", v)
			}
		}
	})
}
