package gitrepo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/rungbot/rung/internal/promotion"
)

// uploadCaps is what a server said it can do for fetches.
type uploadCaps struct {
	shallow      bool
	filter       bool
	objectFormat bool
}

// uploadCapabilities asks the server once and remembers.
func (r *Remote) uploadCapabilities(ctx context.Context) (uploadCaps, error) {
	if caps, ok := r.servers.upload(r.server); ok {
		return caps, nil
	}
	const op = "capabilities"
	body, err := r.request(ctx, op, uploadPack, nil)
	if err != nil {
		return uploadCaps{}, err
	}
	defer func() { _ = body.Close() }()
	caps, err := parseUploadCaps(body)
	if err != nil {
		return uploadCaps{}, readError(op, err)
	}
	r.servers.setUpload(r.server, caps)
	return caps, nil
}

// parseUploadCaps reads the advertisement of protocol version 2. Some servers
// put the line "# service=git-upload-pack" and a flush before it.
func parseUploadCaps(body io.Reader) (uploadCaps, error) {
	var caps uploadCaps
	packets := &packetReader{r: body}
	kind, line, err := packets.line()
	if err == nil && kind == packetData && strings.HasPrefix(line, "# service=") {
		if kind, _, err = packets.line(); err == nil && kind == packetFlush {
			kind, line, err = packets.line()
		}
	}
	if err != nil {
		return caps, err
	}
	if kind != packetData || line != "version 2" {
		return caps, ErrProtocol2
	}
	for n := 0; ; n++ {
		kind, line, err := packets.line()
		switch {
		case err != nil:
			return caps, err
		case kind == packetFlush:
			if !caps.shallow {
				return caps, fmt.Errorf("%w: it can't fetch shallowly", ErrProtocol2)
			}
			return caps, nil
		case n > 100:
			return caps, fmt.Errorf("%w: too many capabilities", ErrProtocol)
		}
		key, value, _ := strings.Cut(line, "=")
		switch key {
		case "fetch":
			features := strings.Fields(value)
			caps.shallow = slices.Contains(features, "shallow")
			caps.filter = slices.Contains(features, "filter")
		case "object-format":
			if value != "sha1" {
				return caps, fmt.Errorf("%w: the repository's object format is %q, not sha1", ErrProtocol, printable(value, 20))
			}
			caps.objectFormat = true
		}
	}
}

// command begins a request of protocol version 2.
func (r *Remote) command(name string, caps uploadCaps) *bytes.Buffer {
	var b bytes.Buffer
	writePacket(&b, "command="+name+"\n")
	writePacket(&b, "agent="+r.options.Agent+"\n")
	if caps.objectFormat {
		writePacket(&b, "object-format=sha1\n")
	}
	b.WriteString(delimPacket)
	return &b
}

// Refs lists the refs whose names start with one of the prefixes (a prefix
// such as "refs/heads/main" also lists "refs/heads/main2"; see ExactRefs),
// with the hashes they point at. No prefixes lists all refs.
func (r *Remote) Refs(ctx context.Context, prefixes ...string) (map[string]promotion.Hash, error) {
	const op = "ls-refs"
	if r.clone != nil {
		return r.clone.list(prefixes), nil
	}
	caps, err := r.uploadCapabilities(ctx)
	if err != nil {
		return nil, err
	}
	b := r.command("ls-refs", caps)
	for _, p := range prefixes {
		if strings.ContainsAny(p, "\n\x00 ") || len(p) > 1000 {
			return nil, fmt.Errorf("git %s: %q is no prefix of a ref", op, printable(p, 80))
		}
		writePacket(b, "ref-prefix "+p+"\n")
	}
	b.WriteString(flushPacket)
	body, err := r.request(ctx, op, uploadPack, b.Bytes())
	if err != nil {
		return nil, err
	}
	defer func() { _ = body.Close() }()
	refs, err := parseRefs(body, r.options.MaxObjects)
	if err != nil {
		return nil, readError(op, err)
	}
	return withPrefixes(refs, prefixes), nil // a server may ignore prefixes
}

// withPrefixes leaves the refs that begin with one of the prefixes; without any
// prefix all.
func withPrefixes(refs map[string]promotion.Hash, prefixes []string) map[string]promotion.Hash {
	if len(prefixes) != 0 {
		maps.DeleteFunc(refs, func(name string, _ promotion.Hash) bool {
			return !slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(name, p) })
		})
	}
	return refs
}

// ExactRefs lists exactly the named refs; one that doesn't exist is absent.
func (r *Remote) ExactRefs(ctx context.Context, names ...string) (map[string]promotion.Hash, error) {
	if len(names) == 0 {
		return map[string]promotion.Hash{}, nil
	}
	refs, err := r.Refs(ctx, names...)
	if err != nil {
		return nil, err
	}
	for name := range refs {
		if !slices.Contains(names, name) {
			delete(refs, name)
		}
	}
	return refs, nil
}

// parseRefs reads lines "<hash> <name>[ attribute…]" up to the flush.
func parseRefs(body io.Reader, limit int) (map[string]promotion.Hash, error) {
	refs := map[string]promotion.Hash{}
	packets := &packetReader{r: body}
	for {
		kind, line, err := packets.line()
		switch {
		case err != nil:
			return nil, err
		case kind == packetFlush:
			return refs, nil
		case kind != packetData:
			return nil, fmt.Errorf("%w: an odd packet among the refs", ErrProtocol)
		case strings.HasPrefix(line, "ERR "):
			return nil, serverError(line)
		case len(refs) >= limit:
			return nil, fmt.Errorf("%w: more than %d refs", ErrTooLarge, limit)
		}
		fields := strings.Split(line, " ")
		if len(fields) < 2 || fields[1] == "" {
			return nil, fmt.Errorf("%w: a line of the ref listing", ErrProtocol)
		}
		if fields[0] == "unborn" {
			continue
		}
		hash, err := promotion.ParseHash(fields[0])
		if err != nil {
			return nil, fmt.Errorf("%w: a hash of the ref listing", ErrProtocol)
		}
		refs[fields[1]] = hash
	}
}

// serverError is an ERR packet.
func serverError(line string) error {
	text := printable(strings.TrimPrefix(line, "ERR "), 200)
	if strings.Contains(text, "not our ref") {
		return fmt.Errorf("%w: %s", ErrMissing, text)
	}
	return fmt.Errorf("%w: %s", ErrProtocol, text)
}

// fetchSpec is one fetch request.
type fetchSpec struct {
	op     string
	wants  []id
	from   id // have and shallow, or zero
	deepen int
	filter string // empty: none
	done   bool
	thin   bool
}

// fetchAnswer is what came back: nothing acknowledged and no pack, an
// acknowledgement alone, or a pack.
type fetchAnswer struct {
	acknowledged bool
	pack         []byte
}

// fetch does one fetch request.
func (r *Remote) fetch(ctx context.Context, spec fetchSpec) (fetchAnswer, error) {
	caps, err := r.uploadCapabilities(ctx)
	if err != nil {
		return fetchAnswer{}, err
	}
	b := r.command("fetch", caps)
	writePacket(b, "no-progress\n")
	writePacket(b, "ofs-delta\n")
	if spec.thin {
		writePacket(b, "thin-pack\n")
	}
	for _, w := range spec.wants {
		writePacket(b, "want "+w.String()+"\n")
	}
	if !spec.from.IsZero() {
		writePacket(b, "have "+spec.from.String()+"\n")
		writePacket(b, "shallow "+spec.from.String()+"\n")
	}
	if spec.deepen > 0 {
		writePacket(b, fmt.Sprintf("deepen %d\n", spec.deepen))
	}
	if spec.filter != "" && caps.filter {
		writePacket(b, "filter "+spec.filter+"\n")
	}
	if spec.done {
		writePacket(b, "done\n")
	}
	b.WriteString(flushPacket)
	body, err := r.request(ctx, spec.op, uploadPack, b.Bytes())
	if err != nil {
		return fetchAnswer{}, err
	}
	defer func() { _ = body.Close() }()
	answer, err := parseFetch(body)
	if err != nil {
		return fetchAnswer{}, readError(spec.op, err)
	}
	return answer, nil
}

// parseFetch reads the sections of a fetch answer.
func parseFetch(body io.Reader) (fetchAnswer, error) {
	var answer fetchAnswer
	packets := &packetReader{r: body}
	section := ""
	for {
		kind, line, err := packets.line()
		switch {
		case errors.Is(err, io.EOF) && section == "":
			return answer, fmt.Errorf("%w: an empty answer to a fetch", ErrProtocol)
		case err != nil:
			return answer, err
		case kind == packetFlush || kind == packetEnd:
			return answer, nil
		case kind == packetDelim:
			section = ""
			continue
		case strings.HasPrefix(line, "ERR "):
			return answer, serverError(line)
		}
		if section == "" {
			section = line
			if section == "packfile" {
				answer.pack, err = readSideBand(packets)
				return answer, err
			}
			continue
		}
		if section == "acknowledgments" && strings.HasPrefix(line, "ACK ") {
			answer.acknowledged = true
		}
	}
}

// readSideBand collects band 1 up to the flush. Band 3 is the server's last word.
func readSideBand(packets *packetReader) ([]byte, error) {
	var data bytes.Buffer
	for {
		kind, content, err := packets.next()
		switch {
		case err != nil:
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		case kind == packetFlush || kind == packetEnd:
			return data.Bytes(), nil
		case kind != packetData || len(content) == 0:
			return nil, fmt.Errorf("%w: an odd packet in a pack", ErrProtocol)
		}
		switch content[0] {
		case 1:
			data.Write(content[1:])
		case 2:
		case 3:
			return nil, serverError(string(content[1:]))
		default:
			return nil, fmt.Errorf("%w: side band %d", ErrProtocol, content[0])
		}
	}
}
