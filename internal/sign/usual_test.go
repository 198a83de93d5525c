package sign

import "testing"

// TestUsualIsWhatIsWritten: what Sign writes takes the short way, and what
// changes a byte of it never passes where the long way refuses.
func TestUsualIsWhatIsWritten(t *testing.T) {
	key := newKey(t)
	armoured, err := key.Sign(message)
	if err != nil {
		t.Fatal(err)
	}
	if c, ok := usual(armoured); !ok || c.signer != key.Public() {
		t.Fatal("what is written is not usual")
	}
	for i := range len(armoured) {
		for _, b := range []byte{'A', 'Q', '=', '\n', ' ', '-', armoured[i] ^ 1} {
			agrees(t, armoured[:i]+string(b)+armoured[i+1:])
		}
		agrees(t, armoured[:i]+"\n"+armoured[i:])
		agrees(t, armoured[:i]+armoured[i+1:])
	}
}

// agrees: the short way takes only what the long way takes, as the same key's.
func agrees(t *testing.T, armoured string) {
	t.Helper()
	c, ok := usual(armoured)
	if !ok {
		return
	}
	if _, signer, err := parseArmour(armoured); err != nil || signer != c.signer {
		t.Errorf("%q: %v", armoured, err)
	}
}

func FuzzUsual(f *testing.F) {
	armoured, err := newKey(f).Sign(message)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(armoured)
	f.Fuzz(func(t *testing.T, armoured string) { agrees(t, armoured) })
}
