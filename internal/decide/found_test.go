package decide_test

import (
	"slices"
	"testing"

	"github.com/rungbot/rung/internal/promotion"
)

// asia adds an environment to rung.yaml, whose files are there.
func (w *world) asia(version string) promotion.Pair {
	pair := at("asia")
	w.s.Pipeline.Environments = append(w.s.Pipeline.Environments, environment("asia", prod))
	w.place(pair, value(version))
	w.commit(promotion.BaseChange{Governs: true})
	return pair
}

// TestAPairThatComesLaterIsRecordedAsFound, once, and can be gone back to.
func TestAPairThatComesLaterIsRecordedAsFound(t *testing.T) {
	w := newWorld(t)
	pair := w.asia("0.9.0")
	w.s.Served[digest("0.9.0")] = true
	plan := w.step()
	w.wantRecords(plan, "adopt", "adopt asia/checkout 0.9.0", "settle asia/checkout 0.9.0 good")
	r := plan.Records[1]
	if r.Landed != nil || r.Actor.Kind != "rung" || r.Base.Judged != w.s.Base.Head || r.Places[0].Before != (promotion.Value{}) || r.ManualChanges != "" {
		t.Errorf("the record is %+v", r)
	}
	plan = w.settled()
	w.wantLive(pair, "0.9.0") // 1.0.0 was only adopted in prod, and is no candidate
	if st := w.state(plan, pair); st.ByHand != "" {
		t.Errorf("it is shown as %q", st.ByHand)
	}
	w.climb("1.1.0")
	w.wantLive(pair, "1.1.0")
	w.say(1, bob, 0, "/rollback checkout in asia")
	w.settled()
	w.wantLive(pair, "0.9.0")
}

// TestAPairThatComesBack is recorded again where it stands otherwise than when it
// went, and not where nothing changed.
func TestAPairThatComesBack(t *testing.T) {
	w := newWorld(t)
	out := func() {
		w.s.Pipeline.Environments = slices.Delete(w.s.Pipeline.Environments, 2, 3)
		w.commit(promotion.BaseChange{Governs: true})
		w.settled()
	}
	in := func() promotion.Plan {
		w.s.Pipeline.Environments = append(w.s.Pipeline.Environments, environment(prod, staging))
		w.commit(promotion.BaseChange{Governs: true})
		return w.step()
	}
	out()
	w.wantRecords(in(), "adopt")
	out()
	w.place(at(prod), value("2.0.0"))
	w.wantRecords(in(), "adopt", "adopt prod/checkout 2.0.0", "settle prod/checkout 2.0.0 good")
	w.wantRecords(w.settled())
}

// TestWhatCantBeReadIsNotFound: it is recorded once its places are clear.
func TestWhatCantBeReadIsNotFound(t *testing.T) {
	w := newWorld(t)
	pair := w.asia("0.9.0")
	w.s.PlaceProblems = map[promotion.Environment]string{"asia": "environments/asia/x.yaml: line 1: no YAML"}
	w.wantRecords(w.step(), "adopt")
	w.s.PlaceProblems = nil
	w.wantRecords(w.step(), "adopt asia/checkout 0.9.0", "settle asia/checkout 0.9.0 good")
	w.wantLive(pair, "0.9.0")
}
