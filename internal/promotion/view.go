package promotion

import "time"

// ViewName is the name under which a repository's last pass is kept beside the
// queue, for the board.
const ViewName = "repository"

// View is a repository's last pass, as the board shows it.
type View struct {
	Repository Repository      `json:"repository"`
	At         time.Time       `json:"at"`
	Configured bool            `json:"configured"`
	Mode       Mode            `json:"mode,omitempty"`
	Base       Hash            `json:"base,omitempty"`
	Ledger     Hash            `json:"ledger,omitempty"`
	Pipeline   *Pipeline       `json:"pipeline,omitempty"`
	Problems   []ConfigProblem `json:"problems,omitempty"`
	Notes      []string        `json:"notes,omitempty"`
	Pairs      []PairState     `json:"pairs,omitempty"`
	Freezes    []Bar           `json:"freezes,omitempty"`
	Quarantine []Bar           `json:"quarantine,omitempty"`
	// Error is what the last pass failed with; the rest is then of the pass
	// before it.
	Error string    `json:"error,omitempty"`
	Next  time.Time `json:"next,omitzero"`
	// Would is what a dry run would do; a pass has done it.
	Would []string `json:"would,omitempty"`
	// Unseen is what a reading of a clone could not see; a pass sees all there is.
	Unseen []string `json:"unseen,omitempty"`
}
