package bundle

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/rungbot/rung/internal/audit"
	"github.com/rungbot/rung/internal/lazyregexp"
	"github.com/rungbot/rung/internal/promotion"
)

// Format is the version of the archive's format.
const Format = 1

// The entries that are rung's own; the caller's reports are named otherwise.
const (
	manifestName = "manifest.json"
	sumsName     = "SHA256SUMS"
	readmeName   = "README.txt"
	signersName  = "allowed_signers"
	gitName      = "repository.bundle"
)

// Manifest says what an archive is of. The branches' heads are what matters:
// everything else follows from them.
type Manifest struct {
	Format int `json:"format"`
	// Rung is the version of the program that wrote it.
	Rung       string     `json:"rung"`
	Repository Repository `json:"repository"`
	// Base and Ledger are the branches, as they are named in the git bundle.
	Base   audit.RefHead `json:"base"`
	Ledger audit.RefHead `json:"ledger"`
	// First is the ledger's first commit, and Root the fingerprint of the key that
	// signed it: what a reader compares with what was published.
	First string `json:"first"`
	Root  string `json:"root"`
	// AsOf is the time of the newest record.
	AsOf time.Time `json:"asOf"`
	// Files are all other entries but SHA256SUMS, in their order.
	Files []File `json:"files"`
}

// Repository is the repository that the records name.
type Repository struct {
	URI string `json:"uri"`
	ID  int64  `json:"id"`
}

// File is one entry of the archive.
type File struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

// Report is a file that the caller adds: a name such as "report/prod.html", with
// at most one directory.
type Report struct {
	Name string
	Data []byte
}

var nameGrammar = lazyregexp.New(`^[A-Za-z0-9][A-Za-z0-9._-]{0,99}(/[A-Za-z0-9][A-Za-z0-9._-]{0,79})?$`)

func (m *Manifest) encode() ([]byte, error) {
	data, err := json.MarshalIndent(m, "", "  ")
	return append(data, '\n'), err
}

// sums are the lines of SHA256SUMS.
func sums(files []File) []byte {
	var b bytes.Buffer
	for _, f := range files {
		fmt.Fprintf(&b, "%s  %s\n", f.SHA256, f.Name)
	}
	return b.Bytes()
}

// parseManifest reads a manifest strictly.
func parseManifest(data []byte) (Manifest, error) {
	var m Manifest
	var format struct {
		Format int `json:"format"`
	}
	if err := json.Unmarshal(data, &format); err != nil {
		return m, fmt.Errorf("%s is no manifest: %w", manifestName, err)
	}
	if format.Format != Format {
		return m, fmt.Errorf("%s has format %d; this rung reads format %d", manifestName, format.Format, Format)
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&m); err != nil {
		return m, fmt.Errorf("%s is no manifest: %w", manifestName, err)
	}
	seen := map[string]bool{manifestName: true, sumsName: true}
	for _, f := range m.Files {
		_, err := promotion.ParseDigest("sha256:" + f.SHA256)
		if err != nil || !nameGrammar.MatchString(f.Name) || seen[f.Name] || f.Size < 0 {
			return m, fmt.Errorf("%s: %.60q is no entry that an archive may have", manifestName, f.Name)
		}
		seen[f.Name] = true
	}
	for _, name := range []string{readmeName, signersName, gitName} {
		if !seen[name] {
			return m, fmt.Errorf("%s names no %s", manifestName, name)
		}
	}
	if !strings.HasPrefix(m.Base.Ref, "refs/heads/") || !strings.HasPrefix(m.Ledger.Ref, "refs/heads/") {
		return m, fmt.Errorf("%s names no branches", manifestName)
	}
	return m, nil
}
