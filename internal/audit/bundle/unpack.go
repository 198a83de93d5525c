package bundle

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/rungbot/rung/internal/progress"
)

// Limits of what is taken from an archive.
const (
	maxManifest = 1 << 20
	maxEntries  = 2000
	// maxText is the largest entry beside the git bundle, in bytes.
	maxText = 256 << 20
)

// Bundle is an archive, or a git bundle alone, unpacked. Close removes it.
type Bundle struct {
	// Manifest is nil for a git bundle alone.
	Manifest *Manifest

	dir     string
	refs    map[string]string
	damaged []File // entries whose bytes are not those of the manifest, with what they are
}

// Dir is a bare repository with the branches.
func (b *Bundle) Dir() string { return filepath.Join(b.dir, "repository.git") }

// Close removes what was unpacked.
func (b *Bundle) Close() error { return os.RemoveAll(b.dir) }

// Is reports whether a path is a file, which Open may be asked to read, and no
// directory.
func Is(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

// Open unpacks a file. The error says what is wrong with its form; what disagrees
// within it is found by Verify.
func Open(ctx context.Context, file string) (*Bundle, error) {
	f, err := os.Open(file) // #nosec G304 -- the caller names it
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	progress.Begin(ctx, "unpacking the archive", "", 0)
	dir, err := os.MkdirTemp("", "rung-bundle-")
	if err != nil {
		return nil, err
	}
	b := &Bundle{dir: dir}
	if err := b.open(ctx, f); err != nil {
		return nil, fmt.Errorf("%s: %w", file, errors.Join(err, b.Close()))
	}
	return b, nil
}

func (b *Bundle) open(ctx context.Context, f *os.File) error {
	head := make([]byte, len(signature2))
	n, err := io.ReadFull(f, head)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	if is := string(head[:n]); is == signature2 || is == signature3 {
		return b.git(ctx, f)
	}
	if err := b.unpack(f); err != nil {
		return err
	}
	inner, err := os.Open(b.path(gitName))
	if err != nil {
		return err
	}
	defer func() { _ = inner.Close() }()
	err = b.git(ctx, inner)
	if err != nil && slices.ContainsFunc(b.damaged, func(d File) bool { return d.Name == gitName }) {
		b.refs = nil // the damage is what is wrong with it
		return nil
	}
	if err != nil {
		return fmt.Errorf("%s: %w", gitName, err)
	}
	return nil
}

func (b *Bundle) path(name string) string {
	return filepath.Join(b.dir, strings.ReplaceAll(name, "/", "+"))
}

// unpack takes the entries of an archive, which must be those that its manifest
// names, in that order and nothing else.
func (b *Bundle) unpack(f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	u := unpacker{tar: tar.NewReader(f), left: info.Size()}
	data, err := u.text(manifestName, maxManifest)
	if err != nil {
		return err
	}
	m, err := parseManifest(data)
	if err != nil {
		return err
	}
	b.Manifest = &m
	sum := sha256.Sum256(data)
	listed, err := u.text(sumsName, maxManifest)
	if err != nil {
		return err
	}
	if want := sums(append([]File{{manifestName, 0, hex.EncodeToString(sum[:])}}, m.Files...)); !bytes.Equal(listed, want) {
		got := sha256.Sum256(listed)
		b.damaged = append(b.damaged, File{sumsName, int64(len(listed)), hex.EncodeToString(got[:])})
	}
	if len(m.Files) > maxEntries {
		return fmt.Errorf("%d entries, at most %d are taken", len(m.Files), maxEntries)
	}
	for _, want := range m.Files {
		got, err := u.take(want, b.path(want.Name))
		if err != nil {
			return err
		}
		if got != want {
			b.damaged = append(b.damaged, got)
		}
	}
	return u.end()
}

// unpacker reads a tar as the writer writes it.
type unpacker struct {
	tar *tar.Reader
	// left is what the file still holds.
	left int64
}

const block = 512

// next is the header of the entry that must come now.
func (u *unpacker) next(name string) (int64, error) {
	h, err := u.tar.Next()
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return 0, fmt.Errorf("the archive is cut off: %s should come", name)
	case err != nil:
		return 0, fmt.Errorf("this is no archive of rung's and no git bundle (%w)", err)
	case h.Name != name:
		return 0, fmt.Errorf("the archive holds %.100q where %s should stand", h.Name, name)
	case h.Typeflag != tar.TypeReg || len(h.PAXRecords) > 0 || h.Linkname != "":
		return 0, fmt.Errorf("%s is no plain file", name)
	}
	u.left -= block + (h.Size+block-1)/block*block
	if h.Size < 0 || u.left < 0 {
		return 0, fmt.Errorf("the archive is cut off in %s", name)
	}
	return h.Size, nil
}

// text reads a small entry.
func (u *unpacker) text(name string, limit int64) ([]byte, error) {
	size, err := u.next(name)
	if err != nil {
		return nil, err
	}
	if size > limit {
		return nil, fmt.Errorf("%s has %d bytes, at most %d are read", name, size, limit)
	}
	data, err := io.ReadAll(u.tar)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return data, nil
}

// take copies an entry to a file and says what it is.
func (u *unpacker) take(want File, to string) (File, error) {
	size, err := u.next(want.Name)
	if err != nil {
		return File{}, err
	}
	if want.Name != gitName && size > maxText {
		return File{}, fmt.Errorf("%s has %d bytes, at most %d are read", want.Name, size, maxText)
	}
	f, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600) // #nosec G304 -- a flat name in a directory of our own
	if err != nil {
		return File{}, err
	}
	h := sha256.New()
	n, err := io.Copy(io.MultiWriter(f, h), u.tar)
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return File{}, fmt.Errorf("%s: %w", want.Name, err)
	}
	return File{want.Name, n, hex.EncodeToString(h.Sum(nil))}, nil
}

// end sees that nothing comes any more but the tar's own two blocks of zeros.
func (u *unpacker) end() error {
	if h, err := u.tar.Next(); !errors.Is(err, io.EOF) {
		if err != nil {
			return fmt.Errorf("behind the last entry: %w", err)
		}
		return fmt.Errorf("the archive holds %.100q, which its manifest does not name", h.Name)
	}
	if u.left != 2*block {
		return fmt.Errorf("the archive does not end as it should: %d bytes stand behind the last entry, and should be %d", u.left, 2*block)
	}
	return nil
}
