package audit

// aside keeps the text of commits, read and hashed from the newest to the oldest,
// until they are asked for from the oldest to the newest. It is a stack, so that it
// gets smaller as what is learnt from them grows.
type aside struct {
	commits []textOf // the last is on top
	forgot  int      // of commits, from the bottom
	held    int      // bytes
}

// textOf is a commit with its text.
type textOf struct {
	id   oid
	text string
}

const (
	// maxAside bounds what is held: beyond, those that would be asked for last are
	// read once more.
	maxAside = 48 << 20
	// textOverhead is about what a text takes beside its bytes.
	textOverhead = 64
)

// put puts a commit on top.
func (a *aside) put(id oid, text string) {
	a.commits = append(a.commits, textOf{id, text})
	for a.held += len(text) + textOverhead; a.held > maxAside && a.forgot < len(a.commits)-1; a.forgot++ {
		a.held -= len(a.commits[a.forgot].text) + textOverhead
		a.commits[a.forgot].text = ""
	}
}

// take takes the commit from the top, if that is the one.
func (a *aside) take(id oid) (text string, ok bool) {
	top := len(a.commits) - 1
	if top < a.forgot || a.commits[top].id != id {
		return "", false
	}
	text = a.commits[top].text
	a.commits[top] = textOf{}
	a.commits = a.commits[:top]
	a.held -= len(text) + textOverhead
	return text, true
}
