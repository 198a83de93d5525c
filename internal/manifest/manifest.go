package manifest

import (
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/rungbot/rung/internal/promotion"
)

// Limits of what is read. A file beyond them that names an artifact is an
// error, one that doesn't is passed over.
const (
	// MaxSize is the largest file read, in bytes.
	MaxSize = 1 << 20
	// MaxDepth is how deeply collections may nest.
	MaxDepth = 100
	// MaxDocuments is how many documents a file may hold.
	MaxDocuments = 1000

	maxExpanded = 500_000 // values that aliases and merge keys expand to
	maxShared   = 64      // different places that use the same scalar
	maxNotes    = 100
	maxErrors   = 10
)

// Artifact says which image to look for.
type Artifact struct {
	// Name is the artifact's name in rung.yaml; `# rung: name` marks refer to it.
	Name promotion.Artifact
	// Image is the repository without tag and digest, such as
	// ghcr.io/acme/checkout. nginx means docker.io/library/nginx.
	Image string
}

// Pin says how an edit writes a version.
type Pin string

// The ways to pin. The zero Pin is PinDigest.
const (
	// PinDigest writes the digest, and the version beside it.
	PinDigest Pin = "digest"
	// PinTag writes the version alone and takes a digest away.
	PinTag Pin = "tag"
)

// Found is a place where an artifact is named with a version.
type Found struct {
	Artifact promotion.Artifact
	Place    promotion.Place
	// Line and Column of the value in the file, from 1; columns count runes.
	Line, Column int
}

// WithoutVersion ends the text of a Note about an image that is named bare.
const WithoutVersion = "without a version: rung leaves it alone"

// Note is something a person may want to know of a file: a mention of an
// artifact that is not a place, or why the file was passed over.
type Note struct {
	Path string
	// Line and Column from 1; 0 where the note is about the whole file.
	Line, Column int
	Text         string
}

// String is "path:line:column: text".
func (n Note) String() string { return position(n.Path, n.Line, n.Column) + n.Text }

// Report is what Find saw in a file, both lists in the order of the file.
type Report struct {
	Found []Found
	// Notes holds at most 100 notes.
	Notes []Note
}

// Error is a file, or a spot in it, that can't be read or edited safely.
type Error struct {
	Path string
	// Line and Column from 1; 0 where the error is about the whole file.
	Line, Column int
	Reason       string
}

// Error is "path:line:column: reason".
func (e *Error) Error() string { return position(e.Path, e.Line, e.Column) + e.Reason }

// MismatchError says that recorded changes don't fit a file: the place is gone,
// or it holds something else.
type MismatchError struct {
	Path    string
	Locator string
	// Want is the recorded value before the change.
	Want promotion.Value
	// Got is what the place holds; meaningless when Missing.
	Got     promotion.Value
	Missing bool
}

// Error names the place, what was recorded and what stands there.
func (e *MismatchError) Error() string {
	if e.Missing {
		return fmt.Sprintf("%s: there is no place %s, which the record says held %s", e.Path, e.Locator, show(e.Want))
	}
	return fmt.Sprintf("%s: %s holds %s, but the record says %s", e.Path, e.Locator, show(e.Got), show(e.Want))
}

// IsManifest reports whether a file of this name is worth giving to Find:
// *.yaml, *.yml, *.json, or a file called Kustomization.
func IsManifest(name string) bool {
	switch path.Ext(name) {
	case ".yaml", ".yml", ".json":
		return true
	}
	return path.Base(name) == "Kustomization"
}

// Find lists the places of the artifacts in a file. name is the
// file's path from the repository's root and is used in places and errors only.
// Two artifacts with the same image each get the same place.
//
// The error is an *Error, or several joined, each with its position: a file
// that can't be parsed but names an image, a version that is malformed,
// a duplicate key, an alias that would carry an edit elsewhere. With
// an error the Report is empty. A file that names none of the artifacts costs one
// search through its bytes and is never an error, with one
// exception: a file in UTF-16, in which nothing can be searched.
func Find(name string, data []byte, artifacts []Artifact) (Report, error) {
	f, err := read(name, data, artifacts)
	if err != nil {
		return Report{}, err
	}
	report := Report{Notes: f.notes}
	for _, p := range f.places {
		line, column := p.src.position(p.spot())
		report.Found = append(report.Found, Found{
			Artifact: p.artifact,
			Place:    promotion.Place{Path: name, Locator: p.locator, Value: p.value},
			Line:     line, Column: column,
		})
	}
	return report, nil
}

// PlacesIn lists the places of the artifacts in a file as Find does, without
// artifact names and notes.
func PlacesIn(name string, data []byte, artifacts []Artifact) ([]promotion.Place, error) {
	report, err := Find(name, data, artifacts)
	if err != nil {
		return nil, err
	}
	var places []promotion.Place
	for _, f := range report.Found {
		places = append(places, f.Place)
	}
	return places, nil
}

// Edit writes a value at every place of an artifact in a file. It
// returns the new bytes and the changes in the order of the file; places
// that hold the value already are no change, and when none changes the bytes
// returned are data. After is what then stands at the place, which can be
// less than to: a tag alone with PinTag, a version alone at a marked version.
//
// PinDigest needs to.Digest, PinTag needs to.Version; to may lack a version
// with PinDigest (a place then names the digest alone, where its kind can).
// Besides Find's errors, Edit fails where the value can't be
// written or the result doesn't read back.
func Edit(name string, data []byte, artifact Artifact, to promotion.Value, pin Pin) ([]byte, []promotion.PlaceChange, error) {
	if err := checkTarget(to, pin); err != nil {
		return nil, nil, &Error{Path: name, Reason: err.Error()}
	}
	f, err := read(name, data, []Artifact{artifact})
	if err != nil {
		return nil, nil, err
	}
	var edits []edit
	var changes []promotion.PlaceChange
	for _, p := range f.places {
		after, err := p.aim(to, pin)
		if err != nil {
			return nil, nil, p.src.fail(p.spot(), "%v", err)
		}
		if after == p.value {
			continue
		}
		edits = append(edits, edit{p, after})
		changes = append(changes, promotion.PlaceChange{Path: name, Locator: p.locator, Before: p.value, After: after})
	}
	out, err := f.rewrite(edits)
	if err != nil {
		return nil, nil, err
	}
	return out, changes, nil
}

// Apply makes recorded changes again in other bytes of the same file. Every
// change must be of this path, and its locator must be a place of one of the
// artifacts that holds Before: otherwise the error is a *MismatchError and
// nothing is changed. Changes to places of several artifacts may be given at once.
func Apply(name string, data []byte, artifacts []Artifact, changes []promotion.PlaceChange) ([]byte, error) {
	if len(changes) == 0 {
		return data, nil
	}
	f, err := read(name, data, artifacts)
	if err != nil {
		return nil, err
	}
	byLocator := make(map[string]*place, len(f.places))
	for _, p := range f.places {
		byLocator[p.locator] = p
	}
	var edits []edit
	seen := make(map[string]bool, len(changes))
	for _, c := range changes {
		p := byLocator[c.Locator]
		switch {
		case c.Path != name:
			return nil, &Error{Path: name, Reason: fmt.Sprintf("a change to %s was given for this file", quote(c.Path))}
		case seen[c.Locator]:
			return nil, &Error{Path: name, Reason: fmt.Sprintf("two changes were given for %s", c.Locator)}
		case p == nil:
			return nil, &MismatchError{Path: name, Locator: c.Locator, Want: c.Before, Missing: true}
		case p.value != c.Before:
			return nil, &MismatchError{Path: name, Locator: c.Locator, Want: c.Before, Got: p.value}
		}
		seen[c.Locator] = true
		if err := p.accepts(c.After); err != nil {
			return nil, p.src.fail(p.spot(), "%v", err)
		}
		if c.After != c.Before {
			edits = append(edits, edit{p, c.After})
		}
	}
	return f.rewrite(edits)
}

func checkTarget(to promotion.Value, pin Pin) error {
	if to.Version != "" {
		if _, err := promotion.ParseVersion(string(to.Version)); err != nil {
			return err
		}
	}
	if to.Digest != "" {
		if _, err := promotion.ParseDigest(string(to.Digest)); err != nil {
			return err
		}
	}
	switch pin {
	case PinDigest, "":
		if to.Digest == "" {
			return errors.New("pin: digest needs the digest of the version to be written")
		}
	case PinTag:
		if to.Version == "" {
			return errors.New("pin: tag needs the version to be written, not only its digest")
		}
	default:
		return fmt.Errorf("%s is not a way to pin: use digest or tag", quote(string(pin)))
	}
	return nil
}

func show(v promotion.Value) string {
	switch {
	case v.Version == "" && v.Digest == "":
		return "nothing"
	case v.Digest == "":
		return string(v.Version)
	case v.Version == "":
		return string(v.Digest)
	}
	return string(v.Version) + "@" + string(v.Digest)
}

func position(name string, line, column int) string {
	if line == 0 {
		return name + ": "
	}
	return fmt.Sprintf("%s:%d:%d: ", name, line, column)
}

// quote shows text from a file in a message: quoted, cut at 80 bytes.
func quote(s string) string {
	if len(s) > 80 {
		s = strings.ToValidUTF8(s[:80], "") + "…"
	}
	return fmt.Sprintf("%q", s)
}
