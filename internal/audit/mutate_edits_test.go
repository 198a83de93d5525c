package audit

import (
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"

	"github.com/rungbot/rung/internal/promotion"
)

// edit changes one field of an object, so that it stays one that git takes. It
// returns the bytes and says what it did.
func (h *history) edit(random *rand.Rand, id string) (data, what string) {
	data = h.data[id]
	for range 100 {
		var now string
		switch h.kinds[id] {
		case "commit":
			now, what = h.editCommit(random, data)
		case "tree":
			now, what = h.editTree(random, data)
		default:
			now, what = editBlob(random, data)
		}
		if now != data {
			return now, what
		}
	}
	return data, what
}

// other is a character of the same sort.
func other(random *rand.Rand, c byte) byte {
	for _, set := range []string{"0123456789abcdef", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "ghijklmnopqrstuvwxyz"} {
		if i := strings.IndexByte(set, c); i >= 0 {
			return set[(i+1+random.IntN(len(set)-1))%len(set)]
		}
	}
	return c
}

// changeWithin changes one character of text[from:to] to another of its sort.
func changeWithin(random *rand.Rand, text string, from, to int) string {
	for range 50 {
		if to <= from {
			break
		}
		at := from + random.IntN(to-from)
		if c := other(random, text[at]); c != text[at] {
			return text[:at] + string(c) + text[at+1:]
		}
	}
	return text
}

// changeMatch changes one character in the first group of one of the matches.
func changeMatch(random *rand.Rand, text string, re *regexp.Regexp) string {
	all := re.FindAllStringSubmatchIndex(text, -1)
	if len(all) == 0 {
		return text
	}
	m := all[random.IntN(len(all))]
	return changeWithin(random, text, m[2], m[3])
}

var (
	authorName    = regexp.MustCompile(`(?m)^author ([a-z]+) `)
	authorMail    = regexp.MustCompile(`(?m)^author [a-z]+ <([a-z]+)@`)
	authorTime    = regexp.MustCompile(`(?m)^author .* \d(\d{9}) `)
	committerName = regexp.MustCompile(`(?m)^committer ([a-z]+) `)
	committerTime = regexp.MustCompile(`(?m)^committer .* \d(\d{9}) `)
	subjectLine   = regexp.MustCompile(`\n\n(.+)`)
	trailerValue  = regexp.MustCompile(`(?m)^Promotion-[A-Z][a-z]+: (.*)$`)
	trailerLine   = regexp.MustCompile(`(?m)^Promotion-[A-Z][a-z]+: .*\n`)
	signatureBody = regexp.MustCompile(`(?m)^ ([A-Za-z0-9+/]{40,})$`)
	signature     = regexp.MustCompile(`(?m)^gpgsig (.*\n)( .*\n)+`)
	treeHeader    = regexp.MustCompile(`^tree ([0-9a-f]{40})`)
	parentHeader  = regexp.MustCompile(`(?m)^parent ([0-9a-f]{40})\n`)
	digits        = regexp.MustCompile(`\d`)
)

// editCommit changes a commit's header, message or signature.
func (h *history) editCommit(random *rand.Rand, data string) (string, string) {
	digit := func(re *regexp.Regexp) string { // a time stays a time
		m := re.FindStringSubmatchIndex(data)
		if m == nil {
			return data
		}
		at := m[2] + random.IntN(m[3]-m[2])
		return data[:at] + string('0'+(data[at]-'0'+1+byte(random.IntN(9)))%10) + data[at+1:]
	}
	choice := func(kind string) string { return h.of[kind][random.IntN(len(h.of[kind]))] }
	switch random.IntN(14) {
	case 0:
		return changeMatch(random, data, authorName), "the author's name"
	case 1:
		return changeMatch(random, data, authorMail), "the author's mail"
	case 2:
		return digit(authorTime), "the author's time"
	case 3:
		return changeMatch(random, data, committerName), "the committer's name"
	case 4:
		return digit(committerTime), "the committer's time"
	case 5:
		return changeMatch(random, data, subjectLine), "the subject"
	case 6, 7:
		return changeMatch(random, data, trailerValue), "a trailer's value"
	case 8:
		if lines := trailerLine.FindAllString(data, -1); len(lines) > 0 {
			return strings.Replace(data, lines[random.IntN(len(lines))], "", 1), "a trailer taken out"
		}
		return data + "more\n", "a line more"
	case 9:
		return changeMatch(random, data, signatureBody), "the signature"
	case 10:
		return signature.ReplaceAllString(data, ""), "the signature taken out"
	case 11:
		return treeHeader.ReplaceAllString(data, "tree "+choice("tree")), "the tree"
	case 12:
		if parents := parentHeader.FindAllString(data, -1); len(parents) > 0 {
			return strings.Replace(data, parents[random.IntN(len(parents))], "", 1), "a parent taken out"
		}
		return data + "more\n", "a line more"
	}
	// A parent must not be a child: only what stands nowhere above is taken.
	if parents := parentHeader.FindAllString(data, -1); len(parents) > 0 {
		old := parents[random.IntN(len(parents))]
		grand := parentHeader.FindString(h.data[strings.TrimSpace(strings.TrimPrefix(old, "parent "))])
		return strings.Replace(data, old, grand, 1), "a parent passed over"
	}
	return data + "more\n", "a line more"
}

// editTree changes an entry of a tree.
func (h *history) editTree(random *rand.Rand, data string) (string, string) {
	entries, err := parseTree([]byte(data))
	if err != nil || len(entries) == 0 {
		return data, "an empty tree"
	}
	at := random.IntN(len(entries))
	e := &entries[at]
	what := ""
	switch random.IntN(5) {
	case 0:
		e.name, what = e.name+"x", "an entry's name"
	case 1:
		what = "an entry's mode"
		if e.mode == modeFile {
			e.mode = []uint32{modeExecutable, modeSymlink}[random.IntN(2)]
		}
	case 2:
		what = "an entry's object"
		kind := "blob"
		if e.mode == modeTree {
			kind = "tree"
		}
		// A tree must not come to hold itself: one without directories can't.
		id := h.of[kind][random.IntN(len(h.of[kind]))]
		if kind == "blob" || !strings.Contains(h.data[id], "40000 ") {
			e.id, _ = parseOID(promotion.Hash(id))
		}
	case 3:
		what = "an entry taken out"
		entries = slices.Delete(entries, at, at+1)
	default:
		what = "an entry more"
		more := *e
		more.name += "y"
		entries = append(entries, more)
	}
	slices.SortFunc(entries, func(a, b entry) int { return strings.Compare(sortKey(a), sortKey(b)) })
	var b strings.Builder
	for _, e := range entries {
		fmt.Fprintf(&b, "%o %s\x00%s", e.mode, e.name, e.id[:])
	}
	return b.String(), what
}

var (
	envelopePayload = regexp.MustCompile(`"payload":"([^"]+)"`)
	envelopeSig     = regexp.MustCompile(`"sig":"([^"]{80})`)
	envelopeKey     = regexp.MustCompile(`"keyid":"SHA256:([^"]+)"`)
	jsonValue       = regexp.MustCompile(`:"([^"]+)"|:(\d+)`)
)

// editBlob changes a record's field, its envelope, or a character of any file.
func editBlob(random *rand.Rand, data string) (string, string) {
	if !strings.HasPrefix(data, `{"payloadType"`) {
		return changeWithin(random, data, 0, len(data)), "a character of a file"
	}
	lines := strings.SplitAfter(strings.TrimSuffix(data, "\n"), "\n")
	at := random.IntN(len(lines))
	what := ""
	switch random.IntN(8) {
	case 0:
		lines[at], what = changeMatch(random, lines[at], envelopeSig), "a record's signature"
	case 1:
		lines[at], what = changeMatch(random, lines[at], envelopeKey), "a record's key"
	case 2:
		what = "a line of a record file taken out"
		lines = slices.Delete(lines, at, at+1)
	default:
		what = "a field of a record"
		m := envelopePayload.FindStringSubmatch(lines[at])
		payload, err := base64.StdEncoding.DecodeString(m[1])
		if err != nil {
			return data, what
		}
		text := string(payload)
		fields := jsonValue.FindAllStringSubmatchIndex(text, -1)
		f := fields[random.IntN(len(fields))]
		from, to := f[2], f[3]
		if from < 0 {
			from, to = f[4], f[5]
			if digits.MatchString(text[from:to]) {
				text = text[:from] + "1" + text[from:] // another number
			}
		} else {
			text = changeWithin(random, text, from, to)
		}
		lines[at] = strings.Replace(lines[at], m[1], base64.StdEncoding.EncodeToString([]byte(text)), 1)
	}
	return strings.Join(lines, "") + "\n", what
}
