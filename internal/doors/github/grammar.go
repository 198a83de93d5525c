package github

import (
	"fmt"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/rungbot/rung/internal/lazyregexp"
	"github.com/rungbot/rung/internal/promotion"
)

var (
	guidGrammar  = lazyregexp.New(`^[A-Za-z0-9-]{1,64}$`)
	eventGrammar = lazyregexp.New(`^[a-z0-9_]{1,64}$`)
	// Logins of managed users carry an underscore and their company's code.
	loginGrammar      = lazyregexp.New(`^[A-Za-z0-9][A-Za-z0-9_-]{0,38}(\[bot\])?$`)
	fullNameGrammar   = lazyregexp.New(`^([A-Za-z0-9][A-Za-z0-9_-]{0,38})/([A-Za-z0-9._-]{1,100})$`)
	identifierGrammar = lazyregexp.New(`^[A-Za-z0-9_.:-]{1,20}$`)
	imageGrammar      = lazyregexp.New(`^[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)+$`)
)

// maxImage is the longest image name, in bytes.
const maxImage = 200

// text reports whether s is UTF-8 of at most limit bytes without control
// characters, and not empty.
func text(s string, limit int) bool {
	return s != "" && len(s) <= limit && utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl)
}

// textOr returns s if it is text, else "".
func textOr(s string, limit int) string {
	if !text(s, limit) {
		return ""
	}
	return s
}

// branch reports whether s can be a branch's name: git's rules for a ref, and
// 200 bytes.
func branch(s string) bool {
	if !text(s, 200) || strings.ContainsAny(s, " ~^:?*[\\") || strings.Contains(s, "..") || strings.Contains(s, "@{") || strings.Contains(s, "//") {
		return false
	}
	for _, part := range strings.Split(s, "/") {
		if strings.HasPrefix(part, ".") || strings.HasSuffix(part, ".lock") {
			return false
		}
	}
	return s[0] != '/' && s[0] != '-' && !strings.HasSuffix(s, "/") && !strings.HasSuffix(s, ".")
}

// parseImage checks an OCI repository: a registry's host and a path, lower
// case, without tag or digest.
func parseImage(s string) (string, error) {
	host, _, _ := strings.Cut(s, "/")
	if len(s) > maxImage || !imageGrammar.MatchString(s) || !strings.ContainsAny(host, ".:") && host != "localhost" {
		return "", fmt.Errorf("%s is not an image: it must be a registry's host and a path in lower case, without tag or digest, such as ghcr.io/acme/checkout", quote(s))
	}
	return s, nil
}

// parseFullName checks "owner/name" and takes it apart.
func parseFullName(s string) (owner, name string, ok bool) {
	m := fullNameGrammar.FindStringSubmatch(s)
	if m == nil || m[2] == "." || m[2] == ".." {
		return "", "", false
	}
	return m[1], m[2], true
}

// webAddress returns s if it is a plain http or https address, else "".
func webAddress(s string) string {
	if !text(s, 500) {
		return ""
	}
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return ""
	}
	return strings.TrimSuffix(s, "/")
}

// hash checks an object id; the all-zero one, and none where it may be
// missing, is "".
func hash(s, field string, optional bool) (promotion.Hash, error) {
	if s == "" && optional {
		return "", nil
	}
	h, err := promotion.ParseHash(s)
	if err != nil {
		return "", malformed("%s is not a git object id", field)
	}
	if h.Zero() {
		return "", nil
	}
	return h, nil
}

// quote shows an outside string in a sentence: quoted, control characters
// escaped, cut at 80 bytes.
func quote(s string) string {
	if len(s) > 80 {
		s = strings.ToValidUTF8(s[:80], "") + "…"
	}
	return fmt.Sprintf("%q", s)
}
