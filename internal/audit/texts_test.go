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
	held, there := 0, 0
	for n := range 20_000 {
		got, ok := kept.get(id(n))
		if !ok {
			continue
		}
		if got != text(n) {
			t.Fatalf("text %d is not what was put", n)
		}
		there++
		held += len(got)
	}
	if there < 1000 || there == 20_000 || held > maxTexts || kept.held != held+there*textOverhead {
		t.Errorf("%d texts of %d bytes are kept, %d in all, at most %d bytes", there, held, kept.held, maxTexts)
	}
}
