package audit

import (
	"bufio"
	"bytes"
	"compress/zlib"
	"crypto/sha1" // #nosec G505 -- git's own checksum of packs
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/go-git/go-billy/v5/osfs"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/storage/filesystem"
	"github.com/pjbgf/sha1cd"

	"github.com/rungbot/rung/internal/promotion"
)

// Limits of what is read. GitHub takes no file above 100 MiB.
const (
	maxObject  = 128 << 20
	maxInner   = 16 << 20 // commits and trees
	maxObjects = 50_000_000
	cacheBytes = 32 * cache.MiByte
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
	if _, err := promotion.ParseHash(string(h)); err != nil {
		return o, false
	}
	_, err := hex.Decode(o[:], []byte(h))
	return o, err == nil
}

// kind is the type of an object.
type kind int8

const (
	kindOther kind = iota
	kindCommit
	kindTree
	kindBlob
)

// objectError is an object that stops a walk: it is missing, damaged or forged.
type objectError struct {
	code Code
	id   oid
	text string
}

func (e *objectError) Error() string { return fmt.Sprintf("%s %s: %s", e.code, e.id, e.text) }

// repository reads one clone: the only part of this package that knows go-git.
type repository struct {
	dir     string
	storage *filesystem.Storage
	// refs are all refs that name an object; head is what HEAD points to.
	refs map[string]oid
	head string
	// hashed are the objects whose bytes were found to be theirs.
	hashed map[oid]kind

	// Reused for each loose object.
	source, stream *bufio.Reader
	inflate        io.ReadCloser
}

// openRepository opens the repository that path is, or lies in.
func openRepository(path string) (*repository, error) {
	dir, err := findGitDir(path)
	if err != nil {
		return nil, err
	}
	s := filesystem.NewStorageWithOptions(osfs.New(dir), cache.NewObjectLRU(cacheBytes), filesystem.Options{
		ExclusiveAccess: true, KeepDescriptors: true, LargeObjectThreshold: largeObject, AlternatesFS: osfs.New(string(filepath.Separator)),
	})
	r := &repository{dir: dir, storage: s, refs: map[string]oid{}, hashed: map[oid]kind{}, source: bufio.NewReader(nil), stream: bufio.NewReader(nil)}
	if err := r.load(); err != nil {
		_ = s.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return r, nil
}

func (r *repository) close() { _ = r.storage.Close() }

// findGitDir is the directory that holds objects and refs: path itself, its
// .git, or that of the nearest directory above.
func findGitDir(path string) (string, error) {
	at, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	if info, err := os.Stat(at); err != nil || !info.IsDir() {
		return "", fmt.Errorf("%s is not a directory: name a local clone", path)
	}
	for {
		for _, dir := range []string{filepath.Join(at, ".git"), at} {
			if found, ok, err := gitDir(dir); err != nil || ok {
				return found, err
			}
		}
		up := filepath.Dir(at)
		if up == at {
			return "", fmt.Errorf("%s is no git repository: name a local clone, bare or not", path)
		}
		at = up
	}
}

// gitDir follows a .git file and a linked work tree to the repository proper.
func gitDir(dir string) (string, bool, error) {
	info, err := os.Stat(dir)
	if err != nil {
		return "", false, nil //nolint:nilerr // not there: look elsewhere
	}
	if !info.IsDir() {
		data, err := readSmall(dir)
		if err != nil {
			return "", false, err
		}
		to, ok := strings.CutPrefix(strings.TrimSpace(string(data)), "gitdir: ")
		if !ok {
			return "", false, nil
		}
		if !filepath.IsAbs(to) {
			to = filepath.Join(filepath.Dir(dir), to)
		}
		dir = to
	}
	if data, err := readSmall(filepath.Join(dir, "commondir")); err == nil {
		common := strings.TrimSpace(string(data))
		if !filepath.IsAbs(common) {
			common = filepath.Join(dir, common)
		}
		dir = common
	}
	for _, part := range []string{"HEAD", "objects", "refs"} {
		if _, err := os.Stat(filepath.Join(dir, part)); err != nil {
			return "", false, nil //nolint:nilerr // a directory, but no repository
		}
	}
	return dir, true, nil
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
	cfg, err := r.storage.Config()
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
	iter, err := r.storage.IterReferences()
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

// read returns an object whose bytes are hashed again.
func (r *repository) read(id oid, want kind) ([]byte, error) {
	got, data, err := r.object(id, true)
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
	if k, done := r.hashed[id]; done {
		return k, nil
	}
	k, _, err := r.object(id, false)
	return k, err
}

// object reads and hashes one object. The library is not trusted with damaged
// files: where it gives up, the object is unreadable.
func (r *repository) object(id oid, keep bool) (k kind, data []byte, err error) {
	defer func() {
		if p := recover(); p != nil {
			k, data, err = kindOther, nil, &objectError{ObjectUnreadable, id, clip(fmt.Sprint(p))}
		}
	}()
	if len(r.hashed) >= maxObjects {
		return kindOther, nil, &objectError{ObjectUnreadable, id, fmt.Sprintf("more than %d objects", maxObjects)}
	}
	k, data, err = r.loose(id, keep)
	if errors.Is(err, fs.ErrNotExist) {
		k, data, err = r.packed(id, keep)
	}
	if err != nil {
		var known *objectError
		if !errors.As(err, &known) {
			err = &objectError{ObjectUnreadable, id, clip(err.Error())}
		}
		return kindOther, nil, err
	}
	r.hashed[id] = k
	return k, data, nil
}

// loose reads an object that lies in a file of its own. The error is
// fs.ErrNotExist where there is none.
func (r *repository) loose(id oid, keep bool) (kind, []byte, error) {
	name := id.String()
	f, err := os.Open(filepath.Join(r.dir, "objects", name[:2], name[2:])) // #nosec G304 -- a path of hexadecimal digits
	if err != nil {
		return kindOther, nil, err
	}
	defer func() { _ = f.Close() }()
	r.source.Reset(f)
	if r.inflate == nil {
		if r.inflate, err = zlib.NewReader(r.source); err != nil {
			return kindOther, nil, err
		}
	} else if err = r.inflate.(zlib.Resetter).Reset(r.source, nil); err != nil {
		return kindOther, nil, err
	}
	r.stream.Reset(r.inflate)
	source, stream := r.source, r.stream
	head := make([]byte, 0, 32)
	for len(head) < 32 {
		b, err := stream.ReadByte()
		if err != nil {
			return kindOther, nil, err
		}
		head = append(head, b)
		if b == 0 {
			break
		}
	}
	word, number, _ := strings.Cut(string(bytes.TrimSuffix(head, []byte{0})), " ")
	size, err := strconv.ParseInt(number, 10, 64)
	t, typeErr := plumbing.ParseObjectType(word)
	if err != nil || typeErr != nil || strconv.FormatInt(size, 10) != number {
		return kindOther, nil, noObject(id, head, stream)
	}
	k, data, err := hashed(id, t, size, stream, keep)
	if err != nil {
		return kindOther, nil, err
	}
	if _, err := source.ReadByte(); !errors.Is(err, io.EOF) {
		return kindOther, nil, errors.New("something stands behind a loose object")
	}
	return k, data, nil
}

// noObject says what is wrong with a loose file that has no object's header:
// damage, or a block made to collide, which its name alone would let in.
func noObject(id oid, head []byte, rest io.Reader) error {
	h := newHash()
	_, _ = h.Write(head)
	_, _ = io.Copy(h, io.LimitReader(rest, maxInner)) // what can't be read is damage
	if _, collides := h.CollisionResistantSum(nil); collides {
		return collision(id)
	}
	return errors.New("a loose object with a damaged header")
}

// newHash is SHA-1 with collision detection.
func newHash() sha1cd.CollisionResistantHash {
	return sha1cd.New().(sha1cd.CollisionResistantHash)
}

// collision is an object whose bytes were made so that others have their hash.
func collision(id oid) error {
	return &objectError{HashCollision, id, "bytes that were made to collide: others with the same name exist"}
}

// packed reads an object from a pack, or from a repository that this one
// borrows from.
func (r *repository) packed(id oid, keep bool) (kind, []byte, error) {
	o, err := r.storage.EncodedObject(plumbing.AnyObject, plumbing.Hash(id))
	if errors.Is(err, plumbing.ErrObjectNotFound) {
		return kindOther, nil, &objectError{ObjectMissing, id, "not in this clone: fetch everything, without filter or depth"}
	}
	if err != nil {
		return kindOther, nil, err
	}
	reader, err := o.Reader()
	if err != nil {
		return kindOther, nil, err
	}
	defer func() { _ = reader.Close() }()
	return hashed(id, o.Type(), o.Size(), reader, keep)
}

// packs holds each pack to the checksum at its end: a flipped bit between the
// objects, or in a checksum that the library doesn't read, is damage as well.
func (r *repository) packs() error {
	names, err := filepath.Glob(filepath.Join(r.dir, "objects", "pack", "pack-*.pack"))
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := packSound(name); err != nil {
			return &packError{filepath.Base(name), err.Error()}
		}
	}
	return nil
}

func packSound(name string) error {
	f, err := os.Open(name) // #nosec G304 -- found in the clone
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	h := sha1.New() // #nosec G401 -- git's own checksum, against damage only
	if _, err := io.Copy(h, io.LimitReader(f, info.Size()-int64(h.Size()))); err != nil {
		return err
	}
	end, err := io.ReadAll(io.LimitReader(f, 64))
	if err != nil {
		return err
	}
	if !bytes.Equal(h.Sum(nil), end) {
		return errors.New("its bytes don't hash to the checksum at its end")
	}
	return nil
}

// packError is a pack that is damaged.
type packError struct{ name, text string }

func (e *packError) Error() string { return e.name + ": " + e.text }

// hashed reads size bytes and then the end, and holds them to the id.
func hashed(id oid, t plumbing.ObjectType, size int64, from io.Reader, keep bool) (kind, []byte, error) {
	k, limit := kinds[t], int64(maxInner)
	if k == kindBlob {
		limit = maxObject
	}
	if size < 0 || size > limit {
		return kindOther, nil, fmt.Errorf("%d bytes, at most %d are read", size, limit)
	}
	hasher := newHash()
	_, _ = fmt.Fprintf(hasher, "%s %d\x00", t, size)
	var buffer bytes.Buffer
	var to io.Writer = hasher
	if keep {
		to = io.MultiWriter(hasher, &buffer)
	}
	n, err := io.Copy(to, io.LimitReader(from, size+1))
	if err != nil {
		return kindOther, nil, err
	}
	if n != size {
		return kindOther, nil, errors.New("its length is not what its header says")
	}
	sum, collides := hasher.CollisionResistantSum(nil)
	if collides {
		return kindOther, nil, collision(id)
	}
	if got := oid(sum); got != id {
		return kindOther, nil, &objectError{ObjectCorrupt, id, "its bytes hash to " + got.String()}
	}
	return k, buffer.Bytes(), nil
}

var kinds = map[plumbing.ObjectType]kind{plumbing.CommitObject: kindCommit, plumbing.TreeObject: kindTree, plumbing.BlobObject: kindBlob}

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
