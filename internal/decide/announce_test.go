package decide_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rungbot/rung/internal/promotion"
)

// event is an announcement as its event said it.
func event(id string, by promotion.Person) promotion.RecordEvent {
	return promotion.RecordEvent{Event: "repository_dispatch", Delivery: id, At: begin, Publisher: "acme/gitops", PublisherID: 42, Sender: by}
}

// told is a release that events announced.
func told(version string, events ...promotion.RecordEvent) promotion.Release {
	r := promotion.Release{Version: promotion.Version(version), Digest: digest(version), Events: events}
	for _, e := range events {
		r.Cause = promotion.Cause{Kind: "event", ID: e.Delivery, At: e.At}
		if e.SourceRepository != "" {
			r.SourceRepository, r.SourceCommit = e.SourceRepository, e.SourceCommit
		}
		if e.Sender != (promotion.Person{}) && !slices.Contains(r.Causers, e.Sender) {
			r.Causers = append(r.Causers, e.Sender)
		}
	}
	return r
}

func (w *world) available(releases ...promotion.Release) {
	w.s.Available[checkout] = promotion.Availability{Releases: append(releases, release("1.0.0"))}
	for _, r := range releases {
		w.s.Served[r.Digest] = true
	}
}

// find is the plan's record of a kind.
func find(t *testing.T, plan promotion.Plan, kind promotion.RecordKind) promotion.Record {
	t.Helper()
	for _, r := range plan.Records {
		if r.Kind == kind {
			return r
		}
	}
	t.Fatalf("no %s record among %v", kind, kinds(plan.Records))
	return promotion.Record{}
}

// TestAnAnnouncementIsRecordedWithItsPropose: one push carries both, and the
// propose cites it.
func TestAnAnnouncementIsRecordedWithItsPropose(t *testing.T) {
	w := newWorld(t)
	e := event("1", carol)
	e.SourceRepository, e.SourceCommit = "acme/checkout", string(hash(77))
	w.available(told("1.1.0", e))
	plan := w.step()
	w.wantRecords(plan, "announce /checkout 1.1.0", "propose dev/checkout 1.1.0")
	announce, propose := plan.Records[0], plan.Records[1]
	if propose.Announced != "#0" || plan.Lone {
		t.Errorf("the propose cites %q, lone: %v", propose.Announced, plan.Lone)
	}
	if len(announce.Events) != 1 || announce.Events[0] != e || !slices.Equal(announce.Causers, []promotion.Person{carol}) ||
		announce.Actor != (promotion.Actor{Kind: "person", Person: carol}) || announce.Cause.ID != "1" {
		t.Errorf("announced: %+v", announce)
	}
	for _, a := range []*promotion.RecordArtifact{announce.Artifact, propose.Artifact} {
		if a.SourceRepository != "acme/checkout" || a.SourceCommit != string(hash(77)) || a.Digest != digest("1.1.0") {
			t.Errorf("the artifact is %+v", a)
		}
	}
	// It goes on climbing under the same announcement, and back with its source.
	statement := w.s.Ledger.Announced[checkout][0].Statement
	w.settled()
	w.wantLive(at(prod), "1.1.0")
	for _, e := range []promotion.Environment{dev, staging, prod} {
		if land := w.s.Ledger.Live[at(e)].Land.Record; land.Announced != statement || land.Artifact.SourceRepository != "acme/checkout" || land.Kind != promotion.RecordLand {
			t.Errorf("%s: %+v", e, land)
		}
	}
	w.available(told("1.2.0", event("2", ada)), told("1.1.0", e))
	w.settled()
	w.wantLive(at(prod), "1.2.0")
	w.say(5, ada, 0, "/rollback checkout in prod")
	back := find(t, w.step(), promotion.RecordPropose)
	if back.Artifact.Version != "1.1.0" || back.Artifact.SourceCommit != string(hash(77)) || back.Announced != statement {
		t.Errorf("back: %+v", back)
	}
}

// TestAnAnnouncementIsKnownFromTheLedger: after everything but the two branches is
// lost, nobody approves what they published.
func TestAnAnnouncementIsKnownFromTheLedger(t *testing.T) {
	w := newWorld(t, func(w *world) {
		w.env(dev).Supersede, w.env(dev).Approvals.Required = promotion.SupersedeNever, 1
	})
	w.available(told("1.1.0", event("1", carol)))
	w.settled()
	w.available(told("1.2.0", event("2", bob)), told("1.1.0", event("1", carol)))
	plan := w.settled() // 1.1.0 is still open: 1.2.0 waits
	w.wantState(plan, at(dev), promotion.PhaseOpen, "1.2.0 waits")
	if n := len(w.s.Ledger.Announced[checkout]); n != 2 {
		t.Fatalf("%d announcements", n)
	}
	w.available(promotion.Release{Version: "1.2.0", Digest: digest("1.2.0")}, promotion.Release{Version: "1.1.0", Digest: digest("1.1.0")})
	w.settled()
	if got := w.s.Ledger.Open[at(dev)].Record.Causers; !slices.Equal(got, []promotion.Person{carol}) {
		t.Fatalf("caused by %v", got)
	}
	w.approve(at(dev), ada)
	w.settled()
	open := w.s.Ledger.Open[at(dev)].Record
	if open.Artifact.Version != "1.2.0" || !slices.Equal(open.Causers, []promotion.Person{bob}) || open.Announced == "" {
		t.Errorf("open is %+v", open)
	}
	w.approve(at(dev), bob)
	w.settled()
	w.wantLive(at(dev), "1.1.0")
}

// TestWhatIsAnnouncedOnce: an announcement is written again only for news, and
// alone it waits for company.
func TestWhatIsAnnouncedOnce(t *testing.T) {
	open := func(w *world) {
		w.env(dev).Approvals.Required = 1
		w.available(told("1.1.0", event("1", carol)))
		w.settled()
	}
	withSource := event("1", carol)
	withSource.SourceRepository = "acme/checkout"
	again := told("1.1.0", event("1", carol))
	again.Digest = digest("other")
	for name, c := range map[string]struct {
		release promotion.Release
		want    int // announce records
	}{
		"nothing new":               {told("1.1.0", event("1", carol)), 0},
		"the same person again":     {told("1.1.0", event("9", carol)), 0},
		"no event any more":         {promotion.Release{Version: "1.1.0", Digest: digest("1.1.0")}, 0},
		"somebody else":             {told("1.1.0", event("1", carol), event("2", bob)), 1},
		"a source":                  {told("1.1.0", withSource), 1},
		"published again elsewhere": {again, 1},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			open(w)
			w.available(c.release)
			plan := w.step()
			n := 0
			for _, r := range plan.Records {
				if r.Kind == promotion.RecordAnnounce {
					n++
					if !slices.Contains(r.Causers, carol) || r.Events[0].Delivery != "1" {
						t.Errorf("carol is forgotten: %+v", r)
					}
				}
			}
			if n != c.want {
				t.Errorf("%d announce records: %v", n, kinds(plan.Records))
			}
			// Then it comes to rest.
			plan = w.settled()
			if len(plan.Records) > 0 {
				t.Errorf("still recording %v", kinds(plan.Records))
			}
		})
	}
}

// TestAnnouncedBeforeItIsServed: who announced it is remembered until the registry
// has it; the record waits for company.
func TestAnnouncedBeforeItIsServed(t *testing.T) {
	w := newWorld(t)
	early := told("1.1.0", event("1", carol))
	early.Digest = ""
	w.s.Available[checkout] = promotion.Availability{Releases: []promotion.Release{release("1.0.0")}, Announced: []promotion.Release{early}}
	plan := w.step()
	w.wantRecords(plan, "announce /checkout 1.1.0")
	if !plan.Lone || plan.Records[0].Artifact.Digest != "" {
		t.Errorf("lone: %v, %+v", plan.Lone, plan.Records[0].Artifact)
	}
	w.available(promotion.Release{Version: "1.1.0", Digest: digest("1.1.0")})
	plan = w.step()
	w.wantRecords(plan, "propose dev/checkout 1.1.0")
	if r := plan.Records[0]; !slices.Equal(r.Causers, []promotion.Person{carol}) || r.Announced != w.s.Ledger.Announced[checkout][0].Statement {
		t.Errorf("proposed: %+v", r)
	}
	// In mode observe nothing is written.
	w = newWorld(t)
	w.s.Pipeline.Mode = promotion.ModeObserve
	w.available(told("1.1.0", event("1", carol)))
	w.changesNothing(w.step())
}

// TestManyAnnouncers: everybody is a causer, the evidence is bounded.
func TestManyAnnouncers(t *testing.T) {
	w := newWorld(t)
	var events []promotion.RecordEvent
	for i := range 100 {
		events = append(events, event(fmt.Sprint(i), promotion.Person{ID: int64(1000 + i), Login: strings.Repeat("x", 39)}))
	}
	w.available(told("1.1.0", events...))
	r := find(t, w.step(), promotion.RecordAnnounce)
	if len(r.Causers) != 100 || len(r.Events) != 20 || r.Events[0] != events[0] {
		t.Errorf("%d causers, %d events", len(r.Causers), len(r.Events))
	}
	w.s.Now = w.s.Now.Add(time.Second)
	if plan := w.settled(); len(plan.Records) > 0 {
		t.Errorf("still recording %v", kinds(plan.Records))
	}
}
