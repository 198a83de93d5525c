package observe

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/rungbot/rung/internal/promotion"
)

// TestHealthIsAskedSideBySide asks many sources while others' last readings are
// still fresh; the race detector watches the memory that both use.
func TestHealthIsAskedSideBySide(t *testing.T) {
	o := New(Config{Probe: func(_ context.Context, source promotion.HealthSource, _ promotion.Pair, _ promotion.Value) promotion.HealthReading {
		return promotion.HealthReading{Source: source, Status: promotion.StatusPass, At: time.Unix(0, 0)}
	}})
	s := &promotion.Snapshot{Now: time.Unix(0, 0), Ledger: promotion.LedgerState{Live: map[promotion.Pair]promotion.LiveEntry{}}}
	digest := promotion.Digest("sha256:1")
	for i := range 100 {
		name := promotion.Environment(fmt.Sprintf("e%d", i))
		source := promotion.HealthSource{HTTP: fmt.Sprintf("http://%s/", name), Interval: time.Minute}
		s.Pipeline.Environments = append(s.Pipeline.Environments, promotion.EnvironmentSpec{Name: name, Health: []promotion.HealthSource{source}})
		pair := promotion.Pair{Environment: name, Artifact: "checkout"}
		s.Ledger.Live[pair] = promotion.LiveEntry{Land: promotion.LedgerEntry{Record: promotion.Record{Artifact: &promotion.RecordArtifact{Name: "checkout", Digest: digest}}}}
		if i%2 == 0 {
			o.mem.health[healthKey{pair, source.Name(), digest}] = promotion.HealthReading{Source: source, Status: promotion.StatusFail, At: s.Now}
		}
	}
	if err := (&pass{Observer: o, s: s}).health(t.Context()); err != nil {
		t.Fatal(err)
	}
	byStatus := map[promotion.Status]int{}
	for _, readings := range s.Health {
		for _, r := range readings {
			byStatus[r.Status]++
		}
	}
	if byStatus[promotion.StatusPass] != 50 || byStatus[promotion.StatusFail] != 50 {
		t.Errorf("readings: %v, want 50 asked and 50 remembered", byStatus)
	}
}
