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

// KindEverything asks for a look at everything; it has no data.
const KindEverything = queue.KindEverything

// Hint is any hint, as observe reads it: the union of the shapes that doors
// write (shapes.go). Which fields are set depends on Kind.
type Hint struct {
	// Kind and At are the queue's; they are not in the data.
	Kind string    `json:"-"`
	At   time.Time `json:"-"`

	Ref         string             `json:"ref,omitempty"`
	Before      promotion.Hash     `json:"before,omitempty"`
	After       promotion.Hash     `json:"after,omitempty"`
	Own         bool               `json:"own,omitempty"`
	Number      int                `json:"number,omitempty"`
	Action      string             `json:"action,omitempty"`
	Head        promotion.Hash     `json:"head,omitempty"`
	HeadRef     string             `json:"headRef,omitempty"`
	SHA         promotion.Hash     `json:"sha,omitempty"`
	Context     string             `json:"context,omitempty"`
	State       string             `json:"state,omitempty"`
	Name        string             `json:"name,omitempty"`
	App         int64              `json:"app,omitempty"`
	Comment     int64              `json:"comment,omitempty"`
	Author      promotion.Person   `json:"author,omitzero"`
	CreatedAt   time.Time          `json:"createdAt,omitzero"`
	Line        string             `json:"line,omitempty"`
	CheckRun    int64              `json:"checkRun,omitempty"`
	Identifier  string             `json:"identifier,omitempty"`
	Sender      promotion.Person   `json:"sender,omitzero"`
	Artifact    promotion.Artifact `json:"artifact,omitempty"`
	Image       string             `json:"image,omitempty"`
	Version     promotion.Version  `json:"version,omitempty"`
	Digest      promotion.Digest   `json:"digest,omitempty"`
	Source      Source             `json:"source,omitzero"`
	Publisher   string             `json:"publisher,omitempty"`
	PublisherID int64              `json:"publisherID,omitempty"`
	Environment string             `json:"environment,omitempty"`
	Event       string             `json:"event,omitempty"`
	Delivery    string             `json:"delivery,omitempty"`
	Reason      string             `json:"reason,omitempty"`
}

// Mark makes the queue's mark of a hint for a repository. subject says what the hint
// is about: two with the same kind, subject and data are one.
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
	if q.Kind == KindEverything || len(q.Data) == 0 || json.Unmarshal(q.Data, &h) != nil {
		return Hint{Kind: KindEverything, At: q.At}
	}
	h.Kind, h.At = q.Kind, q.At
	return h
}
