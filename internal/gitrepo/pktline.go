package gitrepo

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// maxPacket is the longest content of one packet.
const maxPacket = 65516

// The kinds of packet: one with content, and the three special ones.
type packetKind int

const (
	packetData packetKind = iota
	packetFlush
	packetDelim
	packetEnd
)

// writePacket appends one packet with content. Callers keep it below maxPacket.
func writePacket(b *bytes.Buffer, content string) {
	fmt.Fprintf(b, "%04x", len(content)+4)
	b.WriteString(content)
}

const (
	flushPacket = "0000"
	delimPacket = "0001"
)

// packetReader reads packets. The content is valid until the next read.
type packetReader struct {
	r   io.Reader
	buf [maxPacket + 4]byte
}

// next reads one packet. At the end of the stream it returns io.EOF, in the
// middle of a packet io.ErrUnexpectedEOF.
func (p *packetReader) next() (packetKind, []byte, error) {
	head := p.buf[:4]
	if _, err := io.ReadFull(p.r, head); err != nil {
		return 0, nil, err
	}
	n, err := strconv.ParseUint(string(head), 16, 16)
	if err != nil {
		return 0, nil, fmt.Errorf("%w: a packet's length is %q", ErrProtocol, printable(string(head), 4))
	}
	switch {
	case n == 0:
		return packetFlush, nil, nil
	case n == 1:
		return packetDelim, nil, nil
	case n == 2:
		return packetEnd, nil, nil
	case n < 4 || n > maxPacket+4:
		return 0, nil, fmt.Errorf("%w: a packet's length is %d", ErrProtocol, n)
	}
	content := p.buf[:n-4]
	if _, err := io.ReadFull(p.r, content); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return 0, nil, err
	}
	return packetData, content, nil
}

// line reads a packet as text without its line feed.
func (p *packetReader) line() (packetKind, string, error) {
	kind, content, err := p.next()
	return kind, string(bytes.TrimSuffix(content, []byte("\n"))), err
}
