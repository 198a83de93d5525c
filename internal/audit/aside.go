package audit

// aside keeps the text of commits, read and hashed from the newest to the oldest,
// until they are asked for from the oldest to the newest. It is a stack of pieces
// without pointers, which cost nothing when garbage is collected, and the pieces
// are let go as what is learnt from them grows.
type aside struct {
	pieces []asidePiece // the last is on top
	held   int
}

// asidePiece are some commits, one behind the other.
type asidePiece struct {
	text []byte
	ids  []oid
	from []int // where each begins
}

const (
	// asidePieceBytes is the size of a piece, maxAside that of all of them: beyond,
	// those that would be asked for last are read once more.
	asidePieceBytes = 256 << 10
	maxAside        = 48 << 20
)

// put puts a commit on top.
func (a *aside) put(id oid, text string) {
	top := len(a.pieces) - 1
	if top < 0 || len(a.pieces[top].text)+len(text) > cap(a.pieces[top].text) {
		size := max(asidePieceBytes, len(text))
		if a.held += size; a.held > maxAside && top >= 0 {
			a.held -= cap(a.pieces[0].text)
			a.pieces = append(a.pieces[:0], a.pieces[1:]...)
		}
		a.pieces = append(a.pieces, asidePiece{text: make([]byte, 0, size)})
		top = len(a.pieces) - 1
	}
	p := &a.pieces[top]
	p.from, p.ids = append(p.from, len(p.text)), append(p.ids, id)
	p.text = append(p.text, text...)
}

// take takes the commit from the top, if that is the one.
func (a *aside) take(id oid) (text string, ok bool) {
	top := len(a.pieces) - 1
	if top < 0 {
		return "", false
	}
	p := &a.pieces[top]
	last := len(p.ids) - 1
	if p.ids[last] != id {
		return "", false
	}
	text = string(p.text[p.from[last]:])
	p.text, p.ids, p.from = p.text[:p.from[last]], p.ids[:last], p.from[:last]
	if last == 0 {
		a.held -= cap(p.text)
		a.pieces[top] = asidePiece{}
		a.pieces = a.pieces[:top]
	}
	return text, true
}
