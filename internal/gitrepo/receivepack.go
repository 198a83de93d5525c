package gitrepo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

const (
	// maxReport bounds the status report of a push, maxMessages the words to
	// people that come beside it.
	maxReport   = 1 << 20
	maxMessages = 4 << 10
	zeroHash    = "0000000000000000000000000000000000000000"
)

// receiveCaps is what a server said it can do for pushes.
type receiveCaps struct {
	atomic       bool
	sideBand     bool
	deleteRefs   bool
	noThin       bool
	quiet        bool
	objectFormat bool
}

// receiveCapabilities asks the server once and remembers. Only the first line
// of the ref advertisement is read, however many refs follow.
func (r *Remote) receiveCapabilities(ctx context.Context) (receiveCaps, error) {
	if caps, ok := r.servers.receive(r.server); ok {
		return caps, nil
	}
	const op = "push capabilities"
	body, err := r.request(ctx, op, receivePack, nil)
	if err != nil {
		return receiveCaps{}, err
	}
	defer func() { _ = body.Close() }()
	caps, err := parseReceiveCaps(body)
	if err != nil {
		return receiveCaps{}, readError(op, err)
	}
	r.servers.setReceive(r.server, caps)
	return caps, nil
}

// parseReceiveCaps reads "# service", a flush, and the capabilities after the
// NUL of the first ref's line.
func parseReceiveCaps(body io.Reader) (receiveCaps, error) {
	var caps receiveCaps
	packets := &packetReader{r: body}
	kind, line, err := packets.line()
	if err == nil && kind == packetData && strings.HasPrefix(line, "# service=") {
		if kind, _, err = packets.line(); err == nil && kind == packetFlush {
			kind, line, err = packets.line()
		}
	}
	if err == nil && kind == packetData && strings.HasPrefix(line, "version ") {
		kind, line, err = packets.line()
	}
	if err != nil {
		return caps, err
	}
	_, list, ok := strings.Cut(line, "\x00")
	if kind != packetData || !ok {
		return caps, fmt.Errorf("%w: no capabilities for pushes", ErrProtocol)
	}
	names := strings.Fields(list)
	has := func(name string) bool { return slices.Contains(names, name) }
	if !has("report-status") {
		return caps, fmt.Errorf("%w: the server does not report how a push ended", ErrProtocol)
	}
	for _, n := range names {
		if format, ok := strings.CutPrefix(n, "object-format="); ok {
			if format != "sha1" {
				return caps, fmt.Errorf("%w: the repository's object format is %q, not sha1", ErrProtocol, printable(format, 20))
			}
			caps.objectFormat = true
		}
	}
	caps.atomic, caps.sideBand, caps.deleteRefs = has("atomic"), has("side-band-64k"), has("delete-refs")
	caps.noThin, caps.quiet = has("no-thin"), has("quiet")
	return caps, nil
}

// encodePush writes the commands and, unless all are deletions, the pack.
func (r *Remote) encodePush(caps receiveCaps, updates []RefUpdate, entries []packEntry) ([]byte, error) {
	features := []string{"report-status"}
	for _, f := range []struct {
		use  bool
		name string
	}{
		{caps.sideBand, "side-band-64k"},
		{caps.atomic && len(updates) > 1, "atomic"},
		{caps.quiet, "quiet"},
		{caps.objectFormat, "object-format=sha1"},
		{true, "agent=" + r.options.Agent},
	} {
		if f.use {
			features = append(features, f.name)
		}
	}
	var b bytes.Buffer
	needPack := false
	for n, u := range updates {
		from, to := string(u.Old), string(u.New)
		if from == "" {
			from = zeroHash
		}
		if to == "" {
			to = zeroHash
		} else {
			needPack = true
		}
		line := from + " " + to + " " + u.Ref
		if n == 0 {
			line += "\x00 " + strings.Join(features, " ")
		}
		writePacket(&b, line)
	}
	b.WriteString(flushPacket)
	if needPack {
		pack, err := encodePack(entries)
		if err != nil {
			return nil, err
		}
		b.Write(pack)
	}
	return b.Bytes(), nil
}

// pushAnswer is a server's report on a push. Statuses holds "" for a ref that
// moved, the reason for one that did not.
type pushAnswer struct {
	unpack   string // "ok", or what went wrong with the pack
	statuses map[string]string
	messages string
}

// parsePush reads the report, inside the side band or not.
func parsePush(body io.Reader, sideBand bool) (pushAnswer, error) {
	var answer pushAnswer
	var report io.Reader = io.LimitReader(body, maxReport)
	if sideBand {
		data, messages, err := splitSideBand(body)
		answer.messages = messages
		if err != nil {
			return answer, err
		}
		report = bytes.NewReader(data)
	}
	answer.statuses = map[string]string{}
	packets := &packetReader{r: report}
	for {
		kind, line, err := packets.line()
		switch {
		case errors.Is(err, io.EOF) && answer.unpack == "":
			return answer, io.ErrUnexpectedEOF
		case err != nil:
			return answer, err
		case kind == packetFlush:
			if answer.unpack == "" {
				return answer, fmt.Errorf("%w: a push report without its first line", ErrProtocol)
			}
			return answer, nil
		case kind != packetData:
			return answer, fmt.Errorf("%w: an odd packet in a push report", ErrProtocol)
		}
		if err := answer.line(line); err != nil {
			return answer, err
		}
	}
}

// line takes one line of the report.
func (a *pushAnswer) line(line string) error {
	word, rest, _ := strings.Cut(line, " ")
	switch {
	case a.unpack == "" && word == "unpack":
		a.unpack = printable(rest, 200)
	case a.unpack != "" && word == "ok":
		ref, _, _ := strings.Cut(rest, " ")
		a.statuses[ref] = ""
	case a.unpack != "" && word == "ng":
		ref, reason, _ := strings.Cut(rest, " ")
		if reason = printable(reason, 200); reason == "" {
			reason = "no reason given"
		}
		a.statuses[ref] = reason
	default:
		return fmt.Errorf("%w: a line of a push report: %q", ErrProtocol, printable(line, 80))
	}
	return nil
}

// splitSideBand collects the report (band 1) and the words to people (2, 3).
func splitSideBand(body io.Reader) ([]byte, string, error) {
	var data, words bytes.Buffer
	packets := &packetReader{r: body}
	for {
		kind, content, err := packets.next()
		switch {
		case errors.Is(err, io.EOF) && data.Len() > 0:
			return data.Bytes(), messages(&words), nil //nolint:nilerr // some servers leave the flush out
		case errors.Is(err, io.EOF):
			return nil, messages(&words), io.ErrUnexpectedEOF
		case err != nil:
			return nil, messages(&words), err
		case kind == packetFlush || kind == packetEnd:
			return data.Bytes(), messages(&words), nil
		case kind != packetData || len(content) == 0 || content[0] < 1 || content[0] > 3:
			return nil, messages(&words), fmt.Errorf("%w: an odd packet in the answer to a push", ErrProtocol)
		}
		if content[0] == 1 {
			if data.Len()+len(content) > maxReport {
				return nil, messages(&words), fmt.Errorf("%w: the report on a push is too long", ErrTooLarge)
			}
			data.Write(content[1:])
		} else if words.Len() < 2*maxMessages {
			words.Write(content[1:])
		}
		if content[0] == 3 {
			return nil, messages(&words), fmt.Errorf("%w: the server gave up: %s", ErrProtocol, printable(string(content[1:]), 200))
		}
	}
}

// messages makes the words to people printable, line by line.
func messages(words *bytes.Buffer) string {
	var lines []string
	for line := range strings.Lines(words.String()) {
		if line = printable(line, 500); line != "" {
			lines = append(lines, line)
		}
	}
	text := strings.Join(lines, "\n")
	if len(text) > maxMessages {
		text = strings.ToValidUTF8(text[:maxMessages], "") + "…"
	}
	return text
}
