// Package hint is what a door tells observe: not what is so, only where to look.
//
// State: none; plain data. A Hint is kept by the queue with its key until a pass
// that took it succeeds, so it must survive a restart: it is JSON, and new
// fields are optional. Every string in it has passed a strict grammar at the
// door. Losing every hint costs time, never truth.
//
// What it does not do: it carries no payload, and nobody decides from it.
package hint

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/rungbot/rung/internal/promotion"
	"github.com/rungbot/rung/internal/queue"
)

// Kinds of hints.
const (
	// Refs: a branch moved; Ref, Before, After, Own.
	Refs = "refs"
	// Pull: somebody else touched a pull request; Number, Head, Action.
	Pull = "pull"
	// Review: a review came or went; Number, Head.
	Review = "review"
	// Command: a comment that may be a command; Comment, Number, Author, At,
	// Line.
	Command = "command"
	// Check: a check run of another App completed; Head, Name, App.
	Check = "check"
	// Suite: a check suite completed; Head.
	Suite = "suite"
	// Status: a commit status; Head, Name, State.
	Status = "status"
	// Deployment: a deployment status; Head, State.
	Deployment = "deployment"
	// Click: a button of rung's own check run; Action, Head, Author, At.
	Click = "click"
	// Rerequested: somebody asks for the check again; Head.
	Rerequested = "rerequested"
	// MergeGroup: a merge queue group wants its check; Head.
	MergeGroup = "merge-group"
	// Published: an artifact may have a new version; Artifact or Image,
	// Version, Digest, Source, SourceCommit, Author, Event, Delivery.
	Published = "published"
	// Workflow: a workflow run completed; Head.
	Workflow = "workflow"
	// Repository: the repository or its installation changed; Action.
	Repository = "repository"
	// Refused: something in an event was not of its grammar; Text says what.
	Refused = "refused"
	// Everything: look at everything.
	Everything = "everything"
)

// Hint is one hint. Which fields are set depends on Kind.
type Hint struct {
	Kind         string             `json:"kind"`
	Ref          string             `json:"ref,omitempty"`
	Before       promotion.Hash     `json:"before,omitempty"`
	After        promotion.Hash     `json:"after,omitempty"`
	Own          bool               `json:"own,omitempty"`
	Number       int                `json:"number,omitempty"`
	Head         promotion.Hash     `json:"head,omitempty"`
	Action       string             `json:"action,omitempty"`
	Name         string             `json:"name,omitempty"`
	App          int64              `json:"app,omitempty"`
	State        string             `json:"state,omitempty"`
	Comment      int64              `json:"comment,omitempty"`
	Line         string             `json:"line,omitempty"`
	Author       promotion.Person   `json:"author,omitzero"`
	At           time.Time          `json:"at,omitzero"`
	Artifact     promotion.Artifact `json:"artifact,omitempty"`
	Image        string             `json:"image,omitempty"`
	Version      promotion.Version  `json:"version,omitempty"`
	Digest       promotion.Digest   `json:"digest,omitempty"`
	Source       string             `json:"source,omitempty"`
	SourceCommit string             `json:"sourceCommit,omitempty"`
	Event        string             `json:"event,omitempty"`
	Delivery     string             `json:"delivery,omitempty"`
	Text         string             `json:"text,omitempty"`
}

// Mark makes the queue's mark of a hint for a repository. subject tells hints of
// one kind apart: two with the same kind and subject are one, the newer.
func Mark(repository int64, subject string, h Hint) (queue.Mark, error) {
	data, err := json.Marshal(h)
	if err != nil {
		return queue.Mark{}, fmt.Errorf("hint: %w", err)
	}
	return queue.Mark{Key: queue.RepositoryKey(repository), Hint: queue.Hint{Kind: h.Kind, Subject: subject, At: h.At, Data: data}}, nil
}

// Read takes a queue's hint apart. One that can't be read, or is of a kind that
// this version does not know, means Everything.
func Read(q queue.Hint) Hint {
	var h Hint
	if len(q.Data) == 0 || json.Unmarshal(q.Data, &h) != nil || h.Kind != q.Kind {
		return Hint{Kind: Everything, At: q.At}
	}
	return h
}
