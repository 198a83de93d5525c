package promotion

import "time"

// Status is a gate's answer.
type Status string

// The four answers. Only StatusPass lets a promotion go on.
const (
	StatusPass    Status = "pass"
	StatusFail    Status = "fail"
	StatusPending Status = "pending"
	// StatusUnknown means that the gate could not judge: a source did not
	// answer, or said something that is not understood. It holds.
	StatusUnknown Status = "unknown"
)

// Verdict is what a gate says, once, for every page and record that shows it.
type Verdict struct {
	// Gate is the gate's id: lower case, stable, such as "predecessor".
	Gate   string `json:"gate"`
	Status Status `json:"status"`
	// Sentence is one plain sentence for a person: what holds, and what would
	// unblock it. Text from outside in it is already neutralised by the page
	// that renders it, not here.
	Sentence string     `json:"sentence"`
	Evidence []Evidence `json:"evidence,omitempty"`
	// Look is when to look again; zero: when something changes.
	Look time.Time `json:"look,omitzero"`
	// Rules are the results of a policy, rule by rule; other gates leave it
	// empty.
	Rules []RuleResult `json:"rules,omitempty"`
	// Inputs are the attestations that the gate checked; most check none.
	Inputs []RecordInput `json:"inputs,omitempty"`
}

// Evidence is one observed thing that a verdict stands on.
type Evidence struct {
	Name  string    `json:"name"`
	Value string    `json:"value"`
	URL   string    `json:"url,omitempty"`
	At    time.Time `json:"at,omitzero"`
}

// RuleResult is one policy rule's answer.
type RuleResult struct {
	Policy string `json:"policy"`
	Rule   string `json:"rule"`
	Status Status `json:"status"`
	// Message is the rule's own message, at most 1,024 bytes.
	Message string `json:"message,omitempty"`
}

// Passed reports whether every verdict passes; no verdict at all does not.
func Passed(vs []Verdict) bool {
	for _, v := range vs {
		if v.Status != StatusPass {
			return false
		}
	}
	return len(vs) > 0
}

// Worst is the status that decides: fail, then unknown, then pending, then
// pass. No verdict at all is unknown.
func Worst(vs []Verdict) Status {
	rank := map[Status]int{StatusPass: 0, StatusPending: 1, StatusUnknown: 2, StatusFail: 3}
	if len(vs) == 0 {
		return StatusUnknown
	}
	worst := StatusPass
	for _, v := range vs {
		r, known := rank[v.Status]
		if !known {
			v.Status, r = StatusUnknown, rank[StatusUnknown]
		}
		if r > rank[worst] {
			worst = v.Status
		}
	}
	return worst
}
