package promotion

import (
	"fmt"
	"strings"
)

// isName reports whether s is [a-z0-9][a-z0-9-]{0,40}. The grammars here are
// loops and no regular expressions because an auditor checks millions of words.
func isName(s string) bool {
	if s == "" || len(s) > 41 || s[0] == '-' {
		return false
	}
	for i := range len(s) {
		if c := s[i]; !isLower(c) && !isDigit(c) && c != '-' {
			return false
		}
	}
	return true
}

// isVersion reports whether s is [A-Za-z0-9_][A-Za-z0-9._+-]{0,127}.
func isVersion(s string) bool {
	if s == "" || len(s) > 128 || strings.IndexByte(".+-", s[0]) >= 0 {
		return false
	}
	for i := range len(s) {
		if c := s[i]; !isLower(c) && !isDigit(c) && (c < 'A' || c > 'Z') && strings.IndexByte("._+-", c) < 0 {
			return false
		}
	}
	return true
}

// isHex reports whether s is so many lower-case hexadecimal digits.
func isHex(s string, digits int) bool {
	if len(s) != digits {
		return false
	}
	for i := range len(s) {
		if c := s[i]; !isDigit(c) && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

func isLower(c byte) bool { return c >= 'a' && c <= 'z' }
func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// ParseEnvironment checks an environment's name.
func ParseEnvironment(s string) (Environment, error) {
	if !isName(s) {
		return "", fmt.Errorf("%s is not an environment name: use 1 to 41 of a-z, 0-9 and -, not starting with -", quote(s))
	}
	return Environment(s), nil
}

// ParseArtifact checks an artifact's name.
func ParseArtifact(s string) (Artifact, error) {
	if !isName(s) {
		return "", fmt.Errorf("%s is not an artifact name: use 1 to 41 of a-z, 0-9 and -, not starting with -", quote(s))
	}
	return Artifact(s), nil
}

// ParseVersion checks a version.
func ParseVersion(s string) (Version, error) {
	if !isVersion(s) {
		return "", fmt.Errorf("%s is not a version: use 1 to 128 of A-Z, a-z, 0-9, '.', '_', '+' and '-', starting with a letter, a digit or '_'", quote(s))
	}
	return Version(s), nil
}

// ParseDigest checks a digest. Only sha256 is taken.
func ParseDigest(s string) (Digest, error) {
	if hex, ok := strings.CutPrefix(s, "sha256:"); !ok || !isHex(hex, 64) {
		return "", fmt.Errorf("%s is not a digest: it must be sha256: and 64 lower-case hexadecimal digits", quote(s))
	}
	return Digest(s), nil
}

// ParseHash checks a git object id.
func ParseHash(s string) (Hash, error) {
	if !isHex(s, 40) {
		return "", fmt.Errorf("%s is not a git object id: it must be 40 lower-case hexadecimal digits", quote(s))
	}
	return Hash(s), nil
}

// quote shows an outside string in an error: quoted, control characters
// escaped, cut at 80 bytes.
func quote(s string) string {
	if len(s) > 80 {
		s = strings.ToValidUTF8(s[:80], "") + "…"
	}
	return fmt.Sprintf("%q", s)
}
