package audit

// texts keeps the text of commits that are asked for again in another order, in
// pieces without pointers, which cost nothing when garbage is collected. What
// doesn't fit is not kept.
type texts struct {
	pieces [][]byte
	at     map[oid]textAt
}

// textAt is where a text lies.
type textAt struct{ piece, from, to int32 }

const (
	textPiece = 256 << 10
	maxTexts  = 16 << 20
)

// put keeps a text.
func (t *texts) put(id oid, text string) {
	last := len(t.pieces) - 1
	if last < 0 || len(t.pieces[last])+len(text) > textPiece {
		if len(text) > textPiece || (last+2)*textPiece > maxTexts {
			return
		}
		if t.at == nil {
			t.at = map[oid]textAt{}
		}
		t.pieces = append(t.pieces, make([]byte, 0, textPiece))
		last++
	}
	from := len(t.pieces[last])
	t.pieces[last] = append(t.pieces[last], text...)
	t.at[id] = textAt{int32(last), int32(from), int32(from + len(text))} //nolint:gosec // bounded by maxTexts and textPiece
}

// get is a text that is kept.
func (t *texts) get(id oid) ([]byte, bool) {
	at, kept := t.at[id]
	if !kept {
		return nil, false
	}
	return t.pieces[at.piece][at.from:at.to], true
}
