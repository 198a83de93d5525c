package upgrade

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestCorpusSchemasOnlyGrew: every field that an earlier version's published schema has
// is in today's, of the same type; what a reader could count on is still there, and what
// a writer could leave out can be left out.
func TestCorpusSchemasOnlyGrew(t *testing.T) {
	found, err := filepath.Glob(corpus + "/*/schemas/*.json")
	if err != nil || len(found) < 7 {
		t.Fatalf("there are %d schemas: %v", len(found), err)
	}
	for _, path := range found {
		name := filepath.Base(path)
		today := filepath.Join(root, "docs", name)
		if name == "api.schema.json" {
			today = filepath.Join(root, "internal", "api", "schema.json")
		}
		for _, why := range shrunk(readJSON(t, path), readJSON(t, today), "", name == "rung.schema.json") {
			t.Errorf("%s, since %s: %s", name, filepath.Base(filepath.Dir(filepath.Dir(path))), why)
		}
	}
}

// shrunk says what a later schema takes from an earlier one. input is true for what
// people write and rung reads.
func shrunk(was, now any, path string, input bool) []string {
	before, isMap := was.(map[string]any)
	after, _ := now.(map[string]any)
	if !isMap {
		return nil
	}
	var all []string
	say := func(format string, args ...any) { all = append(all, path+": "+fmt.Sprintf(format, args...)) }
	for key, value := range before {
		later, there := after[key]
		switch key {
		case "title", "description", "$schema", "$id", "examples", "pattern", "minimum", "maximum":
		case "properties", "$defs", "patternProperties":
			for name, inner := range value.(map[string]any) {
				held, _ := later.(map[string]any)
				if next, there := held[name]; there {
					all = append(all, shrunk(inner, next, path+"."+name, input)...)
				} else {
					say("%s is gone", name)
				}
			}
		case "items", "additionalProperties":
			all = append(all, shrunk(value, later, path+"[]", input)...)
		case "enum":
			if gone := without(value, later); there && len(gone) > 0 {
				say("the words %v are gone", gone)
			}
		case "required":
			if gone := without(value, later); !input && len(gone) > 0 {
				say("%v can be absent", gone)
			}
		case "oneOf", "anyOf", "allOf":
			if gone := without(value, later); len(gone) > 0 {
				say("%d of its forms are gone", len(gone))
			}
		default:
			if fmt.Sprint(value) != fmt.Sprint(later) {
				say("%s was %v and is %v", key, value, later)
			}
		}
	}
	if more := without(after["required"], before["required"]); input && len(more) > 0 {
		say("%v can't be left out", more)
	}
	return all
}

// without are the elements of one list that another lacks.
func without(list, other any) []string {
	elements := func(v any) []string {
		var all []string
		items, _ := v.([]any)
		for _, item := range items {
			all = append(all, fmt.Sprint(item))
		}
		return all
	}
	others := elements(other)
	return slices.DeleteFunc(elements(list), func(s string) bool { return slices.Contains(others, s) })
}

// TestASchemaThatShrankIsNoticed: the comparison can fail.
func TestASchemaThatShrankIsNoticed(t *testing.T) {
	const was = `{"type":"object","required":["a"],"properties":{"a":{"type":"string","enum":["x","y"]},"b":{"type":"array","items":{"type":"integer"}}},"$defs":{"c":{"type":"object","properties":{"d":{"$ref":"#/$defs/c"}}}}}`
	for change, says := range map[string][2]string{ // as an output, as an input
		`"d":{"$ref":"#/$defs/c"}|`:      {"d is gone", "d is gone"},
		`"x",|`:                          {"[x] are gone", "[x] are gone"},
		`integer|string`:                 {"type was integer", "type was integer"},
		`"required":["a"]|"required":[]`: {"[a] can be absent", ""},
		`["a"]|["a","b"]`:                {"", "[b] can't be left out"},
		`"b":|"e":{},"b":`:               {"", ""},
		`"y"]|"y","z"]`:                  {"", ""},
	} {
		from, to, _ := strings.Cut(change, "|")
		dir := t.TempDir()
		for name, text := range map[string]string{"was": was, "now": strings.Replace(was, from, to, 1)} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		for i, input := range []bool{false, true} {
			why := strings.Join(shrunk(readJSON(t, filepath.Join(dir, "was")), readJSON(t, filepath.Join(dir, "now")), "", input), "; ")
			if (why == "") != (says[i] == "") || !strings.Contains(why, says[i]) {
				t.Errorf("%s, input %t: %q, want %q", change, input, why, says[i])
			}
		}
	}
}
