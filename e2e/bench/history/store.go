package history

import (
	"bufio"
	"bytes"
	"cmp"
	"compress/zlib"
	"context"
	"crypto/sha1"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/rungbot/rung/internal/gitrepo"
	"github.com/rungbot/rung/internal/promotion"
)

// The types of objects as a pack numbers them.
const (
	packCommit = 1
	packTree   = 2
	packBlob   = 3
)

var words = map[int]string{packCommit: "commit", packTree: "tree", packBlob: "blob"}

// store is a repository that only grows: objects in memory, and in a pack that
// is written as they come. It is the ledger's Repository.
type store struct {
	objects map[promotion.Hash][]byte
	commits map[promotion.Hash]gitrepo.Commit
	pack    *os.File
	out     *bufio.Writer
	deflate *zlib.Writer
	err     error
}

func newStore(name string) (*store, error) {
	f, err := os.Create(name)
	if err != nil {
		return nil, err
	}
	s := &store{objects: map[promotion.Hash][]byte{}, commits: map[promotion.Hash]gitrepo.Commit{}, pack: f, out: bufio.NewWriterSize(f, 1<<20)}
	_, err = s.out.WriteString("PACK\x00\x00\x00\x02\x00\x00\x00\x00")
	if err == nil {
		s.deflate, err = zlib.NewWriterLevel(s.out, zlib.BestSpeed)
	}
	return s, err
}

// put stores an object, once.
func (s *store) put(kind int, data []byte) promotion.Hash {
	h := sha1.New()
	fmt.Fprintf(h, "%s %d\x00", words[kind], len(data))
	h.Write(data)
	id := promotion.Hash(hex.EncodeToString(h.Sum(nil)))
	if _, known := s.objects[id]; known || s.err != nil {
		return id
	}
	s.objects[id] = data
	size := len(data)
	head := []byte{byte(kind<<4 | size&15)}
	for size >>= 4; size > 0; size >>= 7 {
		head[len(head)-1] |= 0x80
		head = append(head, byte(size&0x7f))
	}
	_, s.err = s.out.Write(head)
	s.deflate.Reset(s.out)
	_, err := s.deflate.Write(data)
	s.err = cmp.Or(s.err, err, s.deflate.Close())
	return id
}

// close ends the pack: the number of its objects, and its checksum.
func (s *store) close() error {
	defer func() { _ = s.pack.Close() }()
	if err := cmp.Or(s.err, s.out.Flush()); err != nil {
		return err
	}
	var count [4]byte
	binary.BigEndian.PutUint32(count[:], uint32(len(s.objects)))
	if _, err := s.pack.WriteAt(count[:], 8); err != nil {
		return err
	}
	if _, err := s.pack.Seek(0, io.SeekStart); err != nil {
		return err
	}
	h := sha1.New()
	if _, err := io.Copy(h, s.pack); err != nil {
		return err
	}
	if _, err := s.pack.Write(h.Sum(nil)); err != nil {
		return err
	}
	return s.pack.Close()
}

// node is one entry of a tree.
type node struct {
	name string
	tree bool
	id   promotion.Hash
}

func (n node) key() string {
	if n.tree {
		return n.name + "/"
	}
	return n.name
}

func (s *store) nodes(tree promotion.Hash) []node {
	var nodes []node
	for data := s.objects[tree]; len(data) > 0; {
		head, rest, _ := bytes.Cut(data, []byte{0})
		mode, name, _ := strings.Cut(string(head), " ")
		nodes = append(nodes, node{name, mode == "40000", promotion.Hash(hex.EncodeToString(rest[:20]))})
		data = rest[20:]
	}
	return nodes
}

func (s *store) putTree(nodes []node) promotion.Hash {
	slices.SortFunc(nodes, func(a, b node) int { return strings.Compare(a.key(), b.key()) })
	var b bytes.Buffer
	for _, n := range nodes {
		mode := "100644"
		if n.tree {
			mode = "40000"
		}
		id, err := hex.DecodeString(string(n.id))
		s.err = cmp.Or(s.err, err)
		fmt.Fprintf(&b, "%s %s\x00%s", mode, n.name, id)
	}
	return s.put(packTree, b.Bytes())
}

// Rewrite implements ledger.Repository.
func (s *store) Rewrite(_ context.Context, tree promotion.Hash, changes map[string]gitrepo.FileChange) (promotion.Hash, error) {
	if id := s.rewrite(tree, changes); id != "" {
		return id, s.err
	}
	return s.putTree(nil), s.err
}

// rewrite returns nothing for a tree that has become empty.
func (s *store) rewrite(tree promotion.Hash, changes map[string]gitrepo.FileChange) promotion.Hash {
	nodes := map[string]node{}
	for _, n := range s.nodes(tree) {
		nodes[n.name] = n
	}
	below := map[string]map[string]gitrepo.FileChange{}
	for path, c := range changes {
		name, rest, deeper := strings.Cut(path, "/")
		switch {
		case deeper:
			if below[name] == nil {
				below[name] = map[string]gitrepo.FileChange{}
			}
			below[name][rest] = c
		case c.Delete:
			delete(nodes, name)
		default:
			nodes[name] = node{name, false, s.put(packBlob, c.Data)}
		}
	}
	for name, c := range below {
		if id := s.rewrite(nodes[name].id, c); id != "" {
			nodes[name] = node{name, true, id}
		} else {
			delete(nodes, name)
		}
	}
	if len(nodes) == 0 {
		return ""
	}
	return s.putTree(slices.Collect(maps.Values(nodes)))
}

// WriteCommit implements ledger.Repository.
func (s *store) WriteCommit(_ context.Context, spec gitrepo.CommitSpec) (promotion.Hash, error) {
	var b bytes.Buffer
	fmt.Fprintf(&b, "tree %s\n", spec.Tree)
	for _, p := range spec.Parents {
		fmt.Fprintf(&b, "parent %s\n", p)
	}
	for _, who := range []struct {
		role string
		gitrepo.Ident
	}{{"author", spec.Author}, {"committer", spec.Committer}} {
		fmt.Fprintf(&b, "%s %s <%s> %d +0000\n", who.role, who.Name, who.Email, who.When.Unix())
	}
	head, message := b.String(), strings.TrimSuffix(spec.Message, "\n")+"\n"
	signature := ""
	if spec.Sign != nil {
		armoured, err := spec.Sign([]byte(head + "\n" + message))
		if err != nil {
			return "", err
		}
		signature = "gpgsig " + strings.ReplaceAll(strings.TrimSuffix(armoured, "\n"), "\n", "\n ") + "\n"
	}
	id := s.put(packCommit, []byte(head+signature+"\n"+message))
	s.commits[id] = gitrepo.Commit{Hash: id, Tree: spec.Tree, Parents: spec.Parents, Message: message}
	return id, s.err
}

// Commit implements ledger.Repository.
func (s *store) Commit(_ context.Context, hash promotion.Hash) (gitrepo.Commit, error) {
	c, known := s.commits[hash]
	if !known {
		return c, fmt.Errorf("no commit %s", hash)
	}
	return c, nil
}

// ReadFiles implements ledger.Repository.
func (s *store) ReadFiles(_ context.Context, tree promotion.Hash, paths []string) (map[string][]byte, error) {
	files := map[string][]byte{}
	for _, path := range paths {
		at := node{tree: true, id: tree}
		for part := range strings.SplitSeq(path, "/") {
			nodes := s.nodes(at.id)
			i := slices.IndexFunc(nodes, func(n node) bool { return n.name == part })
			if i < 0 {
				at = node{}
				break
			}
			at = nodes[i]
		}
		if at.id != "" {
			files[path] = s.objects[at.id]
		}
	}
	return files, nil
}

// Fetch implements ledger.Repository.
func (s *store) Fetch(context.Context, promotion.Hash) error { return nil }

// Walk implements ledger.Repository; nothing that is written here needs it.
func (s *store) Walk(context.Context, promotion.Hash, string) ([]gitrepo.File, error) {
	return nil, fmt.Errorf("this store only writes")
}

// Blobs implements ledger.Repository.
func (s *store) Blobs(_ context.Context, hashes ...promotion.Hash) (map[promotion.Hash][]byte, error) {
	blobs := map[promotion.Hash][]byte{}
	for _, h := range hashes {
		blobs[h] = s.objects[h]
	}
	return blobs, nil
}
