package demo

import (
	"encoding/json"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/rungbot/rung/internal/promotion"
)

// The kinds of steps.
const (
	StepServes      = "serves"      // a part of the world is reached at URL
	StepPublished   = "published"   // a version is in the registry and announced
	StepOpened      = "opened"      // a pull request
	StepCheck       = "check"       // what the check rung says now
	StepReviewed    = "reviewed"    // by a person
	StepCommented   = "commented"   // by a person or rung
	StepMerged      = "merged"      // a pull request
	StepClosed      = "closed"      // a pull request, without a merge
	StepBegan       = "began"       // the ledger
	StepLanded      = "landed"      // a land record
	StepSettled     = "settled"     // a settle record
	StepQuarantined = "quarantined" // a quarantine record
	StepRecorded    = "recorded"    // any other record that people hear of
	StepSaid        = "said"        // to the spectator, by the demo itself
	StepFound       = "found"       // by the check at the end
)

// Step is one thing that happened.
type Step struct {
	// At is the time since the start, in milliseconds.
	At   int64  `json:"at"`
	Kind string `json:"step"`
	// Text is the step in a sentence, without its link.
	Text        string                `json:"text"`
	Environment promotion.Environment `json:"environment,omitempty"`
	Artifact    promotion.Artifact    `json:"artifact,omitempty"`
	Version     promotion.Version     `json:"version,omitempty"`
	Digest      promotion.Digest      `json:"digest,omitempty"`
	PullRequest int                   `json:"pullRequest,omitempty"`
	By          string                `json:"by,omitempty"`
	// OK is the outcome of a settle, a check or a finding.
	OK  *bool  `json:"ok,omitempty"`
	URL string `json:"url,omitempty"`
}

// teller prints steps, one at a time, in the order in which they are told.
type teller struct {
	mu      sync.Mutex
	out     io.Writer
	json    bool
	started time.Time
}

// tell prints a step: a JSON object or a line for people.
func (t *teller) tell(s Step) {
	t.mu.Lock()
	defer t.mu.Unlock()
	since := time.Since(t.started)
	s.At = since.Milliseconds()
	if t.json {
		t.encode(s)
		return
	}
	line := fmt.Sprintf("%6.1fs  %s", since.Seconds(), s.Text)
	if s.Kind == StepSaid {
		line = "\n" + s.Text + "\n"
	}
	if s.URL != "" {
		line += "  " + s.URL
	}
	_, _ = fmt.Fprintln(t.out, line)
}

// say tells the spectator something that is not an event.
func (t *teller) say(format string, args ...any) {
	t.tell(Step{Kind: StepSaid, Text: fmt.Sprintf(format, args...)})
}

// encode writes one JSON object on a line of its own.
func (t *teller) encode(v any) {
	data, err := json.Marshal(v)
	if err != nil {
		return // steps and summaries always encode
	}
	_, _ = t.out.Write(append(data, '\n'))
}
