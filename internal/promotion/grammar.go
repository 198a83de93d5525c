package promotion

import (
	"fmt"
	"regexp"
	"strings"
)

var (
	nameGrammar    = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,40}$`)
	versionGrammar = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._+-]{0,127}$`)
	digestGrammar  = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)
	hashGrammar    = regexp.MustCompile(`^[0-9a-f]{40}$`)
)

// ParseEnvironment checks an environment's name.
func ParseEnvironment(s string) (Environment, error) {
	if !nameGrammar.MatchString(s) {
		return "", fmt.Errorf("%s is not an environment name: use 1 to 41 of a-z, 0-9 and -, not starting with -", quote(s))
	}
	return Environment(s), nil
}

// ParseArtifact checks an artifact's name.
func ParseArtifact(s string) (Artifact, error) {
	if !nameGrammar.MatchString(s) {
		return "", fmt.Errorf("%s is not an artifact name: use 1 to 41 of a-z, 0-9 and -, not starting with -", quote(s))
	}
	return Artifact(s), nil
}

// ParseVersion checks a version.
func ParseVersion(s string) (Version, error) {
	if !versionGrammar.MatchString(s) {
		return "", fmt.Errorf("%s is not a version: use 1 to 128 of A-Z, a-z, 0-9, '.', '_', '+' and '-', starting with a letter, a digit or '_'", quote(s))
	}
	return Version(s), nil
}

// ParseDigest checks a digest. Only sha256 is taken.
func ParseDigest(s string) (Digest, error) {
	if !digestGrammar.MatchString(s) {
		return "", fmt.Errorf("%s is not a digest: it must be sha256: and 64 lower-case hexadecimal digits", quote(s))
	}
	return Digest(s), nil
}

// ParseHash checks a git object id.
func ParseHash(s string) (Hash, error) {
	if !hashGrammar.MatchString(s) {
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
