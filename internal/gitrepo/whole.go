package gitrepo

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/rungbot/rung/internal/promotion"
)

// Head is the branch that the server's HEAD names, as a full ref, with its commit;
// both are empty where HEAD names none.
func (r *Remote) Head(ctx context.Context) (string, promotion.Hash, error) {
	const op = "ls-refs HEAD"
	caps, err := r.uploadCapabilities(ctx)
	if err != nil {
		return "", "", err
	}
	b := r.command("ls-refs", caps)
	writePacket(b, "symrefs\n")
	writePacket(b, "ref-prefix HEAD\n")
	b.WriteString(flushPacket)
	body, err := r.request(ctx, op, uploadPack, b.Bytes())
	if err != nil {
		return "", "", err
	}
	defer func() { _ = body.Close() }()
	packets := &packetReader{r: body}
	for n := 0; ; n++ {
		kind, line, err := packets.line()
		switch {
		case err != nil:
			return "", "", readError(op, err)
		case kind == packetFlush:
			return "", "", nil
		case kind != packetData || n > r.options.MaxObjects:
			return "", "", fmt.Errorf("git %s: %w: an odd packet among the refs", op, ErrProtocol)
		case strings.HasPrefix(line, "ERR "):
			return "", "", serverError(line)
		}
		fields := strings.Split(line, " ")
		if len(fields) < 3 || fields[1] != "HEAD" {
			continue
		}
		hash, err := promotion.ParseHash(fields[0])
		ref, symbolic := strings.CutPrefix(fields[2], "symref-target:")
		if err == nil && symbolic && strings.HasPrefix(ref, "refs/heads/") {
			return ref, hash, nil
		}
	}
}

// Whole writes a pack with everything that the commits reach, as the server sends
// it: nothing of it is kept in memory, and nothing is checked. Options.MaxResponse
// bounds it, and Options.Timeout how long it takes.
func (r *Remote) Whole(ctx context.Context, commits []promotion.Hash, to io.Writer) error {
	const op = "fetch everything"
	caps, err := r.uploadCapabilities(ctx)
	if err != nil {
		return err
	}
	b := r.command("fetch", caps)
	writePacket(b, "no-progress\n")
	writePacket(b, "ofs-delta\n")
	for _, c := range commits {
		if _, err := parseID(c); err != nil {
			return err
		}
		writePacket(b, "want "+string(c)+"\n")
	}
	writePacket(b, "done\n")
	b.WriteString(flushPacket)
	body, err := r.request(ctx, op, uploadPack, b.Bytes())
	if err != nil {
		return err
	}
	defer func() { _ = body.Close() }()
	packets := &packetReader{r: bufio.NewReaderSize(body, 1<<16)}
	for {
		kind, line, err := packets.line()
		switch {
		case errors.Is(err, io.EOF), err == nil && (kind == packetFlush || kind == packetEnd):
			return fmt.Errorf("git %s: %w: no pack in the answer", op, ErrProtocol)
		case err != nil:
			return readError(op, err)
		case strings.HasPrefix(line, "ERR "):
			return fmt.Errorf("git %s: %w", op, serverError(line))
		case line == "packfile":
			return passOn(op, packets, to)
		}
	}
}

// passOn copies band 1 up to the flush.
func passOn(op string, packets *packetReader, to io.Writer) error {
	for {
		kind, content, err := packets.next()
		switch {
		case errors.Is(err, io.EOF):
			return readError(op, io.ErrUnexpectedEOF)
		case err != nil:
			return readError(op, err)
		case kind == packetFlush || kind == packetEnd:
			return nil
		case kind != packetData || len(content) == 0:
			return fmt.Errorf("git %s: %w: an odd packet in a pack", op, ErrProtocol)
		}
		switch content[0] {
		case 1:
			if _, err := to.Write(content[1:]); err != nil {
				return fmt.Errorf("git %s: the pack can't be kept: %w", op, err)
			}
		case 2:
		case 3:
			return fmt.Errorf("git %s: %w", op, serverError(string(content[1:])))
		default:
			return fmt.Errorf("git %s: %w: side band %d", op, ErrProtocol, content[0])
		}
	}
}
