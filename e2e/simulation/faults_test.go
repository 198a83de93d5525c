package simulation

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rungbot/rung/internal/githubemu"
)

// The kinds of requests that rung sends to GitHub, as the fault grid names
// them.
var kinds = []struct {
	name  string
	match *regexp.Regexp
	write bool
}{
	{"mint", regexp.MustCompile(`^POST /api/v3/app/installations/\d+/access_tokens$`), false},
	{"push", regexp.MustCompile(`^POST /.*/git-receive-pack$`), true},
	{"fetch", regexp.MustCompile(`^(GET|POST) /.*\.git/`), false},
	{"graphql", regexp.MustCompile(`^POST /api/graphql$`), false},
	{"merge", regexp.MustCompile(`^PUT .*/pulls/\d+/merge$`), true},
	{"open", regexp.MustCompile(`^POST .*/pulls$`), true},
	{"edit", regexp.MustCompile(`^PATCH .*/pulls/\d+$`), true},
	{"check", regexp.MustCompile(`^(POST|PATCH) .*/check-runs`), true},
	{"comment", regexp.MustCompile(`^POST .*/issues/\d+/comments$`), true},
	{"reaction", regexp.MustCompile(`^POST .*/reactions$`), true},
	{"read", regexp.MustCompile(`^GET /api/v3/`), false},
}

func classify(r *http.Request) (name string, write bool) {
	line := r.Method + " " + r.URL.Path
	for _, k := range kinds {
		if k.match.MatchString(line) {
			return k.name, k.write
		}
	}
	return line, r.Method != http.MethodGet
}

// faultKinds are the faults of the grid; retry tells whether the server says
// when to come back.
var faultKinds = []struct {
	name  string
	fault githubemu.Fault
}{
	{"502 before", githubemu.Fault{Kind: githubemu.FaultBadGatewayBefore}},
	{"502 after", githubemu.Fault{Kind: githubemu.FaultBadGatewayAfter}},
	{"cut before", githubemu.Fault{Kind: githubemu.FaultCutBefore}},
	{"cut after", githubemu.Fault{Kind: githubemu.FaultCutAfter}},
	{"403", githubemu.Fault{Kind: githubemu.FaultForbidden}},
	{"403 retry", githubemu.Fault{Kind: githubemu.FaultForbidden, RetryAfter: 20 * time.Second}},
	{"429", githubemu.Fault{Kind: githubemu.FaultTooMany}},
	{"429 retry", githubemu.Fault{Kind: githubemu.FaultTooMany, RetryAfter: 7 * time.Second}},
	{"limit", githubemu.Fault{Kind: githubemu.FaultRateLimit, RetryAfter: 90 * time.Second}},
	{"401", githubemu.Fault{Kind: githubemu.FaultUnauthorized}},
	{"base", githubemu.Fault{Kind: githubemu.FaultBaseModified}},
}

// Two more rows of the grid: the process dies.
const (
	rowDiesBefore = "dies before"
	rowDiesAfter  = "dies after"
)

// fault waits for a request to strike.
type fault struct {
	kind int // in faultKinds
	on   string
	skip int
}

// crash waits for the n-th write from now.
type crash struct {
	skip   int
	after  bool
	forget bool
}

// interlude is something that people do between two writes of a pass.
type interlude struct {
	skip int
	do   func()
}

// wire carries one process's requests. Dead, it carries nothing.
type wire struct {
	w    *world
	dead bool
}

func (x *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	w := x.w
	if x.dead {
		return nil, errors.New("this process is dead")
	}
	switch r.URL.Host {
	case registryHost:
		return w.registry.serve(r)
	case healthHost:
		return w.health.serve(r)
	case githubHost:
	default:
		return nil, fmt.Errorf("no such host: %s", r.URL.Host)
	}
	kind, write := classify(r)
	if write {
		w.meanwhile()
	}
	dies := write && w.dies()
	if dies && !w.crash.after {
		w.dice.hit(rowDiesBefore, kind)
		w.say("rung dies before its %s", kind)
		panic(errCrash)
	}
	if write {
		w.oracle.Before(kind, r)
	}
	f := w.strikes(kind)
	if f != nil {
		armed := faultKinds[f.kind].fault
		if kind == "mint" {
			armed.Class = githubemu.Mint
		}
		_, err := w.emu.AddFault(armed)
		w.must(err)
	}
	res, err := w.emu.Transport().RoundTrip(r)
	if f != nil {
		w.emu.ClearFaults()
		w.dice.hit(faultKinds[f.kind].name, kind)
		w.say("%s fails: %s", kind, faultKinds[f.kind].name)
	}
	if write {
		w.oracle.After(kind, r)
		w.tell(kind, res)
	}
	if dies {
		w.dice.hit(rowDiesAfter, kind)
		w.say("rung dies after its %s", kind)
		panic(errCrash)
	}
	return res, err
}

// tell puts a write into the trace.
func (w *world) tell(kind string, res *http.Response) {
	status := "cut"
	if res != nil {
		status = fmt.Sprint(res.StatusCode)
	}
	w.say("    rung: %s %s%s", kind, status, w.oracle.Last())
}

// strikes takes the first fault that waits for such a request.
func (w *world) strikes(kind string) *fault {
	if w.calm {
		return nil
	}
	for i, f := range w.faults {
		if f.on != kind && f.on != "" || faultKinds[f.kind].name == "base" && kind != "merge" {
			continue
		}
		if f.skip > 0 {
			f.skip--
			continue
		}
		w.faults = slices.Delete(w.faults, i, i+1)
		return f
	}
	return nil
}

func (w *world) dies() bool {
	if w.crash == nil || w.calm {
		return false
	}
	w.crash.skip--
	return w.crash.skip < 0
}

// meanwhile lets people act between two writes.
func (w *world) meanwhile() {
	if w.between == nil || w.calm {
		return
	}
	if w.between.skip--; w.between.skip < 0 {
		do := w.between.do
		w.between = nil
		do()
	}
}

// grid counts how often each fault struck each kind of request.
type grid struct {
	mu   sync.Mutex
	hits map[[2]string]int
}

func newGrid() *grid { return &grid{hits: map[[2]string]int{}} }

func (g *grid) hit(row, column string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.hits[[2]string{row, column}]++
}

// print writes the grid as a table.
func (g *grid) print(to io.Writer) {
	var rows []string
	for _, f := range faultKinds {
		rows = append(rows, f.name)
	}
	rows = append(rows, rowDiesBefore, rowDiesAfter)
	var head strings.Builder
	for _, k := range kinds {
		fmt.Fprintf(&head, "%9s", k.name)
	}
	_, _ = fmt.Fprintf(to, "%-12s%s\n", "fault", head.String())
	for _, row := range rows {
		var line strings.Builder
		for _, k := range kinds {
			switch n := g.hits[[2]string{row, k.name}]; {
			case n == 0 && (row == "base" && k.name != "merge" || strings.HasPrefix(row, "dies") && !k.write):
				fmt.Fprintf(&line, "%9s", "-")
			default:
				fmt.Fprintf(&line, "%9d", n)
			}
		}
		_, _ = fmt.Fprintf(to, "%-12s%s\n", row, line.String())
	}
}
