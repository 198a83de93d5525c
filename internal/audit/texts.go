package audit

// texts keeps the text of commits that are asked for again in another order. What
// doesn't fit is not kept.
type texts struct {
	of   map[oid]string
	held int // bytes
}

// maxTexts bounds what is held.
const maxTexts = 16 << 20

// put keeps a text.
func (t *texts) put(id oid, text string) {
	if t.held+len(text)+textOverhead > maxTexts {
		return
	}
	if t.of == nil {
		t.of = map[oid]string{}
	}
	t.of[id] = text
	t.held += len(text) + textOverhead
}

// get is a text that is kept.
func (t *texts) get(id oid) (string, bool) {
	text, kept := t.of[id]
	return text, kept
}
