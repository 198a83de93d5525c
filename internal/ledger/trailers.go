package ledger

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/rungbot/rung/internal/promotion"
)

// Trailers are the index of records that a commit message carries: the final
// paragraph, ASCII, one key a line, in a fixed order. The statement is the
// truth; a disagreement is an error for whoever verifies.
type Trailers struct {
	// Groups is one for each record, sorted by environment and artifact.
	Groups []TrailerGroup
	// Ledger is the cited ledger commit, on promotion and merge commits.
	Ledger promotion.Hash
	// Base is the base commit up to which every change is recorded, on ledger
	// commits.
	Base promotion.Hash
	// App and Repository are in the ledger's first commit alone.
	App, Repository string
}

// TrailerGroup is one record's part of the trailers.
type TrailerGroup struct {
	Kind        promotion.RecordKind
	Environment promotion.Environment
	// Artifact is "name@sha256:…", a digest alone, or a freeze's scope.
	Artifact  string
	From      string
	Restores  string
	Statement string
}

// Keys of trailers.
const (
	keyVersion     = "Promotion-Version"
	keyApp         = "Promotion-App"
	keyRepository  = "Promotion-Repository"
	keyKind        = "Promotion-Kind"
	keyEnvironment = "Promotion-Environment"
	keyArtifact    = "Promotion-Artifact"
	keyFrom        = "Promotion-From"
	keyRestores    = "Promotion-Restores"
	keyStatement   = "Promotion-Statement"
	keyLedger      = "Promotion-Ledger"
	keyBase        = "Promotion-Base"
)

// keysInOrder are the keys in the order in which they are written; those from
// keyKind to keyStatement again for each group.
var keysInOrder = [...]string{keyVersion, keyApp, keyRepository, keyKind, keyEnvironment, keyArtifact, keyFrom, keyRestores, keyStatement, keyLedger, keyBase}

// GroupOf is the trailer group of a record.
func GroupOf(r promotion.Record, statement string) TrailerGroup {
	g := TrailerGroup{Kind: r.Kind, Environment: r.Environment, Statement: statement, Restores: r.Restores}
	switch {
	case r.Artifact != nil && r.Artifact.Digest != "":
		g.Artifact = string(r.Artifact.Name) + "@" + string(r.Artifact.Digest)
	case r.Artifact != nil:
		g.Artifact = string(r.Artifact.Name) + ":" + string(r.Artifact.Version)
	case r.Digest != "":
		g.Artifact = string(r.Digest)
	case r.Scope != "":
		g.Artifact = r.Scope
	}
	if r.From != nil {
		g.From = string(r.From.Environment)
	}
	return g
}

// String is the paragraph, with a final line feed.
func (t Trailers) String() string {
	var b strings.Builder
	b.Grow(256 * (len(t.Groups) + 1))
	line := func(key, value string) {
		if value != "" {
			for _, part := range [...]string{key, ": ", value, "\n"} {
				b.WriteString(part)
			}
		}
	}
	line(keyVersion, "1")
	line(keyApp, t.App)
	line(keyRepository, t.Repository)
	groups := slices.Clone(t.Groups)
	slices.SortStableFunc(groups, byPair)
	for _, g := range groups {
		line(keyKind, string(g.Kind))
		line(keyEnvironment, string(g.Environment))
		line(keyArtifact, g.Artifact)
		line(keyFrom, g.From)
		line(keyRestores, g.Restores)
		line(keyStatement, g.Statement)
	}
	line(keyLedger, string(t.Ledger))
	line(keyBase, string(t.Base))
	return b.String()
}

// byPair is the order of groups.
func byPair(a, b TrailerGroup) int {
	if c := strings.Compare(string(a.Environment), string(b.Environment)); c != 0 {
		return c
	}
	return strings.Compare(a.Artifact, b.Artifact)
}

// ParseTrailers reads the trailers of a commit message. It returns nil and no
// error for a message without any; trailers that are not exactly as String
// writes them are an error.
func ParseTrailers(message string) (*Trailers, error) {
	body := strings.TrimRight(message, "\n")
	at := lastBlank(body)
	if at < 0 {
		return nil, nil
	}
	paragraph := body[at+2:]
	if !strings.HasPrefix(paragraph, "Promotion-") && !strings.HasPrefix(strings.ToLower(paragraph), "promotion-") {
		return nil, nil
	}
	t := &Trailers{}
	last := -1
	for more := true; more; {
		var line string
		line, paragraph, more = strings.Cut(paragraph, "\n")
		key, value, ok := strings.Cut(line, ": ")
		if !ok || value == "" || value != strings.TrimSpace(value) || plainLen(line) < len(line) && !isASCII(line) {
			return nil, fmt.Errorf("trailer %q: not \"Key: value\" in plain ASCII", clip(line))
		}
		if err := t.set(key, value); err != nil {
			return nil, err
		}
		place := slices.Index(keysInOrder[:], key)
		if !follows(place, last) {
			return nil, errTrailerOrder
		}
		last = place
	}
	if !slices.IsSortedFunc(t.Groups, byPair) {
		return nil, errTrailerOrder
	}
	return t, nil
}

var errTrailerOrder = errors.New("trailers are not in the fixed order, each key once")

// lastBlank is where the last blank line begins, at the end of the line before it.
// Looking from the front is several times as fast as strings.LastIndex.
func lastBlank(text string) int {
	last := -1
	for {
		next := strings.Index(text[last+1:], "\n\n")
		if next < 0 {
			return last
		}
		last += 1 + next
	}
}

// follows reports whether String writes the key at one place of keysInOrder behind
// that at another: the version first, then every key behind one of a lower place,
// but for the kind that begins the next group.
func follows(place, last int) bool {
	if last < 0 {
		return place == 0
	}
	return place > last || keysInOrder[place] == keyKind && last <= slices.Index(keysInOrder[:], keyStatement)
}

func (t *Trailers) set(key, value string) error {
	switch key {
	case keyVersion:
		if value != "1" {
			return fmt.Errorf("%s: %q: only version 1 is known", keyVersion, clip(value))
		}
		return nil
	case keyApp:
		t.App = value
		return nil
	case keyRepository:
		t.Repository = value
		return nil
	case keyLedger, keyBase:
		h, err := promotion.ParseHash(value)
		if err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
		if key == keyLedger {
			t.Ledger = h
		} else {
			t.Base = h
		}
		return nil
	}
	if key == keyKind {
		t.Groups = append(t.Groups, TrailerGroup{Kind: promotion.RecordKind(value)})
		return nil
	}
	if len(t.Groups) == 0 {
		return fmt.Errorf("trailer %q: unknown, or before %s", clip(key), keyKind)
	}
	group := &t.Groups[len(t.Groups)-1]
	switch key {
	case keyEnvironment:
		group.Environment = promotion.Environment(value)
	case keyArtifact:
		group.Artifact = value
	case keyFrom:
		group.From = value
	case keyRestores:
		group.Restores = value
	case keyStatement:
		group.Statement = value
	default:
		return fmt.Errorf("trailer %q is not known", clip(key))
	}
	return nil
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] < 0x20 || s[i] > 0x7e {
			return false
		}
	}
	return true
}
