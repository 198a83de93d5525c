package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rungbot/rung/internal/githubemu"
)

func TestARouteThatIsNotInTheTableFails(t *testing.T) {
	counts := func(class githubemu.Class, route string) githubemu.Counts {
		return githubemu.Counts{Routes: []githubemu.RouteCount{
			{Route: "POST /repos/{owner}/{repo}/pulls", Class: githubemu.Content, Count: 1}, {Route: route, Class: class, Count: 2},
		}}
	}
	for name, c := range map[string]struct {
		counts githubemu.Counts
		in     where
		fault  string
		detail string
	}{
		"in its place":    {counts(githubemu.Read, "POST /graphql"), opening | step, "", "1 POST pulls, 2 graphql"},
		"in another":      {counts(githubemu.Read, "POST /graphql"), opening, "2 POST /graphql", "1 POST pulls"},
		"in none":         {counts(githubemu.Read, "GET (unknown)"), opening | step, "2 GET (unknown)", "1 POST pulls"},
		"unknown for git": {counts(githubemu.Git, "POST git-upload-archive"), opening, "2 POST git-upload-archive", "1 POST pulls"},
		"git's":           {counts(githubemu.Git, pushRoute), opening, "", "1 POST pulls; apart: 2 push"},
		"a mint":          {counts(githubemu.Mint, mintRoutes[0]), opening, "", "1 POST pulls; apart: 2 token mints"},
		"a 304":           {counts(githubemu.NotModified, "GET /repos/{owner}/{repo}"), opening, "", "1 POST pulls; apart: 2 × 304 GET repo"},
		"an unknown 304":  {counts(githubemu.NotModified, "GET /zen"), opening, "2 GET /zen", "1 POST pulls"},
	} {
		t.Run(name, func(t *testing.T) {
			r := counted("calls", 5, 3, c.counts, c.in)
			if r.missed() != (c.fault != "") || !strings.HasSuffix(r.fault, c.fault) || r.detail != c.detail {
				t.Errorf("missed %v, fault %q, detail %q", r.missed(), r.fault, r.detail)
			}
		})
	}
}

func TestRoutesStandInTheTableOnce(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range routes {
		if seen[r.route] || seen[r.short] || r.in == 0 {
			t.Errorf("%+v stands there twice, or has no place", r)
		}
		seen[r.route], seen[r.short] = true, true
	}
}

func TestVerdicts(t *testing.T) {
	for _, c := range []struct {
		row  row
		want string
	}{
		{row{got: 2, limit: 2}, "ok"},
		{row{got: 2.2, limit: 2.1}, "MISS"},
		{row{got: 0, limit: 0}, "ok"},
		{row{got: 1, limit: 0}, "MISS"},
		{row{got: 99, limit: informative}, ""},
		{row{got: 99, least: 100}, "MISS"},
		{row{got: 100, least: 100}, "ok"},
		{row{got: 100, least: 100, fault: "it can't be"}, "MISS"},
		{row{got: 99, limit: informative, fault: "it can't be"}, "MISS"},
	} {
		if got := c.row.verdict(); got != c.want {
			t.Errorf("%+v is %q, want %q", c.row, got, c.want)
		}
	}
}

func TestTheTableIsWrittenBetweenItsMarkers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "benchmarks.md")
	if err := os.WriteFile(path, []byte("before\n"+docsBegin+"old\n"+docsEnd+"after\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := writeDocs(path, "Taken today.", []row{{figure: "size", unit: "MB", got: 29.66, limit: 38}}); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want := "before\n" + docsBegin + "\nTaken today.\n\n| figure | target | counted | | per route |\n| --- | --- | --- | --- | --- |\n| size | ≤ 38 | 29.7 MB | ok |  |\n\n" + docsEnd + "after\n"
	if string(got) != want {
		t.Errorf("it is\n%s", got)
	}
	if err := os.WriteFile(path, []byte("no place\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := writeDocs(path, "", nil); err == nil {
		t.Error("a file without a place for the table is no error")
	}
}

func TestWhatIsMeasuredIsTheCommandAlone(t *testing.T) {
	into := filepath.Join(t.TempDir(), "usage.json")
	var out, complaints bytes.Buffer
	code, err := measure(into, []string{"sh", "-c", "echo said; echo complained >&2; exit 3"}, &out, &complaints)
	if err != nil || code != 3 || out.String() != "said\n" || complaints.String() != "complained\n" {
		t.Errorf("code %d, %v, said %q and %q", code, err, &out, &complaints)
	}
	text, err := os.ReadFile(into)
	if err != nil {
		t.Fatal(err)
	}
	var u usage
	if err := json.Unmarshal(text, &u); err != nil || u.Memory <= 0 || u.Clock <= 0 {
		t.Errorf("%+v of %s, %v", u, text, err)
	}
	if _, err := measure(into, []string{filepath.Join(t.TempDir(), "nothing")}, &out, &complaints); err == nil {
		t.Error("a program that is not there was run")
	}
}
