package main

import (
	"slices"
	"strings"
	"testing"
)

// TestEveryCommandIsDescribed: documents and completion are made from the table, so
// that nothing in it may lack its words.
func TestEveryCommandIsDescribed(t *testing.T) {
	all, _, err := commandTable()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, c := range all {
		names = append(names, c.Name)
		if !strings.HasPrefix(c.Usage, "rung "+c.Name) || !strings.HasSuffix(c.Help, ".") {
			t.Errorf("%s: usage %q, help %q", c.Name, c.Usage, c.Help)
		}
		for _, p := range slices.Concat(c.Args, c.Flags) {
			if p.Help == "" || p.Name == "" {
				t.Errorf("%s: %q has no help", c.Name, p.Name)
			}
		}
	}
	for _, want := range []string{"serve", "keys rotate", "policy test", "audit"} {
		if !slices.Contains(names, want) {
			t.Errorf("no command %q among %q", want, names)
		}
	}
	audit := all[slices.Index(names, "audit")]
	i := slices.IndexFunc(audit.Flags, func(p parameter) bool { return p.Name == "output" })
	if i < 0 || audit.Flags[i].Short != "o" || !slices.Equal(audit.Flags[i].Enum, []string{"text", "json", "csv", "html"}) || audit.Flags[i].Default != "text" {
		t.Errorf("audit's flags are %+v", audit.Flags)
	}
	if len(audit.Args) != 2 || audit.Args[0].Name != "environment" || !audit.Args[0].Optional || audit.Args[0].Placeholder != "ENVIRONMENT" {
		t.Errorf("audit's arguments are %+v", audit.Args)
	}
}
