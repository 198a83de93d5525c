package audit

import (
	"encoding/binary"
	"strings"
	"testing"
)

// What fits is given back as it was, and what doesn't fit is just not there.
func TestTextsKeepWhatFits(t *testing.T) {
	var kept texts
	id := func(n int) (o oid) {
		binary.BigEndian.PutUint32(o[:], uint32(n)) //nolint:gosec // a small number
		return o
	}
	text := func(n int) string { return strings.Repeat(string(rune('a'+n%26)), n*97%5000) }
	for n := range 20_000 {
		kept.put(id(n), text(n))
	}
	kept.put(id(-1), strings.Repeat("x", textPiece+1))
	if _, there := kept.get(id(-1)); there {
		t.Error("a text larger than a piece is kept")
	}
	held, there := 0, 0
	for n := range 20_000 {
		got, ok := kept.get(id(n))
		if !ok {
			continue
		}
		if string(got) != text(n) {
			t.Fatalf("text %d is not what was put", n)
		}
		there++
		held += len(got)
	}
	if there < 1000 || there == 20_000 || held > maxTexts || len(kept.pieces)*textPiece > maxTexts {
		t.Errorf("%d texts of %d bytes are kept in %d pieces, at most %d bytes", there, held, len(kept.pieces), maxTexts)
	}
}
