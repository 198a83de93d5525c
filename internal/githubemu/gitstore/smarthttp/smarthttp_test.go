package smarthttp

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/rungbot/rung/internal/githubemu/gitstore"
)

const (
	one = "1111111111111111111111111111111111111111"
	two = "2222222222222222222222222222222222222222"
)

func TestReadPacket(t *testing.T) {
	for input, want := range map[string]struct {
		kind Kind
		data string
		err  error
	}{
		"0000":     {kind: Flush},
		"0001":     {kind: Delim},
		"0002":     {kind: ResponseEnd},
		"0004":     {},
		"0006a\n":  {data: "a\n"},
		"0008abcd": {data: "abcd"},
		"":         {err: io.EOF},
		"00":       {err: ErrPacket},
		"0003":     {err: ErrPacket},
		"+004":     {err: ErrPacket},
		"fff1":     {err: ErrPacket},
		"0008abc":  {err: ErrPacket},
	} {
		kind, data, err := ReadPacket(strings.NewReader(input))
		if kind != want.kind || string(data) != want.data || !errors.Is(err, want.err) {
			t.Errorf("%q: %v %q %v, want %+v", input, kind, data, err, want)
		}
	}
}

func TestLongWritesAreSplit(t *testing.T) {
	for _, size := range []int{0, 1, MaxPayload - 1, MaxPayload, MaxPayload + 1, 3*MaxPayload + 7} {
		text := bytes.Repeat([]byte("x"), size)
		var plain, band bytes.Buffer
		if err := WritePacket(&plain, text); err != nil {
			t.Fatal(err)
		}
		if n, err := (SideBand{W: &band, Channel: 1}).Write(text); n != size || err != nil {
			t.Fatalf("%d bytes: wrote %d, error %v", size, n, err)
		}
		got, err := firstBand(band.Bytes())
		if err != nil || len(got) != size {
			t.Errorf("side band of %d bytes: %d, error %v", size, len(got), err)
		}
		total := 0
		for {
			_, data, err := ReadPacket(&plain)
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			total += len(data)
		}
		if total != size {
			t.Errorf("packets of %d bytes: %d", size, total)
		}
	}
}

// body joins packets; "" is a flush.
func body(lines ...string) []byte {
	var b bytes.Buffer
	for _, line := range lines {
		if line == "" {
			_ = WriteSpecial(&b, Flush) // a buffer takes everything
		} else {
			_ = WritePacket(&b, []byte(line))
		}
	}
	return b.Bytes()
}

func TestParsePush(t *testing.T) {
	push, err := ParsePush(append(body("shallow "+one, one+" "+two+" refs/heads/a b\x00 report-status agent=x/1 atomic\n", two+" "+gitstore.Zero+" refs/heads/c\n", ""), "PACK…"...))
	if err != nil {
		t.Fatal(err)
	}
	want := []gitstore.RefUpdate{{Ref: "refs/heads/a b", Old: one, New: two}, {Ref: "refs/heads/c", Old: two, New: gitstore.Zero}}
	if !slices.Equal(push.Updates, want) || string(push.Pack) != "PACK…" {
		t.Errorf("%+v", push)
	}
	if names := slices.Sorted(maps.Keys(push.Capabilities)); !slices.Equal(names, []string{"agent", "atomic", "report-status"}) || push.Capabilities["agent"] != "x/1" {
		t.Errorf("capabilities %q", push.Capabilities)
	}
	push, err = ParsePush(append(body(one+" "+two+" refs/heads/a\x00push-options", "", "ci.skip", ""), "PACK"...))
	if err != nil || string(push.Pack) != "PACK" {
		t.Errorf("after push options: %+v, %v", push, err)
	}
	for _, empty := range [][]byte{nil, body("")} {
		if push, err := ParsePush(empty); err != nil || len(push.Updates) > 0 {
			t.Errorf("%q: %+v, %v", empty, push, err)
		}
	}
	for _, bad := range []string{"zzzz", "0001", string(body(one + " " + two + " refs/heads/a")), string(body(one+" refs/heads/a", "")), string(body(one[1:]+" "+two+" refs/heads/a", ""))} {
		if push, err := ParsePush([]byte(bad)); err == nil {
			t.Errorf("%q was taken: %+v", bad, push)
		}
	}
}

func TestParseReport(t *testing.T) {
	status := body("unpack ok\n", "ok refs/heads/a\n", "ng refs/heads/b not this one\n", "")
	var banded bytes.Buffer
	for _, part := range [][]byte{status[:9], status[9:]} {
		if _, err := (SideBand{W: &banded, Channel: 1}).Write(part); err != nil {
			t.Fatal(err)
		}
		if _, err := (SideBand{W: &banded, Channel: 2}).Write([]byte("progress\n")); err != nil {
			t.Fatal(err)
		}
	}
	for sideBand, answer := range map[bool][]byte{false: status, true: append(banded.Bytes(), "0000"...)} {
		unpack, refs, err := ParseReport(answer, sideBand)
		if err != nil || unpack != "ok" || !maps.Equal(refs, map[string]string{"refs/heads/a": "", "refs/heads/b": "not this one"}) {
			t.Errorf("side band %v: %q %q %v", sideBand, unpack, refs, err)
		}
	}
	if unpack, refs, err := ParseReport(nil, true); unpack != "" || len(refs) != 0 || err != nil {
		t.Errorf("no report: %q %q %v", unpack, refs, err)
	}
	if _, _, err := ParseReport([]byte("0005"), false); !errors.Is(err, ErrPacket) {
		t.Errorf("cut off: %v", err)
	}
}

func FuzzParsePush(f *testing.F) {
	f.Add(append(body("shallow "+one, one+" "+two+" refs/heads/a\x00 report-status push-options\n", "", "x", ""), "PACK"...))
	f.Add(body(""))
	f.Fuzz(func(t *testing.T, data []byte) {
		push, err := ParsePush(data)
		if err != nil {
			return
		}
		if !bytes.HasSuffix(data, push.Pack) {
			t.Error("the pack is not the end of the body")
		}
		for _, u := range push.Updates {
			if !gitstore.ValidID(u.Old) || !gitstore.ValidID(u.New) {
				t.Errorf("update %+v", u)
			}
		}
		_, _, _ = ParseReport(data, true) // must return
	})
}
