package storetest

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/packfile"
	"github.com/go-git/go-git/v5/storage/memory"

	"github.com/rungbot/rung/internal/githubemu/gitstore"
	"github.com/rungbot/rung/internal/githubemu/gitstore/smarthttp"
)

// client speaks raw requests to a repository's Handler, without a network. It
// keeps what it fetches, since thin packs lean on it.
type client struct {
	w    *world
	push gitstore.Push
	kept *memory.Storage
}

func (w *world) client() *client { return &client{w: w, kept: memory.NewStorage()} }

// post sends one request with the header that asks for version 2 and returns
// the answer's body.
func (c *client) post(service string, body []byte) []byte {
	c.w.Helper()
	status, answer := c.do(http.MethodPost, "/"+service, "application/x-"+service+"-request", body)
	if status != http.StatusOK {
		c.w.Fatalf("POST %s: status %d: %s", service, status, answer)
	}
	return answer
}

func (c *client) do(method, path, contentType string, body []byte) (int, []byte) {
	r := httptest.NewRequestWithContext(gitstore.WithPush(c.w.Context(), c.push), method, path, bytes.NewReader(body))
	r.Header.Set("Content-Type", contentType)
	r.Header.Set("Git-Protocol", "version=2")
	rec := httptest.NewRecorder()
	c.w.repo.Handler().ServeHTTP(rec, r)
	return rec.Code, rec.Body.Bytes()
}

// command builds a version 2 request.
func command(name string, arguments ...string) []byte {
	var b bytes.Buffer
	_ = smarthttp.WritePacket(&b, []byte("command="+name+"\n")) // a buffer takes everything
	_ = smarthttp.WritePacket(&b, []byte("object-format=sha1"))
	_ = smarthttp.WriteSpecial(&b, smarthttp.Delim)
	for _, a := range arguments {
		_ = smarthttp.WritePacket(&b, []byte(a+"\n"))
	}
	_ = smarthttp.WriteSpecial(&b, smarthttp.Flush)
	return b.Bytes()
}

// packets reads an answer, special packets as "0000", "0001", "0002".
func (c *client) packets(answer []byte) []string {
	c.w.Helper()
	var out []string
	for r := bytes.NewReader(answer); ; {
		kind, data, err := smarthttp.ReadPacket(r)
		switch {
		case err == io.EOF:
			return out
		case err != nil:
			c.w.Fatalf("answer: %v", err)
		case kind == smarthttp.Data:
			out = append(out, strings.TrimSuffix(string(data), "\n"))
		default:
			out = append(out, fmt.Sprintf("%04d", kind-smarthttp.Flush))
		}
	}
}

func (c *client) lsRefs(arguments ...string) []string {
	c.w.Helper()
	return c.packets(c.post(smarthttp.UploadPack, command("ls-refs", arguments...)))
}

// fetched is a fetch answer, taken apart.
type fetched struct {
	lines  []string // acknowledgments, shallow-info and errors, with their special packets
	packed bool     // whether a pack came
	ids    []string // the pack's objects, sorted
	size   int      // bytes of the pack
}

func (c *client) fetch(arguments ...string) fetched {
	c.w.Helper()
	var f fetched
	var pack bytes.Buffer
	for r := bytes.NewReader(c.post(smarthttp.UploadPack, command("fetch", arguments...))); ; {
		kind, data, err := smarthttp.ReadPacket(r)
		if err == io.EOF {
			break
		}
		c.w.must(err)
		switch {
		case string(data) == "packfile\n":
			f.packed = true
		case kind != smarthttp.Data && !f.packed:
			f.lines = append(f.lines, fmt.Sprintf("%04d", kind-smarthttp.Flush))
		case !f.packed:
			f.lines = append(f.lines, strings.TrimSuffix(string(data), "\n"))
		case len(data) > 0 && data[0] == 1:
			pack.Write(data[1:])
		case len(data) > 0 && data[0] == 3:
			c.w.Fatalf("fatal: %s", data[1:])
		}
	}
	if !f.packed {
		return f
	}
	f.size = pack.Len()
	f.ids = c.keep(pack.Bytes())
	return f
}

// keep stores a pack's objects and returns their ids.
func (c *client) keep(pack []byte) []string {
	c.w.Helper()
	var ids idObserver
	parser, err := packfile.NewParserWithStorage(packfile.NewScanner(bytes.NewReader(pack)), c.kept, &ids)
	c.w.must(err)
	if _, err := parser.Parse(); err != nil && err != packfile.ErrEmptyPackfile {
		c.w.Fatalf("pack of %d bytes: %v", len(pack), err)
	}
	slices.Sort(ids.ids)
	return ids.ids
}

// has says whether the client keeps an object.
func (c *client) has(id string) bool {
	return c.kept.HasEncodedObject(plumbing.NewHash(id)) == nil
}

// idObserver notes the objects of a pack as they are parsed.
type idObserver struct{ ids []string }

func (o *idObserver) OnHeader(uint32) error { return nil }
func (o *idObserver) OnInflatedObjectHeader(plumbing.ObjectType, int64, int64) error {
	return nil
}

func (o *idObserver) OnInflatedObjectContent(h plumbing.Hash, _ int64, _ uint32, _ []byte) error {
	o.ids = append(o.ids, h.String())
	return nil
}
func (o *idObserver) OnFooter(plumbing.Hash) error { return nil }

// sortedIDs is what fetched.ids should be.
func sortedIDs(ids ...string) []string {
	slices.Sort(ids)
	return slices.Compact(ids)
}
