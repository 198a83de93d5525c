package world

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/rungbot/rung/internal/githubemu"
)

// Record is a ledger record as the trailers of its commit index it.
type Record struct {
	Commit string
	// Kind, and Subject: environment/name@digest for what speaks of a pair,
	// otherwise the digest or the scope.
	Kind, Subject string
	// Causers are the people whom a propose of the ledger excludes from
	// approving it.
	Causers []string
}

// String is the record without its commit.
func (r Record) String() string { return r.Kind + " " + r.Subject }

// Ledger lists the records of rung/ledger, oldest first, as stock git tells of
// them; none while there is no such branch.
func (w *World) Ledger() []Record {
	w.tb.Helper()
	if w.Git("for-each-ref", "--format=%(refname)", "refs/heads/rung/ledger") == "" {
		return nil
	}
	all := records(w.Git("log", "--reverse", "--first-parent", "--format=%H%n%B%x00", "refs/heads/rung/ledger"))
	for i, r := range all {
		if r.Kind == "propose" {
			all[i].Causers = causers(w.Git("cat-file", "blob", r.Commit+":open/"+r.pair()+".intoto.jsonl"))
		}
	}
	return all
}

// causers are the people that the one record of a file names as having caused it.
func causers(line string) []string {
	var envelope struct{ Payload []byte }
	var statement struct {
		Predicate struct {
			Causers []struct{ Login string }
		}
	}
	if json.Unmarshal([]byte(line), &envelope) != nil || json.Unmarshal(envelope.Payload, &statement) != nil {
		return nil
	}
	var all []string
	for _, person := range statement.Predicate.Causers {
		all = append(all, person.Login)
	}
	return all
}

// Promotions lists the promotions that main's first-parent commits bring in, by
// what their messages say, oldest first.
func (w *World) Promotions() []Record {
	w.tb.Helper()
	return records(w.Git("log", "--reverse", "--first-parent", "--format=%H%n%B%x00", "refs/heads/main"))
}

// records reads the trailers of commits, each a hash, a line feed and its
// message, ended by NUL.
func records(log string) []Record {
	var all []Record
	for _, entry := range strings.Split(log, "\x00") {
		commit, message, _ := strings.Cut(strings.Trim(entry, "\n"), "\n")
		message = strings.Trim(message, "\n")
		paragraph := message[strings.LastIndex(message, "\n\n")+1:]
		var kind, environment, artifact string
		add := func() {
			if kind != "" {
				all = append(all, Record{Commit: commit, Kind: kind, Subject: strings.Trim(environment+"/"+artifact, "/")})
			}
			kind, environment, artifact = "", "", ""
		}
		for _, line := range strings.Split(paragraph, "\n") {
			key, value, _ := strings.Cut(line, ": ")
			switch key {
			case "Promotion-Kind":
				add()
				kind = value
			case "Promotion-Environment":
				environment = value
			case "Promotion-Artifact":
				artifact = value
			}
		}
		add()
	}
	return all
}

// Story is a list of records with what a crash may repeat left out: an authorize
// that renews the one before it for the same subject, withdraws, and a propose
// that adds to the one before it a person who was learnt to have caused it only
// after the registry had shown the version. Each pair's records keep their order;
// which of two pairs was first in a pass is left out as well.
func Story(all []Record) []string {
	var kept []Record
	last := map[string]Record{} // by subject
	for _, r := range all {
		before := last[r.Subject]
		if r.Kind == "withdraw" || r.Kind == "authorize" && before.Kind == "authorize" {
			continue
		}
		last[r.Subject] = r
		if r.Kind == "propose" && before.Kind == "propose" && len(r.Causers) > len(before.Causers) {
			continue
		}
		kept = append(kept, r)
	}
	slices.SortStableFunc(kept, func(a, b Record) int { return strings.Compare(a.pair(), b.pair()) })
	story := make([]string, len(kept))
	for i, r := range kept {
		story[i] = r.String()
	}
	return story
}

// pair is the subject without its digest.
func (r Record) pair() string {
	pair, _, _ := strings.Cut(r.Subject, "@")
	return pair
}

// Live are the records in a pair's live file, in order, in a few words: "land
// 1.1.0", "settle 1.1.0 good". It asks the emulator, not git.
func (w *World) Live(environment, artifact string) []string {
	text, _ := w.Emulator.ReadFile(context.Background(), Repository, "rung/ledger", "live/"+environment+"/"+artifact+".intoto.jsonl")
	var kinds []string
	for line := range strings.Lines(text) {
		var envelope struct{ Payload []byte }
		var statement struct {
			Predicate struct {
				Kind, Outcome string
				Artifact      struct{ Version string }
			}
		}
		if json.Unmarshal([]byte(line), &envelope) == nil && json.Unmarshal(envelope.Payload, &statement) == nil && statement.Predicate.Kind != "" {
			p := statement.Predicate
			kinds = append(kinds, strings.TrimSpace(p.Kind+" "+p.Artifact.Version+" "+p.Outcome))
		}
	}
	return kinds
}

// conversation says how much was said on a pull request, by whom.
func conversation(pr *githubemu.PullState) string {
	comments, replies, reactions := 0, 0, 0
	for _, c := range pr.Comments {
		if comments++; c.Author == Bot {
			replies++
		}
		reactions += len(c.Reactions)
	}
	return fmt.Sprintf("%d comments (%d by rung), %d reactions", comments, replies, reactions)
}

// Describe says in lines how the world stands: what must be equal however rung
// was disturbed.
func (w *World) Describe(environments ...string) string {
	w.tb.Helper()
	var b strings.Builder
	st := w.State()
	for _, env := range environments {
		fmt.Fprintf(&b, "== %s\n%s", FileOf(env), w.File(env))
	}
	fmt.Fprintln(&b, "== pull requests")
	for _, pr := range st.Pulls {
		var checks []string
		for _, c := range st.Checks[pr.HeadSHA] {
			if c.Name == "rung" && c.App == "rung" {
				if checks = append(checks, c.Conclusion); c.Conclusion != "success" {
					checks[len(checks)-1] += " (" + c.Title + ")"
				}
			}
		}
		slices.Sort(checks)
		fmt.Fprintf(&b, "%s %s, rung %s, %s: %s\n", pr.Head, pr.State, strings.Join(checks, "+"), conversation(&pr), pr.Title)
	}
	fmt.Fprintln(&b, "== ledger")
	for _, line := range Story(w.Ledger()) {
		fmt.Fprintln(&b, line)
	}
	fmt.Fprintln(&b, "== promotions on main")
	for _, r := range w.Promotions() {
		fmt.Fprintln(&b, r)
	}
	return b.String()
}
