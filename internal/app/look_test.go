package app

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/rungbot/rung/internal/doctor"
)

// status is how a line of a report stands.
func status(r doctor.Report, id string) doctor.Status {
	i := slices.IndexFunc(r.Lines, func(l doctor.Line) bool { return l.ID == id })
	if i < 0 {
		return ""
	}
	return r.Lines[i].Status
}

// The service looks at itself after its start, keeps what it saw for the board, and
// spends few requests on it.
func TestTheServiceLooksAtItself(t *testing.T) {
	w := newWorld(t, climbConfig)
	w.wait("it has looked", w.app.Looked)
	views, err := w.app.queue.Views(t.Context(), doctor.ViewName)
	if err != nil || len(views) != 1 {
		t.Fatalf("%d reports are kept, %v", len(views), err)
	}
	var kept doctor.Report
	if err := json.Unmarshal(views[0].Data, &kept); err != nil {
		t.Fatal(err)
	}
	if !kept.Brief || kept.Code() != 0 || status(kept, "merge") != doctor.OK || status(kept, "database") != doctor.OK || status(kept, "required-check") != doctor.Warning {
		t.Errorf("%+v", kept)
	}
	w.wait("prod is idle", func() bool { return w.pair("prod").Settled != "" || w.pair("prod").Live.Version == "1.0.0" })
	w.emu.ResetCounts()
	w.app.Look(t.Context())
	const most = 6 + 8 // of the App, and of a repository
	if n := w.emu.Counts().Total; n > most {
		counts, _ := json.MarshalIndent(w.emu.Counts(), "", " ")
		t.Errorf("a look costs %d requests, more than %d:\n%s", n, most, counts)
	}
}

// What is wrong is in the report, and the service goes on.
func TestALookThatFindsSomethingStopsNothing(t *testing.T) {
	w := newWorld(t, climbConfig)
	w.wait("it has looked", w.app.Looked)
	if err := w.emu.SetPermissions("acme", map[string]string{"metadata": "read", "contents": "write"}); err != nil {
		t.Fatal(err)
	}
	if r := w.app.Look(t.Context()); r.Code() != 1 || status(r, "accepted") != doctor.Failure {
		t.Errorf("%+v", r)
	}
	if err := w.emu.SuspendInstallation("acme", true); err != nil {
		t.Fatal(err)
	}
	r := w.app.Look(t.Context())
	if r.Code() != 1 || status(r, "installation") != doctor.Failure || status(r, "repository") != doctor.Failure || status(r, "merge") == doctor.OK {
		t.Errorf("%+v", r)
	}
}
