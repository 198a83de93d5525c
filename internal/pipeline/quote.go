package pipeline

import (
	"fmt"
	"strings"
)

// quote shows an outside string in a problem: quoted, control characters
// escaped, cut at 80 bytes.
func quote(s string) string {
	if len(s) > 80 {
		s = strings.ToValidUTF8(s[:80], "") + "…"
	}
	return fmt.Sprintf("%q", s)
}
