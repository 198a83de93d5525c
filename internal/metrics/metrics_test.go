package metrics

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/rungbot/rung/internal/promotion"
	"github.com/rungbot/rung/internal/queue"
	"github.com/rungbot/rung/internal/typedoc"
)

//go:generate go test -run TestDocsAreCurrent -update

var update = flag.Bool("update", false, "write the table of metrics in docs/operations.md")

var now = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

// scrape reads what a monitoring system would, less what the Go runtime says.
func scrape(t *testing.T, q *queue.Queue) (status int, rung string) {
	t.Helper()
	w := httptest.NewRecorder()
	Handler(q, "v1.2.3").ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	var out strings.Builder
	for line := range strings.Lines(w.Body.String()) {
		if strings.HasPrefix(line, "rung_") {
			out.WriteString(line)
		}
	}
	return w.Code, out.String()
}

func TestScrape(t *testing.T) {
	q, err := queue.Open(queue.InMemory, queue.Options{Now: func() time.Time { return now.Add(time.Minute) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = q.Close() })
	if _, empty := scrape(t, q); strings.Contains(empty, "rung_last_event") || !strings.Contains(empty, "rung_reconcile_lag_seconds 0") {
		t.Errorf("before anything happened a scrape says\n%s", empty)
	}
	if _, err := q.Accept(t.Context(), queue.Delivery{GUID: "1", Event: "push", Payload: []byte("{}")}, []queue.Mark{{Key: "repo/1", Hint: queue.Hint{Kind: "push"}}}); err != nil {
		t.Fatal(err)
	}
	view := promotion.View{
		Repository: promotion.Repository{Owner: "acme", Name: "environments"}, At: now, Configured: true, Mode: promotion.ModeMerge,
		Problems: []promotion.ConfigProblem{{}}, Freezes: []promotion.Bar{{}, {}}, Quarantine: []promotion.Bar{{}},
		Pairs: []promotion.PairState{{
			Pair: promotion.Pair{Environment: "prod", Artifact: "checkout"}, Phase: promotion.PhaseWaiting,
			Live: promotion.Value{Version: "1.4.2"}, LandedAt: now.Add(-time.Hour), Unpinned: true,
		}},
	}
	data, err := json.Marshal(view)
	if err != nil {
		t.Fatal(err)
	}
	if err := q.PutView(t.Context(), "repo/1", promotion.ViewName, data, now); err != nil {
		t.Fatal(err)
	}
	data, err = json.Marshal(promotion.View{Repository: promotion.Repository{Owner: "acme", Name: "other"}, Error: "GitHub is down"})
	if err != nil {
		t.Fatal(err)
	}
	if err := q.PutView(t.Context(), "repo/2", promotion.ViewName, data, now); err != nil {
		t.Fatal(err)
	}
	status, got := scrape(t, q)
	want := `rung_build_info{version="v1.2.3"} 1
rung_deliveries{state="done"} 0
rung_deliveries{state="failed"} 0
rung_deliveries{state="received"} 1
rung_freezes{repository="acme/environments"} 2
rung_freezes{repository="acme/other"} 0
rung_landed_timestamp_seconds{artifact="checkout",environment="prod",repository="acme/environments"} 1.7724384e+09
rung_last_event_timestamp_seconds 1.77244206e+09
rung_live_info{artifact="checkout",environment="prod",repository="acme/environments",version="1.4.2"} 1
rung_oldest_unfinished_delivery_seconds 0
rung_phase{artifact="checkout",environment="prod",phase="waiting",repository="acme/environments"} 1
rung_quarantined_digests{repository="acme/environments"} 1
rung_quarantined_digests{repository="acme/other"} 0
rung_reconcile_lag_seconds 0
rung_repositories_failing 0
rung_repository_failed{repository="acme/environments"} 0
rung_repository_failed{repository="acme/other"} 1
rung_repository_info{mode="merge",repository="acme/environments"} 1
rung_repository_info{mode="not configured",repository="acme/other"} 1
rung_repository_observed_timestamp_seconds{repository="acme/environments"} 1.772442e+09
rung_repository_problems{repository="acme/environments"} 1
rung_repository_problems{repository="acme/other"} 0
rung_unpinned{artifact="checkout",environment="prod",repository="acme/environments"} 1
`
	if status != 200 || got != want {
		t.Errorf("status %d\n%s\nwant\n%s", status, got, want)
	}
}

// TestWhatCannotBeReadFailsTheScrape: a gap is seen, a zero is believed.
func TestWhatCannotBeReadFailsTheScrape(t *testing.T) {
	q, err := queue.Open(queue.InMemory, queue.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = q.Close() })
	if err := q.PutView(t.Context(), "repo/1", promotion.ViewName, []byte("{"), now); err != nil {
		t.Fatal(err)
	}
	if status, got := scrape(t, q); status != 500 {
		t.Errorf("a view that can't be read: status %d\n%s", status, got)
	}
	q, err = queue.Open(queue.InMemory, queue.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := q.Close(); err != nil {
		t.Fatal(err)
	}
	if status, got := scrape(t, q); status != 500 {
		t.Errorf("a queue that is closed: status %d\n%s", status, got)
	}
}

const (
	docsFile  = "../../docs/operations.md"
	docsBegin = "<!-- metrics: generated from internal/metrics/metrics.go by go generate ./internal/metrics -->\n"
	docsEnd   = "<!-- /metrics -->\n"
)

func TestDocsAreCurrent(t *testing.T) {
	var table bytes.Buffer
	table.WriteString("\n| metric | labels | meaning |\n| --- | --- | --- |\n")
	for _, m := range all {
		labels := "–"
		if len(m.labels) > 0 {
			labels = "`" + strings.Join(m.labels, "`, `") + "`"
		}
		fmt.Fprintf(&table, "| `%s` | %s | %s |\n", m.name, labels, m.help)
	}
	table.WriteString("\n")
	docs, err := os.ReadFile(docsFile)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(docs), docsBegin)
	_, after, closed := strings.Cut(rest, docsEnd)
	if !found || !closed {
		t.Fatalf("%s has no place for the table", docsFile)
	}
	typedoc.Hold(t, *update, docsFile, []byte(before+docsBegin+table.String()+docsEnd+after), "go generate ./internal/metrics")
}
