// Package metrics is what a monitoring system scrapes: how old what rung knows is,
// what waits, what is held, and since when what is live is live.
//
// State: none; every scrape reads the queue and the views that the last passes left
// beside it, so that a service begun anew on an empty data directory says the same
// once it has looked at its repositories. Invariants: like the board it never calls
// the forge, a registry or git, and it counts nothing in memory; label values are
// names that passed rung.yaml's grammar, versions and words of rung's own, so that
// their number is that of the pairs. The names, labels and units are a promise
// (docs/operations.md lists them).
//
// Concurrency: a scrape may run beside any other. What it does not do: it raises no
// alarm, and keeps no history.
package metrics

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/rungbot/rung/internal/promotion"
	"github.com/rungbot/rung/internal/queue"
)

// Source is what a scrape reads; *queue.Queue is one.
type Source interface {
	Views(ctx context.Context, name string) ([]queue.View, error)
	Stats(ctx context.Context) (queue.Stats, error)
}

// scrapeWait bounds one scrape.
const scrapeWait = 5 * time.Second

// Handler serves the metrics of a source in the Prometheus text format. version is
// the program's.
func Handler(source Source, version string) http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		&collector{source, version},
	)
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{ErrorHandling: promhttp.HTTPErrorOnError})
}

type collector struct {
	source  Source
	version string
}

// metric is one metric that rung serves. All are gauges: they say what is so now.
type metric struct {
	name, help string
	labels     []string
	desc       *prometheus.Desc
}

func gauge(name, help string, labels ...string) *metric {
	m := &metric{name: "rung_" + name, help: help, labels: labels}
	m.desc = prometheus.NewDesc(m.name, help, labels, nil)
	return m
}

func (m *metric) is(value float64, labels ...string) prometheus.Metric {
	return prometheus.MustNewConstMetric(m.desc, prometheus.GaugeValue, value, labels...)
}

// The metrics. Times are seconds since 1970, UTC; a time that is not known is left
// out.
var (
	buildInfo   = gauge("build_info", "1, with the version of rung that runs.", "version")
	lastEvent   = gauge("last_event_timestamp_seconds", "When the newest webhook came in. Old where much should happen: GitHub, or the way here, is down.")
	deliveries  = gauge("deliveries", "Webhooks in the queue by state: received, failed or done (kept for a while).", "state")
	unfinished  = gauge("oldest_unfinished_delivery_seconds", "Age of the oldest webhook that is not worked off; 0 if all are.")
	lag         = gauge("reconcile_lag_seconds", "How long the repository that is due longest has been waiting for a pass; 0 if none is due.")
	failing     = gauge("repositories_failing", "Repositories whose last pass failed.")
	repository  = gauge("repository_info", "1 for each repository that rung has looked at, with its mode; not configured: it has no rung.yaml.", "repository", "mode")
	observed    = gauge("repository_observed_timestamp_seconds", "When the last pass that succeeded looked at the repository.", "repository")
	failed      = gauge("repository_failed", "1 if the last pass failed; the board says why.", "repository")
	problems    = gauge("repository_problems", "Errors in rung.yaml and policies at the head of the base branch.", "repository")
	frozen      = gauge("freezes", "Freezes and holds in force.", "repository")
	quarantined = gauge("quarantined_digests", "Digests that are never promoted.", "repository")
	pairInfo    = gauge("live_info", "1 for each artifact in each environment, with the version that is live.", "repository", "environment", "artifact", "version")
	phase       = gauge("phase", "1 for the phase that an artifact is in, in an environment: what the board shows.", "repository", "environment", "artifact", "phase")
	landed      = gauge("landed_timestamp_seconds", "When what is live was landed or adopted.", "repository", "environment", "artifact")
	unpinned    = gauge("unpinned", "1 if what is live is named by a tag alone.", "repository", "environment", "artifact")
	all         = []*metric{
		buildInfo, lastEvent, deliveries, unfinished, lag, failing, repository, observed, failed, problems, frozen, quarantined,
		pairInfo, phase, landed, unpinned,
	}
)

// Describe implements prometheus.Collector.
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, m := range all {
		ch <- m.desc
	}
}

// Collect implements prometheus.Collector. What can't be read fails the scrape: a
// gap is seen, a zero is believed.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeWait)
	defer cancel()
	stats, err := c.source.Stats(ctx)
	views, errViews := c.source.Views(ctx, promotion.ViewName)
	if err := errors.Join(err, errViews); err != nil {
		ch <- prometheus.NewInvalidMetric(lag.desc, err)
		return
	}
	ch <- buildInfo.is(1, c.version)
	if !stats.LastReceived.IsZero() {
		ch <- lastEvent.is(seconds(stats.LastReceived))
	}
	ch <- deliveries.is(float64(stats.Received), "received")
	ch <- deliveries.is(float64(stats.Failed), "failed")
	ch <- deliveries.is(float64(stats.Done), "done")
	ch <- unfinished.is(stats.OldestUnfinished.Seconds())
	ch <- lag.is(stats.OldestDue.Seconds())
	ch <- failing.is(float64(stats.Failing))
	seen := map[string]bool{}
	for _, kept := range views {
		var v promotion.View
		if err := json.Unmarshal(kept.Data, &v); err != nil {
			ch <- prometheus.NewInvalidMetric(observed.desc, err)
			return
		}
		if name := v.Repository.FullName(); !seen[name] {
			seen[name] = true // of two that were known by one name the queue's first
			c.repository(ch, name, &v)
		}
	}
}

func (c *collector) repository(ch chan<- prometheus.Metric, name string, v *promotion.View) {
	mode := string(v.Mode)
	if !v.Configured {
		mode = "not configured"
	}
	ch <- repository.is(1, name, mode)
	if !v.At.IsZero() {
		ch <- observed.is(seconds(v.At), name)
	}
	ch <- failed.is(one(v.Error != ""), name)
	ch <- problems.is(float64(len(v.Problems)), name)
	ch <- frozen.is(float64(len(v.Freezes)), name)
	ch <- quarantined.is(float64(len(v.Quarantine)), name)
	for _, s := range v.Pairs {
		env, artifact := string(s.Pair.Environment), string(s.Pair.Artifact)
		ch <- pairInfo.is(1, name, env, artifact, string(s.Live.Version))
		ch <- phase.is(1, name, env, artifact, s.Phase)
		if !s.LandedAt.IsZero() {
			ch <- landed.is(seconds(s.LandedAt), name, env, artifact)
		}
		ch <- unpinned.is(one(s.Unpinned), name, env, artifact)
	}
}

func seconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }

func one(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}
