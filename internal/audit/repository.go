package audit

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/go-git/go-billy/v5/osfs"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/storage/filesystem"

	"github.com/rungbot/rung/internal/gitrepo"
	"github.com/rungbot/rung/internal/promotion"
)

// Limits of what is read. GitHub takes no file above 100 MiB.
const (
	maxObject  = 128 << 20
	maxInner   = 16 << 20 // commits and trees
	maxObjects = 50_000_000
	// largeObject is from where on blobs are hashed as a stream.
	largeObject = 4 << 20
)

// oid is a git object id.
type oid [20]byte

func (o oid) String() string       { return hex.EncodeToString(o[:]) }
func (o oid) hash() promotion.Hash { return promotion.Hash(o.String()) }

// parseOID reads 40 lower-case hexadecimal digits.
func parseOID(h promotion.Hash) (oid, bool) {
	var o oid
	if len(h) != 2*len(o) {
		return o, false
	}
	for i := range len(h) {
		c := h[i]
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		default:
			return oid{}, false
		}
		o[i/2] = o[i/2]<<4 | c
	}
	return o, true
}

// kind is the type of an object.
type kind int8

const (
	kindOther kind = iota
	kindCommit
	kindTree
	kindBlob
)

// status is what is known of an object: the kind that its bytes were found to be,
// once they were hashed, and the kinds that commits and trees name it as and that it
// was not found to be.
type status uint8

// foundBit says that the object was hashed; its kind is in the two lowest bits.
const foundBit status = 1 << 2

// nameBit says that the object is named as one of a kind.
func nameBit(k kind) status { return foundBit << k }

func (s status) kind() kind          { return kind(s & 3) }
func (s status) named(k kind) bool   { return s&nameBit(k) != 0 }
func (s status) found(k kind) status { return (s&^(3|nameBit(k)) | foundBit | status(k)) }

// objectError is an object that stops a walk: it is missing, damaged or forged.
type objectError struct {
	code Code
	id   oid
	text string
}

func (e *objectError) Error() string { return fmt.Sprintf("%s %s: %s", e.code, e.id, e.text) }

// repository reads one clone: the only part of this package that knows go-git.
type repository struct {
	dir string
	*database
	// refs are all refs that name an object; head is what HEAD points to.
	refs map[string]oid
	head string
	// unpacked is what is known of objects that were read alone, or that no pack names;
	// many counts those of which something is known, those in packs too.
	unpacked map[oid]status
	many     int
}

// openRepository opens the repository that path is, or lies in.
func openRepository(path string) (*repository, error) {
	dir, err := gitrepo.FindGitDir(path)
	if err != nil {
		return nil, err
	}
	r := &repository{dir: dir, refs: map[string]oid{}, unpacked: map[oid]status{}}
	if err := r.load(); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if r.database, err = openDatabase(filepath.Join(dir, "objects")); err != nil {
		return nil, fmt.Errorf("%s: its objects can't be read: %w", path, err)
	}
	return r, nil
}

// readSmall reads a small file of a repository's own.
func readSmall(name string) ([]byte, error) {
	f, err := os.Open(name) // #nosec G304 -- the caller names the clone
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	return io.ReadAll(io.LimitReader(f, 1<<20))
}

// load reads the refs, and refuses a repository of another object format.
func (r *repository) load() error {
	s := filesystem.NewStorage(osfs.New(r.dir), nil)
	cfg, err := s.Config()
	if err != nil {
		return fmt.Errorf("the repository's config can't be read: %w", err)
	}
	extensions := cfg.Raw.Section("extensions")
	if format := extensions.Option("objectformat"); format != "" && format != "sha1" {
		return fmt.Errorf("object format %.20q can't be read: only sha1 is", format)
	}
	if storage := extensions.Option("refstorage"); storage != "" && storage != "files" {
		return fmt.Errorf("ref storage %.20q can't be read: only files is; clone it with --ref-format=files", storage)
	}
	iter, err := s.IterReferences()
	if err != nil {
		return fmt.Errorf("the refs can't be read: %w", err)
	}
	defer iter.Close()
	return iter.ForEach(func(ref *plumbing.Reference) error {
		switch {
		case ref.Name() == plumbing.HEAD && ref.Type() == plumbing.SymbolicReference:
			r.head = ref.Target().String()
		case ref.Name() == plumbing.HEAD && ref.Type() == plumbing.HashReference:
			r.refs["HEAD"] = oid(ref.Hash())
			r.head = "HEAD"
		case ref.Type() == plumbing.HashReference && !ref.Hash().IsZero():
			r.refs[ref.Name().String()] = oid(ref.Hash())
		}
		return nil
	})
}

// truncated says why the history is not whole, or nothing.
func (r *repository) truncated() (string, error) {
	for name, what := range map[string]string{"shallow": "a shallow clone", filepath.Join("info", "grafts"): "grafts"} {
		data, err := readSmall(filepath.Join(r.dir, name))
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return "", err
		case len(bytes.TrimSpace(data)) > 0:
			return what, nil
		}
	}
	return "", nil
}

// read returns an object whose bytes are hashed again. They must not be written
// to, and those of a commit or tree are to be taken apart before another is read.
func (r *repository) read(id oid, want kind) ([]byte, error) {
	if want == kindBlob {
		return r.readTo(useKeep, id, want)
	}
	return r.readTo(useNow, id, want)
}

// look is read of what is looked at before another object is read.
func (r *repository) look(id oid, want kind) ([]byte, error) { return r.readTo(useNow, id, want) }

func (r *repository) readTo(how use, id oid, want kind) ([]byte, error) {
	got, data, err := r.object(id, how)
	if err != nil {
		return nil, err
	}
	if got != want {
		return nil, &objectError{ObjectMalformed, id, "an object of another type than it is named for"}
	}
	return data, nil
}

// check hashes an object that is not needed itself. It returns its kind.
func (r *repository) check(id oid) (kind, error) {
	if s := r.known(id); s&foundBit != 0 {
		return s.kind(), nil
	}
	k, _, err := r.object(id, useHash)
	return k, err
}

// object reads and hashes one object. Where the libraries below give up on
// damaged files, the object is unreadable.
func (r *repository) object(id oid, want use) (k kind, data []byte, err error) {
	defer func() {
		if p := recover(); p != nil {
			k, data, err = kindOther, nil, &objectError{ObjectUnreadable, id, clip(fmt.Sprint(p))}
		}
	}()
	if r.many >= maxObjects {
		return kindOther, nil, &objectError{ObjectUnreadable, id, fmt.Sprintf("more than %d objects", maxObjects)}
	}
	k, data, err = r.database.object(id, want)
	if err != nil {
		var known *objectError
		var pack *packError
		if !errors.As(err, &known) && !errors.As(err, &pack) {
			err = &objectError{ObjectUnreadable, id, clip(err.Error())}
		}
		return kindOther, nil, err
	}
	r.learn(id, r.known(id).found(k))
	return k, data, nil
}

// known is what is known of an object.
func (r *repository) known(id oid) status {
	if s, ok := r.unpacked[id]; ok {
		return s
	}
	if p, n := r.find(id); p != nil {
		return p.known[n]
	}
	return 0
}

// learn remembers what is known of an object now.
func (r *repository) learn(id oid, s status) {
	if r.known(id) == 0 {
		r.many++
	}
	if _, alone := r.unpacked[id]; !alone {
		if p, n := r.find(id); p != nil {
			p.known[n] = s
			return
		}
	}
	r.unpacked[id] = s
}

// forget forgets what is known of objects.
func (r *repository) forget() {
	for _, d := range r.dirs {
		for _, p := range d.packs {
			clear(p.known)
		}
	}
	r.unpacked, r.many = map[oid]status{}, 0
}

// named calls for each object that is named as one of a kind, and was not found to be.
func (r *repository) named(call func(id oid, k kind)) {
	each := func(id oid, s status) {
		for k := kindCommit; k <= kindBlob; k++ {
			if s.named(k) {
				call(id, k)
			}
		}
	}
	for _, d := range r.dirs {
		for _, p := range d.packs {
			p.each(each)
		}
	}
	for id, s := range r.unpacked {
		each(id, s)
	}
}

// clip makes outside text fit to print.
func clip(s string) string {
	s = strings.Map(func(c rune) rune {
		if c < ' ' || c == 0x7f || c > 0x7f && c < 0xa0 || c == '\uFFFD' || c >= 0x202a && c <= 0x202e || c >= 0x2066 && c <= 0x2069 {
			return '?'
		}
		return c
	}, s)
	if len(s) > 200 {
		return strings.ToValidUTF8(s[:197], "") + "..."
	}
	return s
}
