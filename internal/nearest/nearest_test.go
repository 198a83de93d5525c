package nearest

import (
	"strings"
	"testing"
)

func TestTheNearestKnownNameIsFound(t *testing.T) {
	known := []string{"after", "approvals", "artifacts", "defaults", "mode", "on"}
	for _, c := range []struct{ name, in, want string }{
		{"a letter left out", "artifcts", "artifacts"},
		{"two letters swapped", "atfer", "after"},
		{"another case", "Mode", "mode"},
		{"a plural", "modes", "mode"},
		{"not itself", "mode", ""},
		{"the first by name of two that are as near", "moe", "mode"},
		{"more than a third differs", "approval-rule", ""},
		{"a short name needs all its letters but one", "in", "on"},
		{"nothing in common", "zz", ""},
		{"nothing at all", "", ""},
		{"long beyond sense", strings.Repeat("after", 50), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := Name(c.in, known); got != c.want {
				t.Errorf("%q for %q, want %q", got, c.in, c.want)
			}
		})
	}
}

func TestNearestIsPutIntoASentence(t *testing.T) {
	if got, want := DidYouMean("mdoe", []string{"mode"}), `; did you mean "mode"?`; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got := DidYouMean("colour", []string{"mode"}); got != "" {
		t.Errorf("%q for a name that is near nothing", got)
	}
}
