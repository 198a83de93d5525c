package settings

import (
	"fmt"
	"io"
)

// Secret is text that never prints itself: every way of formatting or encoding
// it gives Redacted, or nothing if it is empty. Only Reveal gives the text. The
// zero Secret is empty. Secrets are immutable and may be copied.
type Secret struct {
	// A pointer, so that reflection over a struct that holds a Secret in an
	// unexported field, where methods are not called, shows an address.
	text *string
}

// Redacted is what a Secret shows.
const Redacted = "[secret]"

// NewSecret makes a Secret of text.
func NewSecret(text string) Secret {
	if text == "" {
		return Secret{}
	}
	return Secret{text: &text}
}

// Reveal is the text. Pass it on only to what needs it.
func (s Secret) Reveal() string {
	if s.text == nil {
		return ""
	}
	return *s.text
}

// Empty reports whether there is no text.
func (s Secret) Empty() bool { return s.text == nil }

// String is Redacted.
func (s Secret) String() string {
	if s.Empty() {
		return ""
	}
	return Redacted
}

// GoString is Redacted.
func (s Secret) GoString() string { return s.String() }

// Format prints Redacted for every verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// MarshalText gives Redacted; it is what JSON, YAML and zerolog write.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
