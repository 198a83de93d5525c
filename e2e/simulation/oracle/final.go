package oracle

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/rungbot/rung/internal/githubemu"
)

// view is the board's data, as far as it is judged.
type view struct {
	At         time.Time `json:"at"`
	Next       time.Time `json:"next"`
	Configured bool      `json:"configured"`
	Error      string    `json:"error"`
	Notes      []string  `json:"notes"`
	Problems   []any     `json:"problems"`
	Pairs      []struct {
		Pair     string `json:"pair"`
		Phase    string `json:"phase"`
		Sentence string `json:"sentence"`
		Live     struct {
			Version string `json:"version"`
			Digest  string `json:"digest"`
		} `json:"live"`
	} `json:"pairs"`
}

// Board is the board's data in a few lines.
func Board(views [][]byte) string {
	var b strings.Builder
	for _, data := range views {
		var v view
		if err := json.Unmarshal(data, &v); err != nil {
			fmt.Fprintf(&b, "  can't be read: %v\n", err)
			continue
		}
		fmt.Fprintf(&b, "  at %s, next %s, error %q\n", v.At.Format("15:04:05.000"), v.Next.Format("15:04:05.000"), v.Error)
		for _, n := range v.Notes {
			fmt.Fprintf(&b, "  note: %s\n", n)
		}
		for _, p := range v.Pairs {
			fmt.Fprintf(&b, "  %s %s %s: %s\n", p.Pair, p.Live.Version, p.Phase, p.Sentence)
		}
	}
	return b.String()
}

// Final judges a world that has come to rest, with what the board knows.
func (o *Oracle) Final(views [][]byte) {
	st := o.look()
	o.onePullAPair()
	o.oneReplyEach()
	var v view
	for _, data := range views {
		if err := json.Unmarshal(data, &v); err != nil {
			o.Report("5 reasons", "the view can't be read: %v", err)
		}
	}
	if len(views) == 0 {
		o.Report("5 reasons", "there is no view")
		return
	}
	if v.Error != "" {
		o.Report("7 bounded", "rung rests in an error: %s", v.Error)
		return
	}
	base := st.Branches["main"]
	p := o.configuration(base)
	o.checksExplain(&st, p)
	o.pairsExplain(&v, base, p)
}

// checksExplain wants a reason on every open pull request, and no promotion
// that could go on left behind.
func (o *Oracle) checksExplain(st *githubemu.RepositoryState, p *pipeline) {
	for _, pr := range st.Pulls {
		if pr.State != "open" || pr.Base != "main" {
			continue
		}
		i := slices.IndexFunc(st.Checks[pr.HeadSHA], func(c githubemu.CheckState) bool { return c.Name == ownCheck && c.App == "rung" })
		if i < 0 {
			o.Report("5 reasons", "#%d (%s) carries no check of rung's", pr.Number, pr.Head)
			continue
		}
		c := st.Checks[pr.HeadSHA][i]
		if c.Title == "" || c.Summary == "" || c.Status != "completed" {
			o.Report("5 reasons", "the check of #%d gives no reason", pr.Number)
		}
		if !strings.HasPrefix(pr.Head, "rung/p/") {
			continue
		}
		pair := strings.TrimPrefix(pr.Head, "rung/p/")
		r := o.book.open[pair]
		if r == nil || r.Kind == "withdraw" {
			continue
		}
		if bar := o.book.barred(r.Artifact.Digest); bar != nil && c.Conclusion == "success" {
			o.Report("3 quarantine", "#%d is green with the quarantined %s", pr.Number, r.Artifact.Version)
		}
		if c.Conclusion == "success" && r.Restores == "" && !p.broken {
			if have, need := o.approvals(r, &pr), p.Environments[r.Environment].Approvals.Required; have < need {
				o.Report("1 gates", "#%d is green with %d approvals that count, %s needs %d", pr.Number, have, r.Environment, need)
			}
		}
		if c.Conclusion == "success" && p.Mode == "merge" && !p.broken && len(st.Rules) == 0 {
			o.Report("7 bounded", "#%d is green and nobody merges it", pr.Number)
		}
	}
}

// pairsExplain wants a sentence for every pair that is behind.
func (o *Oracle) pairsExplain(v *view, base string, p *pipeline) {
	if p.Mode == "observe" {
		return // it shows what it would do, which the ledger does not
	}
	places := o.places(base)
	for name, env := range p.Environments {
		for artifact := range o.Images {
			pair := name + "/" + artifact
			if len(places[pair]) == 0 {
				continue
			}
			i := -1
			for j := range v.Pairs {
				if v.Pairs[j].Pair == pair {
					i = j
				}
			}
			if i < 0 {
				o.Report("5 reasons", "the view does not show %s", pair)
				continue
			}
			if !strings.Contains(v.Pairs[i].Sentence, " ") && o.behind(pair, artifact, env, places) {
				o.Report("5 reasons", "%s is behind and the view gives no reason (phase %q, %v)", pair, v.Pairs[i].Phase, places[pair])
			}
		}
	}
}

// behind reports whether the environments before run something else than a
// pair.
func (o *Oracle) behind(pair, artifact string, env environment, places map[string]map[string]value) bool {
	if len(env.After) == 0 {
		return false
	}
	for _, before := range env.After {
		for _, there := range places[before+"/"+artifact] {
			for _, here := range places[pair] {
				if there.Digest == here.Digest || o.book.barred(there.Digest) != nil || !o.book.good[before+"/"+artifact+"@"+there.Digest] || older(there.Version, here.Version) {
					return false
				}
			}
		}
	}
	return true
}

// older compares versions of the form 1.N.0.
func older(a, b string) bool {
	var x, y int
	_, _ = fmt.Sscanf(a, "1.%d.0", &x)
	_, _ = fmt.Sscanf(b, "1.%d.0", &y)
	return x < y
}

var since = regexp.MustCompile(`since \d\d:\d\d UTC`)

// Fingerprint is everything that people see of a repository, as text: branches
// but the ledger, pull requests, checks and how many words were said.
//
// Since when an HTTP source fails nobody can be asked: a rung that starts anew counts
// from there.
func Fingerprint(st githubemu.RepositoryState) string {
	var b strings.Builder
	var names []string
	for name := range st.Branches {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if name == "rung/ledger" {
			continue // how many records it holds is the book's to tell
		}
		fmt.Fprintf(&b, "branch %s %s\n", name, st.Branches[name])
	}
	for _, p := range st.Pulls {
		said := 0
		for _, c := range p.Comments {
			said += 1 + len(c.Reactions)
		}
		fmt.Fprintf(&b, "pull %d %s %s %.10s comments and reactions %d\n", p.Number, p.Head, p.State, p.HeadSHA, said)
		if p.State != "open" {
			continue
		}
		for _, c := range st.Checks[p.HeadSHA] {
			fmt.Fprintf(&b, "check of %d: %s %s %s: %s\n", p.Number, c.Name, c.Conclusion, c.Title, since.ReplaceAllString(strings.ReplaceAll(c.Summary, "\n", " "), "since …"))
		}
	}
	return b.String()
}
