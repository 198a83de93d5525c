package audit

import (
	"context"
	"crypto/ed25519"
	"errors"

	"github.com/rungbot/rung/internal/sign"
)

// manyTogether is after how many signatures a walk asks whether they hold.
const manyTogether = 900

// errDoubt says that one of the signatures that were checked together does not
// hold: everything is judged again then, with each signature checked in its place.
var errDoubt = errors.New("a signature does not hold")

// signatures checks signatures for a walk. Nearly all hold, and many are checked
// together in a part of the time: each is taken to hold then until the next check,
// and what was told meanwhile waits for it. When one of them doesn't hold, what the
// walk found since counts for nothing, and it begins again with each by itself.
type signatures struct {
	batch *sign.Batch // nil: each by itself
	// added counts those that were not asked for yet, many is when to ask.
	added, many int
	payload     []byte // room for what a commit's signature is made over
	// wrong is true once a check failed.
	wrong bool
	// waiting are entries that the caller is told of when the signatures before them
	// are known to hold; told counts those that it was told of, met those of a walk
	// that begins again.
	waiting   []Entry
	told, met int
	tell      func(Entry) // or nil
}

// together checks so many signatures at a time, or each by itself where that is 0,
// and tells entries to whom they are for, if anybody.
func together(many int, tell func(Entry)) *signatures {
	s := &signatures{many: many, tell: tell}
	if many > 0 {
		s.batch = new(sign.Batch)
	}
	return s
}

// single checks each by itself from here on: the walk begins again.
func (s *signatures) single() { s.batch, s.wrong, s.met = nil, false, 0 }

// plain checks a signature by a key's 32 bytes.
func (s *signatures) plain(key ed25519.PublicKey, message, signature []byte) bool {
	if s == nil || s.batch == nil {
		return sign.VerifyEd25519(key, message, signature)
	}
	s.added++
	return s.batch.Add(key, message, signature)
}

// commit checks a commit's signature as sign.Verify does.
func (s *signatures) commit(c *commit, key sign.PublicKey) error {
	if s == nil || s.batch == nil {
		return sign.Verify(c.payload(nil), c.signature(), key)
	}
	s.added++
	s.payload = c.payload(s.payload[:0])
	return s.batch.AddSSH(s.payload, c.signature(), key)
}

// settle checks what was collected, and tells what waited for it. It returns false
// when something didn't hold, now or before.
func (s *signatures) settle() bool {
	if s.batch != nil && !s.batch.Holds() {
		s.wrong = true
	}
	s.added = 0
	if !s.wrong {
		for _, e := range s.waiting {
			s.tell(e)
		}
		s.told += len(s.waiting)
	}
	clear(s.waiting)
	s.waiting = s.waiting[:0]
	return !s.wrong
}

// entry passes the walk's next entry on to the caller: once, and not before the
// signatures hold that it stands on.
func (s *signatures) entry(e Entry) {
	if s.batch != nil {
		s.waiting = append(s.waiting, e)
		return
	}
	if s.met++; s.met > s.told {
		s.tell(e)
	}
}

// stop says why a walk must not go on.
func (v *verifier) stop(ctx context.Context) error {
	if s := v.signatures; s.wrong || s.batch != nil && s.added >= s.many && !s.settle() {
		return errDoubt
	}
	return ctx.Err()
}
