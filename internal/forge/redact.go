package forge

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/rungbot/rung/internal/lazyregexp"
)

var secrets = lazyregexp.New(`gh[a-z]_[A-Za-z0-9_]{4,}|github_pat_[A-Za-z0-9_]+|v1\.[0-9a-f]{40}|eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)?|(?i:(?:bearer|token|basic) +)[A-Za-z0-9_.~+/=-]{8,}`)

var userinfo = lazyregexp.New(`://[^/\s@]+@`)

// redact takes what looks like a token, an authorisation header or the user
// part of a URL out of a text.
func redact(s string) string {
	s = userinfo.ReplaceAllString(s, "://REDACTED@")
	return secrets.ReplaceAllString(s, "REDACTED")
}

// cut shortens s to at most limit bytes, at a character's boundary.
func cut(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	for limit > 0 && !utf8.RuneStart(s[limit]) {
		limit--
	}
	return s[:limit]
}

// cutRunes shortens s to at most limit characters.
func cutRunes(s string, limit int) string {
	if utf8.RuneCountInString(s) <= limit {
		return s
	}
	return string([]rune(s)[:limit])
}

// oneLine makes runs of white space and control characters one space.
func oneLine(s string) string {
	return strings.Join(strings.FieldsFunc(s, func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsControl(r)
	}), " ")
}
