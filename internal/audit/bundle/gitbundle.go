package bundle

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha1" // #nosec G505 -- the pack format's checksum
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/idxfile"
	"github.com/go-git/go-git/v5/plumbing/format/packfile"

	"github.com/rungbot/rung/internal/lazyregexp"
	"github.com/rungbot/rung/internal/promotion"
)

// The first lines of git bundles, as git writes them.
const (
	signature2 = "# v2 git bundle\n"
	signature3 = "# v3 git bundle\n"
)

// Limits of a git bundle.
const (
	maxHeader = 1 << 20
	maxRefs   = 10_000
	// maxObject is the largest object, in bytes; audit reads none that is larger.
	maxObject = 128 << 20
	// inflatesTo bounds what all objects together are, by the file's size: git's
	// own packs of text stay far below.
	inflatesTo   = 1000
	inflatesFrom = 256 << 20
	// leastObject is how many bytes of a pack an object takes at least, on average:
	// a commit has more than a hundred.
	leastObject = 16
)

var refGrammar = lazyregexp.New(`^refs/[^\x00-\x20\x7f~^:?*\[\\]+$`)

// git makes a bare repository of a git bundle.
func (b *Bundle) git(ctx context.Context, f *os.File) error {
	r := bufio.NewReader(io.LimitReader(f, maxHeader))
	refs, head, size, err := bundleHeader(r)
	if err != nil {
		return err
	}
	dir := b.Dir()
	if err := os.MkdirAll(filepath.Join(dir, "objects", "pack"), 0o700); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(dir, "refs"), 0o700); err != nil {
		return err
	}
	if err := unbundle(ctx, f, size, filepath.Join(dir, "objects", "pack")); err != nil {
		return err
	}
	var packed strings.Builder
	packed.WriteString("# pack-refs with: sorted \n")
	for _, ref := range slices.Sorted(maps.Keys(refs)) {
		fmt.Fprintf(&packed, "%s %s\n", refs[ref], ref)
	}
	for name, text := range map[string]string{
		"HEAD": head, "packed-refs": packed.String(), "config": "[core]\n\trepositoryformatversion = 0\n\tbare = true\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	b.refs = refs
	return nil
}

// bundleHeader reads the lines before the pack: the refs, what HEAD is to say, and
// how long the lines are.
func bundleHeader(r *bufio.Reader) (refs map[string]string, head string, size int64, err error) {
	refs = map[string]string{}
	var at string
	for n := 0; ; n++ {
		line, err := r.ReadString('\n')
		if err != nil {
			return nil, "", 0, errors.New("the git bundle is cut off in its header, or it is too large")
		}
		size += int64(len(line))
		line = strings.TrimSuffix(line, "\n")
		switch {
		case n == 0:
			if line+"\n" != signature2 && line+"\n" != signature3 {
				return nil, "", 0, errors.New("this is no git bundle of version 2 or 3")
			}
			continue
		case line == "":
			return refs, headOf(refs, at), size, nil
		case strings.HasPrefix(line, "@"):
			if line != "@object-format=sha1" {
				return nil, "", 0, fmt.Errorf("the git bundle needs %.60q, which this rung does not read", line)
			}
			continue
		case strings.HasPrefix(line, "-"):
			return nil, "", 0, errors.New("the git bundle begins in the middle of a history: make one of all of it")
		}
		id, ref, _ := strings.Cut(line, " ")
		if _, err := promotion.ParseHash(id); err != nil {
			return nil, "", 0, fmt.Errorf("line %d of the git bundle's header: %w", n+1, err)
		}
		if ref == "HEAD" {
			at = id
			continue
		}
		if !refGrammar.MatchString(ref) || strings.Contains(ref, "..") || strings.Contains(ref, "//") || len(refs) >= maxRefs {
			return nil, "", 0, fmt.Errorf("line %d of the git bundle's header: %.60q is no ref that is taken", n+1, ref)
		}
		refs[ref] = id
	}
}

// headOf is HEAD's file: the branch that stands where the bundle's HEAD stands.
func headOf(refs map[string]string, at string) string {
	for _, ref := range slices.Sorted(maps.Keys(refs)) {
		if refs[ref] == at && strings.HasPrefix(ref, "refs/heads/") && ref != promotion.LedgerRef {
			return "ref: " + ref + "\n"
		}
	}
	if at != "" {
		return at + "\n"
	}
	return "ref: refs/heads/main\n"
}

// unbundle copies the pack that begins at from into a directory, and indexes it.
func unbundle(ctx context.Context, f *os.File, from int64, dir string) error {
	if _, err := f.Seek(from, io.SeekStart); err != nil {
		return err
	}
	path := filepath.Join(dir, "pack.tmp")
	pack, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600) // #nosec G304 -- in a directory of our own
	if err != nil {
		return err
	}
	defer func() { _ = pack.Close() }()
	size, err := io.Copy(pack, f)
	if err != nil {
		return err
	}
	sum, err := packSum(pack, size)
	if err != nil {
		return err
	}
	if err := scanPack(ctx, pack, size); err != nil {
		return err
	}
	index, err := indexPack(ctx, pack)
	if err != nil {
		return err
	}
	name := filepath.Join(dir, "pack-"+hex.EncodeToString(sum))
	if err := os.WriteFile(name+".idx", index, 0o600); err != nil {
		return err
	}
	return os.Rename(path, name+".pack")
}

// packSum holds a pack to the checksum at its end.
func packSum(pack *os.File, size int64) ([]byte, error) {
	if size < 12+sha1.Size {
		return nil, errors.New("the pack is cut off")
	}
	h := sha1.New() // #nosec G401 -- the pack format's checksum, against damage
	if _, err := io.Copy(h, io.NewSectionReader(pack, 0, size-sha1.Size)); err != nil {
		return nil, err
	}
	end := make([]byte, sha1.Size)
	if _, err := pack.ReadAt(end, size-sha1.Size); err != nil {
		return nil, err
	}
	if !bytes.Equal(h.Sum(nil), end) {
		return nil, errors.New("the pack is cut off or damaged: its bytes don't hash to the checksum at its end")
	}
	return end, nil
}

// scanPack goes through a pack's entries before the library resolves them, so that
// nothing is made that is larger than it may be.
func scanPack(ctx context.Context, pack *os.File, size int64) (err error) {
	defer calm(&err)
	scanner := packfile.NewScanner(bufio.NewReader(io.NewSectionReader(pack, 0, size)))
	_, count, err := scanner.Header()
	if err != nil {
		return fmt.Errorf("pack: %w", err)
	}
	if int64(count) > size/leastObject {
		return fmt.Errorf("a pack of %d bytes can't hold %d objects", size, count)
	}
	left := max(size*inflatesTo, inflatesFrom)
	for n := range count {
		if n%1000 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		h, err := scanner.NextObjectHeader()
		if err != nil {
			return fmt.Errorf("pack, object %d: %w", n+1, err)
		}
		begin := prefix{limit: 32}
		if h.Length < 0 || h.Length > maxObject {
			return fmt.Errorf("pack, object %d: %d bytes, at most %d are read", n+1, h.Length, maxObject)
		}
		if !h.Type.Valid() || h.Type == 5 {
			return fmt.Errorf("pack, object %d: its type %d is none that git has", n+1, h.Type)
		}
		if written, _, err := scanner.NextObject(&begin); err != nil || written != h.Length {
			return fmt.Errorf("pack, object %d: damaged (%d of %d bytes): %w", n+1, written, h.Length, err)
		}
		makes := h.Length
		if h.Type == plumbing.OFSDeltaObject || h.Type == plumbing.REFDeltaObject {
			made, ok := deltaTarget(begin.data)
			if !ok || made > maxObject {
				return fmt.Errorf("pack, object %d: a difference that makes too much, or is damaged", n+1)
			}
			makes += made
		}
		if left -= makes; left < 0 {
			return fmt.Errorf("pack: its objects are more than %d times as large as it is", inflatesTo)
		}
	}
	return nil
}

// indexPack makes a pack's index.
func indexPack(ctx context.Context, pack *os.File) (index []byte, err error) {
	defer calm(&err)
	if _, err := pack.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	var w idxfile.Writer
	parser, err := packfile.NewParser(packfile.NewScanner(patient{ctx, pack}), &w)
	if err != nil {
		return nil, err
	}
	if _, err := parser.Parse(); err != nil {
		return nil, fmt.Errorf("pack: %w", err)
	}
	made, err := w.Index()
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if _, err := idxfile.NewEncoder(&b).Encode(made); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// patient reads a file until its context ends.
type patient struct {
	ctx context.Context //nolint:containedctx // the library knows no context
	*os.File
}

// Read implements io.Reader.
func (p patient) Read(b []byte) (int, error) {
	if err := p.ctx.Err(); err != nil {
		return 0, err
	}
	return p.File.Read(b)
}

// calm makes an error of a panic: the library is not trusted with damaged files.
func calm(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("pack: can't be read: %.200v", p)
	}
}

// prefix keeps the beginning of what is written to it.
type prefix struct {
	data  []byte
	limit int
}

// Write implements io.Writer.
func (p *prefix) Write(data []byte) (int, error) {
	p.data = append(p.data, data[:min(len(data), p.limit-len(p.data))]...)
	return len(data), nil
}

// deltaTarget is how large what a difference makes is: the second of the two
// numbers that it begins with.
func deltaTarget(data []byte) (int64, bool) {
	var size int64
	for range 2 {
		size = 0
		for shift := 0; ; shift += 7 {
			if len(data) == 0 || shift > 49 {
				return 0, false
			}
			b := data[0]
			data = data[1:]
			size |= int64(b&0x7f) << shift
			if b < 0x80 {
				break
			}
		}
	}
	return size, true
}
