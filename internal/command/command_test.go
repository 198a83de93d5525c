package command

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/rungbot/rung/internal/promotion"
)

func TestParse(t *testing.T) {
	digest := "sha256:" + strings.Repeat("a", 64)
	for _, c := range []struct {
		line string
		want promotion.Command
	}{
		{"/rollback", promotion.Command{Verb: "rollback"}},
		{"/rollback checkout", promotion.Command{Verb: "rollback", Artifact: "checkout"}},
		{"/rollback in prod-eu", promotion.Command{Verb: "rollback", Environment: "prod-eu"}},
		{"/rollback checkout in prod-eu to 1.4.1", promotion.Command{Verb: "rollback", Artifact: "checkout", Environment: "prod-eu", Version: "1.4.1"}},
		{"/rollback to 1.4.1 in dev", promotion.Command{Verb: "rollback", Environment: "dev", Version: "1.4.1"}},
		{"/rollback force: the schema is fine", promotion.Command{Verb: "rollback", Force: true, Reason: "the schema is fine"}},
		{"/rollback force:now", promotion.Command{Verb: "rollback", Force: true, Reason: "now"}},
		{"/rollback\r\nmore", promotion.Command{Verb: "rollback"}},
		{"/hold", promotion.Command{Verb: "hold"}},
		{"/hold checkout in dev", promotion.Command{Verb: "hold", Artifact: "checkout", Environment: "dev"}},
		{"/hold we look at the logs", promotion.Command{Verb: "hold", Reason: "we look at the logs"}},
		{"/resume checkout", promotion.Command{Verb: "resume", Artifact: "checkout"}},
		{"/freeze prod-eu the sale is on until 2026-11-30T08:00Z", promotion.Command{Verb: "freeze", Environment: "prod-eu", Reason: "the sale is on", Until: time.Date(2026, 11, 30, 8, 0, 0, 0, time.UTC)}},
		{"/freeze all incident 12", promotion.Command{Verb: "freeze", Environment: AllEnvironments, Reason: "incident 12"}},
		{"/unfreeze all", promotion.Command{Verb: "unfreeze", Environment: AllEnvironments}},
		{"/quarantine " + digest + " leaks", promotion.Command{Verb: "quarantine", Digest: promotion.Digest(digest), Reason: "leaks"}},
		{"/unquarantine fixed by configuration", promotion.Command{Verb: "unquarantine", Reason: "fixed by configuration"}},
		{"/why checkout in staging", promotion.Command{Verb: "why", Artifact: "checkout", Environment: "staging"}},
		{"/retry", promotion.Command{Verb: "retry"}},
		{"/help", promotion.Command{Verb: "help"}},
	} {
		got, ok := Parse(c.line)
		got.Line = ""
		if !ok || !reflect.DeepEqual(got, c.want) {
			t.Errorf("Parse(%q) = %+v, %v; want %+v", c.line, got, ok, c.want)
		}
	}
}

func TestParseAnswersMistakes(t *testing.T) {
	for line, want := range map[string]string{
		"/rolback":                          "there is no command /rolback",
		"/rollback Checkout":                "is not an artifact name",
		"/rollback checkout now":            "is not understood here",
		"/rollback in":                      "wants an environment",
		"/rollback to":                      "wants a version",
		"/rollback to ../../etc":            "is not a version",
		"/rollback force:":                  "wants a reason",
		"/unquarantine":                     "wants a reason",
		"/freeze":                           "wants an environment",
		"/freeze prod-eu":                   "wants a reason",
		"/freeze prod-eu x until 9":         "is not a time",
		"/help me":                          "is not understood behind /help",
		"/retry\x00":                        "control character",
		"/why " + strings.Repeat("x", 2000): "longer than",
	} {
		got, ok := Parse(line)
		if !ok || !strings.Contains(got.Error, want) {
			t.Errorf("Parse(%.40q).Error = %q, %v; want %q", line, got.Error, ok, want)
		}
	}
}

func TestParseLeavesTheRestAlone(t *testing.T) {
	for _, line := range []string{
		"", "/", "//", "/ rollback", " /rollback", "> /rollback", "please /rollback", "/Rollback", "/etc/passwd is wrong",
		"\uff0frollback", "`/rollback`", "/1",
	} {
		if got, ok := Parse(line); ok {
			t.Errorf("Parse(%q) took it for a command: %+v", line, got)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"/rollback checkout in dev to 1.2.3 force: x", "/freeze all x until 2026-01-02", "/hold", "/quarantine sha256:00 x", "text"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, line string) {
		cmd, ok := Parse(line)
		if !ok {
			return
		}
		if cmd.Error == "" {
			if cmd.Artifact != "" {
				if _, err := promotion.ParseArtifact(string(cmd.Artifact)); err != nil {
					t.Errorf("an unchecked artifact got through: %v", err)
				}
			}
			if cmd.Environment != "" && cmd.Environment != AllEnvironments {
				if _, err := promotion.ParseEnvironment(string(cmd.Environment)); err != nil {
					t.Errorf("an unchecked environment got through: %v", err)
				}
			}
		}
		if len(cmd.Line) > maxLine || len(cmd.Reason) > maxReason {
			t.Errorf("unbounded: %d, %d", len(cmd.Line), len(cmd.Reason))
		}
	})
}

// TestAdoptCanNameItsPair where the comment stands on no promotion; other words
// are the reason.
func TestAdoptCanNameItsPair(t *testing.T) {
	for line, want := range map[string]promotion.Command{
		"/adopt checkout in prod it was urgent": {Artifact: "checkout", Environment: "prod", Reason: "it was urgent"},
		"/adopt it was urgent":                  {Reason: "it was urgent"},
		"/adopt urgent":                         {Reason: "urgent"},
		"/adopt seen in prod":                   {Reason: "seen in prod"},
		"/adopt Bob's in prod for now":          {Reason: "Bob's in prod for now"},
		"/adopt":                                {Error: "/adopt wants a reason behind it"},
		"/adopt checkout in PROD now":           {Artifact: "checkout", Error: `"PROD" is not an environment name`},
	} {
		got, ok := Parse(line)
		if !ok || got.Artifact != want.Artifact || got.Environment != want.Environment || got.Reason != want.Reason || !strings.HasPrefix(got.Error, want.Error) || (got.Error == "") != (want.Error == "") {
			t.Errorf("%s: got %+v", line, got)
		}
	}
}
