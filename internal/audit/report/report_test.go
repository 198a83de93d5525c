package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rungbot/rung/internal/audit"
	"github.com/rungbot/rung/internal/promotion"
)

var start = time.Date(2026, 3, 2, 22, 30, 0, 0, time.UTC)

var (
	ada   = promotion.Person{ID: 1, Login: "ada"}
	bob   = promotion.Person{ID: 2, Login: "bob"}
	carol = promotion.Person{ID: 3, Login: "carol"}
)

// tale makes records in the order of a ledger, a minute apart.
type tale struct {
	r       Reader
	n       int
	doubted bool
	// newest are the announcements by version.
	newest map[string]string
}

func (s *tale) tell(kind promotion.RecordKind, env promotion.Environment, version string, change func(*promotion.Record)) {
	r := promotion.Record{
		Kind: kind, Promotion: string(env) + version, Environment: env, IssuedAt: start.Add(time.Duration(s.n) * time.Minute),
		Repository: promotion.RecordRepository{URI: "https://github.example/acme/environments"},
		Actor:      promotion.Actor{Kind: "rung", Person: promotion.Person{ID: 9, Login: "rung[bot]"}},
	}
	if version != "" {
		r.Artifact = &promotion.RecordArtifact{Name: "checkout", Version: promotion.Version(version), Digest: promotion.Digest("sha256:" + fmt.Sprintf("%064x", len(version)*1000+int(version[2])))}
	}
	if change != nil {
		change(&r)
	}
	s.n++
	s.r.Read(audit.Entry{Ledger: promotion.Hash(fmt.Sprintf("%040x", s.n)), Statement: fmt.Sprintf("sha256:%064x", s.n), Record: r, Doubted: s.doubted})
}

func by(p promotion.Person) promotion.Actor { return promotion.Actor{Kind: "person", Person: p} }

// announced tells that somebody published a version. What comes of it cites the
// newest announcement of its version.
func (s *tale) announced(version string, p promotion.Person) {
	s.tell(promotion.RecordAnnounce, "", version, func(r *promotion.Record) {
		r.Actor, r.Causers, r.Cause = by(p), []promotion.Person{p}, promotion.Cause{Kind: "event", ID: "delivery-1"}
		r.Artifact.SourceRepository, r.Artifact.SourceCommit = "acme/checkout", strings.Repeat("e", 40)
		r.Events = []promotion.RecordEvent{{Event: "release", Delivery: "delivery-1", At: r.IssuedAt.Add(-time.Minute), Publisher: "acme/checkout", Sender: p}}
	})
	if s.newest == nil {
		s.newest = map[string]string{}
	}
	s.newest[version] = s.r.Announced[len(s.r.Announced)-1].Statement
}

// climbed tells of a promotion that landed and settled.
func (s *tale) climbed(env promotion.Environment, version string, approver *promotion.Person, land func(*promotion.Record)) {
	s.tell(promotion.RecordPropose, env, version, func(r *promotion.Record) {
		r.Causers, r.Cause, r.Announced = []promotion.Person{carol}, promotion.Cause{Kind: "event", ID: "delivery-1"}, s.newest[version]
	})
	s.tell(promotion.RecordAuthorize, env, version, func(r *promotion.Record) {
		r.Gates = []promotion.RecordGate{{Gate: "policy", Status: promotion.StatusPass, Sentence: "2 rules hold"}}
		if approver != nil {
			r.Approvals = []promotion.RecordApproval{{Person: *approver, Permission: "write"}}
		}
	})
	s.tell(promotion.RecordLand, env, version, func(r *promotion.Record) {
		r.Announced = s.newest[version]
		r.PullRequest, r.Landed = &promotion.RecordPullRequest{Number: s.n}, &promotion.RecordLanded{Commit: promotion.Hash(strings.Repeat("c", 40)), Method: "merge"}
		if land != nil {
			land(r)
		}
	})
	s.tell(promotion.RecordSettle, env, version, func(r *promotion.Record) { r.Outcome = promotion.SettledGood })
}

// story is one of everything in prod, and something in dev.
func story() *Reader {
	s := &tale{}
	s.tell(promotion.RecordAdopt, "prod", "1.0.0", func(r *promotion.Record) { r.Reason = "found at onboarding" })
	s.climbed("dev", "1.1.0", nil, nil)
	s.climbed("prod", "1.1.0", &ada, func(r *promotion.Record) { r.From = &promotion.RecordFrom{Environment: "dev"} })
	s.announced("1.2.0", carol)
	s.climbed("prod", "1.2.0", &carol, func(r *promotion.Record) {
		r.Actor, r.Landed.ByHand, r.Landed.Unmet = by(bob), true, []string{"approval"}
	})
	s.tell(promotion.RecordQuarantine, "", "", func(r *promotion.Record) {
		r.Digest, r.Actor, r.Reason = "sha256:"+promotion.Digest(strings.Repeat("b", 64)), by(bob), "=cmd|' /C calc'!A0"
	})
	s.climbed("prod", "1.1.0", nil, func(r *promotion.Record) { r.Restores, r.Reason = "sha256:x", "=1+1\nand\x1b[31m more" })
	s.tell(promotion.RecordAdopt, "prod", "1.3.0", func(r *promotion.Record) {
		r.Actor, r.Reason, r.Landed = by(bob), "changed by hand", &promotion.RecordLanded{Commit: promotion.Hash(strings.Repeat("d", 40)), ByHand: true}
	})
	s.announced("1.4.0", bob)
	s.announced("1.4.0", ada)
	s.announced("1.5.0", bob)
	s.tell(promotion.RecordPropose, "prod", "1.4.0", func(r *promotion.Record) { r.Announced = s.newest["1.4.0"] })
	s.tell(promotion.RecordWithdraw, "prod", "1.4.0", func(r *promotion.Record) { r.Actor, r.Reason = by(ada), "vetoed" })
	s.tell(promotion.RecordFreeze, "", "", func(r *promotion.Record) { r.Scope, r.Actor, r.Reason = "prod", by(ada), "<b>holidays</b>" })
	s.tell(promotion.RecordFreeze, "", "", func(r *promotion.Record) { r.Scope, r.Actor = "dev/checkout", by(ada) })
	s.doubted = true
	s.tell(promotion.RecordLand, "prod", "9.9.9", nil)
	return &s.r
}

func sound() *audit.Report { return &audit.Report{OK: true, Root: "SHA256:root"} }

func TestWhatAnAuditorCounts(t *testing.T) {
	until := start.Add(24 * time.Hour)
	a := story().Audit("prod", time.Time{}, until, sound())
	want := Counts{Changes: 5, Attested: 5, Coverage: 100, Promotions: 2, Rollbacks: 1, ByHand: 1, Overrides: 1, SelfApproved: 1, Unsettled: 2}
	if a.Counts != want {
		t.Errorf("got  %+v\nwant %+v", a.Counts, want)
	}
	var how []string
	for _, r := range a.Releases {
		how = append(how, r.How+" "+string(r.Before.Version)+">"+string(r.After.Version)+" by "+r.MergedBy+" approved "+approvers(r)+" for "+r.Why)
	}
	if want := []string{
		"found >1.0.0 by  approved  for found at onboarding",
		"promotion 1.0.0>1.1.0 by rung approved ada (write) for event delivery-1",
		"promotion 1.1.0>1.2.0 by bob approved carol (write) for event delivery-1",
		"rollback 1.2.0>1.1.0 by rung approved  for =1+1\nand\x1b[31m more",
		"by hand 1.1.0>1.3.0 by bob approved  for changed by hand",
	}; !slices.Equal(how, want) {
		t.Errorf("got  %q\nwant %q", how, want)
	}
	if len(a.Withdrawn) != 1 || a.Withdrawn[0].By != "ada" || a.Withdrawn[0].Reason != "vetoed" {
		t.Errorf("withdrawn are %+v", a.Withdrawn)
	}
	var events []string
	for _, e := range a.Events {
		events = append(events, string(e.Kind)+" "+e.Subject[:4])
	}
	if want := []string{"quarantine sha2", "freeze prod"}; !slices.Equal(events, want) {
		t.Errorf("events are %v, want %v", events, want)
	}
}

// TestWhatBecomesOfAChangeByHand: it is one release, whoever answers it, and what
// rung puts back is another.
func TestWhatBecomesOfAChangeByHand(t *testing.T) {
	s := &tale{}
	byHand := func(version string, rule promotion.ManualChanges) (statement string) {
		s.tell(promotion.RecordAdopt, "prod", version, func(r *promotion.Record) {
			r.Actor, r.Causers, r.Reason, r.ManualChanges = by(bob), []promotion.Person{bob}, "changed by hand", rule
			r.Landed = &promotion.RecordLanded{Commit: promotion.Hash(fmt.Sprintf("%040d", s.n)), Method: "push", ByHand: true}
			r.Places = []promotion.PlaceChange{{Path: "environments/prod/x.yaml", Locator: "kustomize:0:images[0]", After: promotion.Value{Version: r.Artifact.Version}}}
		})
		return s.r.Releases[len(s.r.Releases)-1].Statement
	}
	s.tell(promotion.RecordAdopt, "prod", "1.0.0", nil)
	first := s.r.Releases[0].Statement
	reverted := byHand("1.1.0", promotion.ManualRevert)
	s.climbed("prod", "1.0.0", nil, func(r *promotion.Record) { r.Restores, r.Reverts = first, reverted })
	byHand("1.2.0", promotion.ManualRevert)
	commit := s.r.Releases[3].Commit
	s.tell(promotion.RecordAdopt, "prod", "1.2.0", func(r *promotion.Record) {
		r.Actor, r.Cause, r.Reason = by(ada), promotion.Cause{Kind: "comment", ID: "7"}, "it stops the leak"
		r.Landed = &promotion.RecordLanded{Commit: commit, Method: "push", ByHand: true}
		r.Places = []promotion.PlaceChange{{Path: "environments/prod/x.yaml"}}
	})
	byHand("1.3.0", promotion.ManualHold)
	byHand("1.4.0", promotion.ManualAdopt)
	s.tell(promotion.RecordAdopt, "", "", func(r *promotion.Record) { r.Range = &promotion.RecordRange{From: "a", To: "b"} })
	a := s.r.Audit("prod", time.Time{}, start.Add(24*time.Hour), sound())
	var how []string
	for _, r := range a.Releases {
		how = append(how, string(r.After.Version)+" "+howWords(r)+" by "+r.MergedBy+": "+why(r))
	}
	if want := []string{
		"1.0.0 found by : cause", "1.1.0 by hand, put back by bob: changed by hand", "1.0.0 revert by rung: event delivery-1",
		"1.2.0 by hand, adopted by ada by bob: changed by hand; adopted: it stops the leak", "1.3.0 by hand, not answered by bob: changed by hand",
		"1.4.0 by hand by bob: changed by hand",
	}; !slices.Equal(how[1:], want[1:]) || len(how) != len(want) {
		t.Errorf("got  %q\nwant %q", how, want)
	}
	want := Counts{Changes: 6, Attested: 6, Coverage: 100, ByHand: 4, PutBack: 1, Adopted: 1, Configuration: 1, Unsettled: 5}
	if a.Counts != want {
		t.Errorf("got  %+v\nwant %+v", a.Counts, want)
	}
	for _, c := range a.checklist() {
		if want, asked := map[string]string{"changes by hand": "no. 2, 4, 5, 6", "put back": "no. 3"}[c.Name]; asked && c.numbers() != want {
			t.Errorf("%s: %s, want %s", c.Name, c.numbers(), want)
		}
	}
}

func TestAPeriodHasEdges(t *testing.T) {
	r := story()
	all := r.Audit("prod", time.Time{}, start.Add(24*time.Hour), sound()).Releases
	second := all[1].Landed
	for _, c := range []struct {
		since, until time.Time
		want         int
	}{
		{second, second.Add(time.Second), 1},
		{second.Add(time.Second), start.Add(24 * time.Hour), 3},
		{time.Time{}, second, 1},
		{start.Add(24 * time.Hour), start.Add(25 * time.Hour), 0},
	} {
		a := r.Audit("prod", c.since, c.until, sound())
		if len(a.Releases) != c.want || a.Counts.Changes != c.want || c.want == 0 && a.Counts.Coverage != 100 {
			t.Errorf("%s–%s: %d releases, %+v", c.since, c.until, len(a.Releases), a.Counts)
		}
	}
}

// TestAGapLowersTheCoverage: what stands on no record is counted as a change, and
// shown whatever the period.
func TestAGapLowersTheCoverage(t *testing.T) {
	verified := &audit.Report{Findings: []audit.Finding{
		{Code: audit.UnattestedChange, Object: "abc", Environment: "prod", Artifact: "checkout", Expected: "a record", Found: "none"},
		{Code: audit.UnattestedChange, Object: "abd", Environment: "dev", Artifact: "checkout"},
		{Code: audit.SigInvalid, Object: "abe"},
	}}
	a := story().Audit("prod", time.Time{}, start.Add(24*time.Hour), verified)
	if a.Holds || a.Counts.Changes != 6 || a.Counts.Attested != 5 || a.Counts.Coverage != 83 || len(a.Gaps) != 2 {
		t.Errorf("holds %t, %+v, gaps %+v", a.Holds, a.Counts, a.Gaps)
	}
	var text, page bytes.Buffer
	if err := a.WriteText(&text, time.UTC); err != nil {
		t.Fatal(err)
	}
	if err := a.WriteHTML(&page); err != nil {
		t.Fatal(err)
	}
	for form, s := range map[string]string{"text": text.String(), "html": page.String()} {
		for _, want := range []string{"83 %", "UNATTESTED_CHANGE", "SIG_INVALID", "does NOT hold"} {
			if !strings.Contains(s, want) {
				t.Errorf("%s does not say %q:\n%s", form, want, s)
			}
		}
	}
}

func TestHistory(t *testing.T) {
	r := story()
	h := r.History("checkout", "", sound())
	if len(h.Releases) != 6 || len(h.Withdrawn) != 1 || !h.Holds {
		t.Errorf("%d releases, %d withdrawn", len(h.Releases), len(h.Withdrawn))
	}
	if h = r.History("checkout", "dev", sound()); len(h.Releases) != 1 {
		t.Errorf("%d releases in dev", len(h.Releases))
	}
	var b bytes.Buffer
	if err := r.History("cart", "", sound()).WriteText(&b, time.UTC); err != nil || !strings.Contains(b.String(), "nothing was ever released") {
		t.Errorf("%v: %s", err, b.String())
	}
	var doc map[string]any
	b.Reset()
	if err := WriteJSON(&b, h); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b.Bytes(), &doc); err != nil || doc["format"] != 1.0 || doc["holds"] != true {
		t.Errorf("%v: %s", err, b.String())
	}
}

// TestWhereAVersionsLifeBegins: a history begins with who published what and what
// told of it; in one environment with what came, or was to come, into it.
func TestWhereAVersionsLifeBegins(t *testing.T) {
	words := func(h History) (all []string) {
		for _, a := range h.Announced {
			all = append(all, string(a.Value.Version)+" "+a.Value.Digest.Short()+" "+eventWords(a)+" from "+a.source())
		}
		return all
	}
	r := story()
	source := "acme/checkout@" + strings.Repeat("e", 40)
	digest := func(version string) string {
		return promotion.Digest(fmt.Sprintf("sha256:%064x", len(version)*1000+int(version[2]))).Short()
	}
	line := func(version, login string) string {
		return version + " " + digest(version) + " release by " + login + " in acme/checkout from " + source
	}
	all := []string{line("1.2.0", "carol"), line("1.4.0", "bob"), line("1.4.0", "ada"), line("1.5.0", "bob")}
	if got := words(r.History("checkout", "", sound())); !slices.Equal(got, all) {
		t.Errorf("got  %q\nwant %q", got, all)
	}
	if got, want := words(r.History("checkout", "prod", sound())), []string{all[0], all[2]}; !slices.Equal(got, want) {
		t.Errorf("in prod: got  %q\nwant %q", got, want)
	}
	for _, h := range []History{r.History("checkout", "dev", sound()), r.History("cart", "", sound())} {
		if h.Announced == nil || len(h.Announced) != 0 {
			t.Errorf("%s in %s: %q", h.Artifact, h.Environment, words(h))
		}
	}
	var b bytes.Buffer
	if err := r.History("checkout", "prod", sound()).WriteText(&b, time.UTC); err != nil {
		t.Fatal(err)
	}
	if first, _, _ := strings.Cut(b.String(), "\n"); !strings.HasPrefix(first, "ANNOUNCED") || !strings.Contains(b.String(), source) {
		t.Error(b.String())
	}
}

// TestAReleaseSaysWhoPublishedIt in every form of the audit.
func TestAReleaseSaysWhoPublishedIt(t *testing.T) {
	a := story().Audit("prod", time.Time{}, start.Add(24*time.Hour), sound())
	var with []string
	for _, r := range a.Releases {
		if r.Announced != nil {
			with = append(with, string(r.After.Version)+" "+r.Announced.By)
		}
	}
	if !slices.Equal(with, []string{"1.2.0 carol"}) || a.Withdrawn[0].Announced == nil || a.Withdrawn[0].Announced.By != "ada" {
		t.Errorf("announced: %q, withdrawn %+v", with, a.Withdrawn)
	}
	for form, c := range map[string]struct {
		write func(*bytes.Buffer) error
		want  string
	}{
		"text": {func(b *bytes.Buffer) error { return a.WriteText(b, time.UTC) }, "announced: release by carol in acme/checkout"},
		"csv":  {func(b *bytes.Buffer) error { return a.WriteCSV(b) }, ",carol,release by carol in acme/checkout,acme/checkout@" + strings.Repeat("e", 40) + "\n"},
		"html": {func(b *bytes.Buffer) error { return a.WriteHTML(b) }, "<summary>announced by carol</summary><ul><li>release by carol in acme/checkout, "},
		"json": {func(b *bytes.Buffer) error { return WriteJSON(b, a) }, `"delivery": "delivery-1"`},
	} {
		var b bytes.Buffer
		if err := c.write(&b); err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(b.String(), c.want); n == 0 || form != "json" && n != 1 {
			t.Errorf("%s says %d times %q:\n%s", form, n, c.want, b.String())
		}
	}
}

// TestTimesInTheReadersZone stand beside UTC, with the day where it differs.
func TestTimesInTheReadersZone(t *testing.T) {
	berlin := time.FixedZone("CET", 3600)
	for at, want := range map[time.Time]string{
		start:                       "2026-03-02 22:30:00 UTC (23:30 CET)",
		start.Add(30 * time.Minute): "2026-03-02 23:00:00 UTC (2026-03-03 00:00 CET)",
		{}:                          "–",
	} {
		if got := moment(at, berlin); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if got := moment(start, time.UTC); got != "2026-03-02 22:30:00 UTC" {
		t.Errorf("got %q", got)
	}
}

func TestParseSince(t *testing.T) {
	for text, want := range map[string]string{
		"2026-01-31": "2026-01-31T00:00:00Z", "2026-01-31T09:00:00+01:00": "2026-01-31T08:00:00Z", "10d": "2026-02-20T22:30:00Z", "2w": "2026-02-16T22:30:00Z",
		"": "", "yesterday": "", "10m": "", "-3d": "", "0d": "", "10d!": "", "31.01.2026": "",
	} {
		got, err := ParseSince(text, start)
		switch {
		case want == "" && err == nil:
			t.Errorf("%q is taken for %s", text, got)
		case want != "" && (err != nil || got.Format(time.RFC3339) != want):
			t.Errorf("%q: got %s, %v, want %s", text, got, err, want)
		}
	}
}
