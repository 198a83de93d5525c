package hint

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rungbot/rung/internal/promotion"
)

// MaxTold is how many announcements are kept; the oldest go first.
const MaxTold = 500

// About reports whether an announcement may be about an artifact: it names it, or
// its image, or neither name nor image.
func (h Hint) About(name promotion.Artifact, image string) bool {
	switch {
	case h.Artifact != "":
		return h.Artifact == name
	case h.Image != "":
		return h.Image == image
	}
	return true
}

// By reports whether an announcement comes from where an artifact may be announced:
// the GitOps repository itself, or one of the artifact's publishers.
func (h Hint) By(repository int64, publishers []string) bool {
	return Entitled(h.Publisher, h.PublisherID, repository, publishers)
}

// Entitled reports whether the repository in which an event happened, "owner/name"
// and its number, may announce an artifact of a GitOps repository.
func Entitled(publisher string, publisherID, repository int64, publishers []string) bool {
	return publisherID != 0 && publisherID == repository ||
		slices.ContainsFunc(publishers, func(p string) bool { return publisher != "" && strings.EqualFold(p, publisher) })
}

// Told adds an announcement to those that are known, oldest first. What the same
// person said of the same version before is said once, where it was said first:
// nobody pushes another's announcement out by repeating their own.
func Told(known []Hint, h Hint) []Hint {
	if h.Kind != KindPublished {
		return known
	}
	same := func(k Hint) bool {
		return k.Artifact == h.Artifact && k.Image == h.Image && k.Version == h.Version && k.Sender == h.Sender
	}
	if slices.ContainsFunc(known, same) {
		return known
	}
	known = append(known, h)
	return known[max(0, len(known)-MaxTold):]
}

// told is an announcement as it is kept.
type told struct {
	At   time.Time `json:"at"`
	Hint Hint      `json:"hint"`
}

// EncodeTold writes announcements down.
func EncodeTold(known []Hint) ([]byte, error) {
	list := make([]told, len(known))
	for i, h := range known {
		list[i] = told{h.At, h}
	}
	data, err := json.Marshal(list)
	if err != nil {
		return nil, fmt.Errorf("hint: %w", err)
	}
	return data, nil
}

// DecodeTold reads what EncodeTold wrote.
func DecodeTold(data []byte) ([]Hint, error) {
	var list []told
	if err := json.Unmarshal(data, &list); err != nil {
		return nil, fmt.Errorf("hint: announcements can't be read: %w", err)
	}
	known := make([]Hint, len(list))
	for i, t := range list {
		known[i] = t.Hint
		known[i].Kind, known[i].At = KindPublished, t.At
	}
	return known, nil
}
