package board

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rungbot/rung/internal/doctor"
	"github.com/rungbot/rung/internal/queue"
)

// look is a report of the doctor, kept twelve minutes ago.
func look(t testing.TB, lines ...doctor.Line) queue.View {
	t.Helper()
	r := doctor.Report{Format: doctor.Format, At: now.Add(-12 * time.Minute), Status: doctor.OK, Lines: lines, Unjudged: []string{"registry"}, Left: []string{"acme/left"}}
	for _, l := range lines {
		if l.Status != doctor.OK {
			r.Status = l.Status
		}
	}
	data, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	return queue.View{Key: doctor.ViewKey, Name: doctor.ViewName, At: r.At, Data: data}
}

func TestTheDoctorsLastLookIsShownWithItsAge(t *testing.T) {
	k := &kept{views: []queue.View{stored(t, 1, sample()), look(
		t,
		doctor.Line{ID: "clock", Title: "Clock", Status: doctor.OK, Sentence: "the clock agrees"},
		doctor.Line{ID: "root-key", Title: "Root key", Status: doctor.Warning, Sentence: "there is no root key", Fix: "make one"},
		doctor.Line{ID: "merge", Title: "Merging", Subject: "acme/gitops prod", Status: doctor.Failure, Sentence: "rung can't merge: <script>alert(1)</script>", Fix: "write merge: squash"},
	)}}
	_, page := get(t, k, "GET", "/")
	wants(t, text(t, page), "Doctor , 12 min ago : ▲ rung can't do all of its work (1 failing, 1 warning)", "acme/gitops")
	res, page := get(t, k, "GET", "/doctor")
	if res.StatusCode != http.StatusOK || strings.Contains(page, "<script") {
		t.Errorf("status %d", res.StatusCode)
	}
	said := text(t, page)
	wants(t, said, "seen 12 min ago", "▲ Merging: failure merge acme/gitops prod : rung can't merge: <script>alert(1)</script> → write merge: squash",
		"◷ Root key: warning root-key : there is no root key → make one", "● Clock: ok clock : the clock agrees", "Not judged, because of that: registry", "Not looked at, because there are too many: acme/left")
	if strings.Index(said, "Merging: failure") > strings.Index(said, "Root key: warning") || strings.Index(said, "Root key: warning") > strings.Index(said, "Clock: ok") {
		t.Error("what is worst does not come first")
	}
}

// What is not there, or can't be read, is said, and never shown as if all were well.
func TestALookThatCannotBeShownIsSaid(t *testing.T) {
	_, page := get(t, &kept{}, "GET", "/doctor")
	wants(t, text(t, page), "has not looked at itself yet")
	broken := queue.View{Key: doctor.ViewKey, Name: doctor.ViewName, At: now, Data: []byte(`{"lines":`)}
	for _, target := range []string{"/", "/doctor"} {
		_, page := get(t, &kept{views: []queue.View{broken}}, "GET", target)
		wants(t, text(t, page), "what is kept of the last look can't be read")
		if strings.Contains(page, "rung can work") {
			t.Errorf("%s calls it well", target)
		}
	}
	if res, _ := get(t, &kept{err: errors.New("the disk is gone")}, "GET", "/doctor"); res.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("status %d", res.StatusCode)
	}
	strange := look(t, doctor.Line{ID: "x", Status: "splendid", Sentence: "y"})
	_, page = get(t, &kept{views: []queue.View{strange}}, "GET", "/doctor")
	if strings.Contains(page, "splendid") || strings.Contains(text(t, page), ": ok") {
		t.Error("a status that is not known is shown as well")
	}
}

// FuzzCheckup renders whatever is stored; it must neither panic nor let markup in.
func FuzzCheckup(f *testing.F) {
	f.Add(look(f, doctor.Line{ID: "<b>", Status: doctor.Failure, Sentence: "\u202e<script>"}).Data)
	f.Fuzz(func(t *testing.T, data []byte) {
		res, page := get(t, &kept{views: []queue.View{{Key: doctor.ViewKey, Name: doctor.ViewName, Data: data}}}, "GET", "/doctor")
		if res.StatusCode != http.StatusOK || strings.Contains(page, "<script") {
			t.Errorf("status %d", res.StatusCode)
		}
	})
}
