package smarthttp

import (
	"errors"
	"fmt"
	"io"
	"strconv"
)

// Kind tells data packets from the three special ones.
type Kind int

// The kinds of packet line.
const (
	Data        Kind = iota
	Flush            // 0000: ends a message
	Delim            // 0001: separates the sections of a message
	ResponseEnd      // 0002: ends a stateless response
)

// MaxPayload is the most bytes one data packet carries.
const MaxPayload = 65516

// ErrPacket is returned (wrapped) for a malformed packet line.
var ErrPacket = errors.New("malformed packet line")

// ReadPacket reads one packet line. It returns io.EOF at a clean end.
func ReadPacket(r io.Reader) (Kind, []byte, error) {
	var header [4]byte
	if _, err := io.ReadFull(r, header[:]); err != nil {
		if errors.Is(err, io.ErrUnexpectedEOF) {
			return 0, nil, fmt.Errorf("%w: ends in a length", ErrPacket)
		}
		return 0, nil, err
	}
	length, err := strconv.ParseUint(string(header[:]), 16, 16)
	switch {
	case err != nil || length == 3 || length > MaxPayload+4:
		return 0, nil, fmt.Errorf("%w: length %q", ErrPacket, header[:])
	case length < 3:
		return Kind(length) + Flush, nil, nil
	}
	data := make([]byte, length-4)
	if _, err := io.ReadFull(r, data); err != nil {
		return 0, nil, fmt.Errorf("%w: ends early", ErrPacket)
	}
	return Data, data, nil
}

// WritePacket writes data as one data packet, or as several where it is longer
// than MaxPayload.
func WritePacket(w io.Writer, data []byte) error {
	for {
		n := min(len(data), MaxPayload)
		if _, err := fmt.Fprintf(w, "%04x", n+4); err != nil {
			return err
		}
		if _, err := w.Write(data[:n]); err != nil {
			return err
		}
		if data = data[n:]; len(data) == 0 {
			return nil
		}
	}
}

// WriteSpecial writes one of the packets without data.
func WriteSpecial(w io.Writer, kind Kind) error {
	_, err := fmt.Fprintf(w, "%04d", int(kind-Flush))
	return err
}

// SideBand writes to one channel of a multiplexed answer: 1 carries data, 2
// progress, 3 a fatal error.
type SideBand struct {
	W       io.Writer
	Channel byte
}

// Write sends p in as many packets as it takes.
func (s SideBand) Write(p []byte) (int, error) {
	for sent := 0; sent < len(p); {
		n := min(len(p)-sent, MaxPayload-1)
		packet := append([]byte{s.Channel}, p[sent:sent+n]...)
		if err := WritePacket(s.W, packet); err != nil {
			return sent, err
		}
		sent += n
	}
	return len(p), nil
}
