package sign

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"time"
)

const (
	// maxAllowedFile and maxAllowedLines bound an allowed_signers file.
	maxAllowedFile  = 1 << 20
	maxAllowedLines = 4096
)

// isPrincipal reports whether s is a plain name: ^[A-Za-z0-9_.@+:/=\[\]-]{1,128}$.
func isPrincipal(s string) bool { return isName(s, 128, "_.@+:/=[]-") }

// isNamespace reports whether s is a plain namespace: ^[A-Za-z0-9_.@-]{1,64}$.
func isNamespace(s string) bool { return isName(s, 64, "_.@-") }

// isName reports whether s is ASCII letters, digits and some other characters: one at
// least.
func isName(s string, most int, others string) bool {
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && strings.IndexByte(others, c) < 0 {
			return false
		}
	}
	return s != "" && len(s) <= most
}

// isComment reports whether s is printable ASCII without blanks at its ends:
// ^[\x21-\x7e]([\x20-\x7e]{0,254}[\x21-\x7e])?$.
func isComment(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return s != "" && len(s) <= 256 && s[0] != ' ' && s[len(s)-1] != ' '
}

// AllowedSigner is one line of an allowed_signers file.
type AllowedSigner struct {
	// Principals are the names the key signs as: plain names, no patterns,
	// at least one.
	Principals []string
	// Namespaces the key may sign for, without patterns; empty: all.
	Namespaces []string
	// ValidAfter and ValidBefore bound the time of signing, both inclusive,
	// UTC, whole seconds; zero: unbounded.
	ValidAfter  time.Time
	ValidBefore time.Time
	Key         PublicKey
	// Comment is printable ASCII, at most 256 bytes, without spaces at its ends.
	Comment string
}

// AllowedSignersError is a line of an allowed_signers file that is refused.
type AllowedSignersError struct {
	// Line counts from 1.
	Line   int
	Reason string
}

// Error names the line and the reason.
func (e *AllowedSignersError) Error() string {
	return fmt.Sprintf("allowed_signers:%d: %s", e.Line, e.Reason)
}

// ValidAt reports whether the key may sign for namespace git at t.
func (s AllowedSigner) ValidAt(t time.Time) bool {
	switch {
	case len(s.Namespaces) != 0 && !slices.Contains(s.Namespaces, Namespace):
		return false
	case !s.ValidAfter.IsZero() && t.Before(s.ValidAfter):
		return false
	case !s.ValidBefore.IsZero() && t.After(s.ValidBefore):
		return false
	}
	return true
}

// ParseAllowedSigners parses an allowed_signers file more strictly than
// ssh-keygen does; whatever it takes, ssh-keygen takes and understands alike.
// Refused besides what ssh-keygen refuses: principals and namespaces that are
// patterns or quoted, timestamps without Z (their meaning would depend on the
// reader's time zone), cert-authority, option names in another case, keys
// other than ssh-ed25519, control characters and non-ASCII bytes. The error
// is an *AllowedSignersError, or says that the file is too large.
func ParseAllowedSigners(data []byte) ([]AllowedSigner, error) {
	if len(data) > maxAllowedFile {
		return nil, fmt.Errorf("allowed_signers: larger than %d bytes", maxAllowedFile)
	}
	var signers []AllowedSigner
	number := 0
	for line := range bytes.Lines(data) {
		number++
		if number > maxAllowedLines {
			return nil, &AllowedSignersError{Line: number, Reason: fmt.Sprintf("more than %d lines", maxAllowedLines)}
		}
		text := string(bytes.TrimSuffix(line, []byte("\n")))
		if i := strings.IndexFunc(text, func(r rune) bool { return r != '\t' && (r < ' ' || r > '~') }); i >= 0 {
			return nil, &AllowedSignersError{Line: number, Reason: fmt.Sprintf("byte %d is not printable ASCII", i+1)}
		}
		text = strings.Trim(text, " \t")
		if text == "" || text[0] == '#' {
			continue
		}
		signer, err := parseAllowedLine(text)
		if err != nil {
			return nil, &AllowedSignersError{Line: number, Reason: err.Error()}
		}
		signers = append(signers, signer)
	}
	return signers, nil
}

// parseAllowedLine parses "principals [options] ssh-ed25519 AAAA… [comment]".
func parseAllowedLine(text string) (AllowedSigner, error) {
	var s AllowedSigner
	principals, rest := field(text)
	for name := range strings.SplitSeq(principals, ",") {
		if !isPrincipal(name) {
			return s, fmt.Errorf("principal %.80q: use a plain name, without patterns or quotes", name)
		}
		s.Principals = append(s.Principals, name)
	}
	kind, afterKind := field(rest)
	if !isKeyType(kind) {
		options, after, err := optionsField(rest)
		if err != nil {
			return s, err
		}
		if err := s.parseOptions(options); err != nil {
			return s, err
		}
		kind, afterKind = field(after)
	}
	encoded, comment := field(afterKind)
	if kind == "" || encoded == "" {
		return s, fmt.Errorf("no key: a line is: principals [options] ssh-ed25519 AAAA… [comment]")
	}
	key, err := parsePublic(kind, encoded)
	if err != nil {
		return s, err
	}
	if comment != "" && !isComment(comment) {
		return s, fmt.Errorf("the comment is longer than 256 bytes or holds a tab")
	}
	s.Key, s.Comment = key, comment
	return s, nil
}

// isKeyType tells a key's type from options.
func isKeyType(s string) bool {
	return s == "" || strings.HasPrefix(s, "ssh-") || strings.HasPrefix(s, "ecdsa-") || strings.HasPrefix(s, "sk-")
}

// field cuts the first field off, and the blanks after it.
func field(s string) (first, rest string) {
	i := strings.IndexAny(s, " \t")
	if i < 0 {
		return s, ""
	}
	return s[:i], strings.TrimLeft(s[i:], " \t")
}

// optionsField cuts the options off; blanks inside quotes belong to them.
func optionsField(s string) (options, rest string, err error) {
	quoted := false
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"':
			quoted = !quoted
		case c == '\\':
			return "", "", fmt.Errorf("options: a backslash is not taken")
		case (c == ' ' || c == '\t') && !quoted:
			return s[:i], strings.TrimLeft(s[i:], " \t"), nil
		}
	}
	if quoted {
		return "", "", fmt.Errorf("options: a quote is not closed")
	}
	return s, "", nil
}

// parseOptions reads name="value" pairs, each name at most once.
func (s *AllowedSigner) parseOptions(options string) error {
	seen := map[string]bool{}
	for options != "" {
		name, rest, found := strings.Cut(options, `="`)
		if !found || strings.ContainsAny(name, `",`) {
			name, _, _ = strings.Cut(options, ",")
			if name == "cert-authority" {
				return fmt.Errorf("option cert-authority: certificates are not taken, list the keys themselves")
			}
			return fmt.Errorf(`option %.80q: write namespaces="…", valid-after="…Z" or valid-before="…Z"`, name)
		}
		value, after, closed := strings.Cut(rest, `"`)
		if !closed {
			return fmt.Errorf("option %.80q: a quote is not closed", name)
		}
		if seen[name] {
			return fmt.Errorf("option %s is given twice", name)
		}
		seen[name] = true
		if err := s.setOption(name, value); err != nil {
			return err
		}
		if after == "" {
			break
		}
		var comma bool
		options, comma = strings.CutPrefix(after, ",")
		if !comma || options == "" {
			return fmt.Errorf("option %s: a comma and another option, or a blank, must follow", name)
		}
	}
	if !s.ValidAfter.IsZero() && !s.ValidBefore.IsZero() && !s.ValidAfter.Before(s.ValidBefore) {
		return fmt.Errorf("valid-after must be earlier than valid-before")
	}
	return nil
}

// setOption takes one option's value.
func (s *AllowedSigner) setOption(name, value string) (err error) {
	switch name {
	case "namespaces":
		for n := range strings.SplitSeq(value, ",") {
			if !isNamespace(n) {
				return fmt.Errorf("namespace %.80q: use a plain name, without patterns", n)
			}
			s.Namespaces = append(s.Namespaces, n)
		}
		return nil
	case "valid-after":
		s.ValidAfter, err = parseStamp(value)
	case "valid-before":
		s.ValidBefore, err = parseStamp(value)
	default:
		return fmt.Errorf(`option %.80q is not known: only namespaces, valid-after and valid-before are taken`, name)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// parseStamp reads YYYYMMDDZ, YYYYMMDDHHMMZ or YYYYMMDDHHMMSSZ.
func parseStamp(value string) (time.Time, error) {
	digits, utc := strings.CutSuffix(value, "Z")
	if !utc {
		return time.Time{}, fmt.Errorf("timestamp %.40q must end in Z: without it the verdict depends on the reader's time zone", value)
	}
	layouts := map[int]string{8: "20060102", 12: "200601021504", 14: "20060102150405"}
	t, err := time.Parse(layouts[len(digits)], digits)
	if err != nil || len(digits) == 0 || t.Unix() <= 0 {
		return time.Time{}, fmt.Errorf("timestamp %.40q is not YYYYMMDDZ, YYYYMMDDHHMMZ or YYYYMMDDHHMMSSZ after 1970", value)
	}
	return t, nil
}

// FormatAllowedSigners writes the file that ParseAllowedSigners reads back to
// the same value: one line a signer, in the order given.
func FormatAllowedSigners(signers []AllowedSigner) ([]byte, error) {
	var b bytes.Buffer
	for i, s := range signers {
		var options []string
		if len(s.Namespaces) != 0 {
			options = append(options, `namespaces="`+strings.Join(s.Namespaces, ",")+`"`)
		}
		if !s.ValidAfter.IsZero() {
			options = append(options, `valid-after="`+s.ValidAfter.UTC().Format("20060102150405")+`Z"`)
		}
		if !s.ValidBefore.IsZero() {
			options = append(options, `valid-before="`+s.ValidBefore.UTC().Format("20060102150405")+`Z"`)
		}
		line := strings.Join(s.Principals, ",")
		if len(options) != 0 {
			line += " " + strings.Join(options, ",")
		}
		line += " " + s.Key.AuthorizedKey()
		if s.Comment != "" {
			line += " " + s.Comment
		}
		back, err := ParseAllowedSigners([]byte(line + "\n"))
		if err != nil {
			return nil, fmt.Errorf("signer %d can't be written: %w", i+1, err)
		}
		if len(back) != 1 || !back[0].equal(s) {
			return nil, fmt.Errorf("signer %d can't be written: it would not read back the same (whole seconds, plain names, no empty key)", i+1)
		}
		b.WriteString(line + "\n")
	}
	return b.Bytes(), nil
}

// equal compares two lines by value.
func (s AllowedSigner) equal(o AllowedSigner) bool {
	return slices.Equal(s.Principals, o.Principals) && slices.Equal(s.Namespaces, o.Namespaces) &&
		s.ValidAfter.Equal(o.ValidAfter) && s.ValidBefore.Equal(o.ValidBefore) &&
		s.Key == o.Key && !s.Key.IsZero() && s.Comment == o.Comment
}
