package upgrade

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// meaning prints a value as lines "path = value", by the names that its fields have in
// JSON: all of it, also what is zero.
func meaning(v any) []string {
	var lines []string
	say(reflect.ValueOf(v), "", &lines)
	return lines
}

func say(v reflect.Value, path string, into *[]string) {
	tell := func(text string) { *into = append(*into, strings.TrimPrefix(path, ".")+" = "+text) }
	if d, ok := v.Interface().(time.Duration); ok {
		tell(d.String())
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			tell("nothing")
			return
		}
		say(v.Elem(), path, into)
	case reflect.Struct:
		for i := range v.NumField() {
			name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
			say(v.Field(i), path+"."+name, into)
		}
	case reflect.Slice:
		tell(fmt.Sprintf("%d items", v.Len()))
		for i := range v.Len() {
			say(v.Index(i), fmt.Sprintf("%s[%d]", path, i), into)
		}
	case reflect.Map:
		tell(fmt.Sprintf("%d items", v.Len()))
		keys := map[string]reflect.Value{}
		for _, key := range v.MapKeys() {
			keys[key.String()] = v.MapIndex(key)
		}
		for _, key := range slices.Sorted(maps.Keys(keys)) {
			say(keys[key], path+"."+key, into)
		}
	case reflect.String:
		tell(fmt.Sprintf("%q", v.String()))
	default:
		tell(fmt.Sprint(v.Interface()))
	}
}

// zero reports whether a line says nothing: what a field is that a file does not have.
func zero(line string) bool {
	_, value, _ := strings.Cut(line, " = ")
	return slices.Contains([]string{`""`, "0", "0s", "false", "nothing", "0 items"}, value)
}

// TestTheMeaningShowsEachDifference: the comparison can fail.
func TestTheMeaningShowsEachDifference(t *testing.T) {
	type inner struct {
		Soak time.Duration `json:"soak"`
	}
	type outer struct {
		Name string           `json:"name"`
		List []inner          `json:"list"`
		By   map[string]inner `json:"by"`
		Auto bool             `json:"auto"`
	}
	was := outer{Name: "a", List: []inner{{time.Minute}}, By: map[string]inner{"x": {}}}
	for name, c := range map[string]struct {
		now  outer
		want int
	}{
		"the same":        {was, 0},
		"a name":          {outer{Name: "b", List: was.List, By: was.By}, 2},
		"a time":          {outer{Name: "a", List: []inner{{time.Hour}}, By: was.By}, 2},
		"one more":        {outer{Name: "a", List: []inner{{time.Minute}, {}}, By: was.By}, 2},
		"one less":        {outer{Name: "a", By: was.By}, 2},
		"another key":     {outer{Name: "a", List: was.List, By: map[string]inner{"y": {}}}, 1},
		"no longer false": {outer{Name: "a", List: was.List, By: was.By, Auto: true}, 2},
	} {
		if got := differences(meaning(was), meaning(c.now)); len(got) != c.want {
			t.Errorf("%s: %q, want %d", name, got, c.want)
		}
	}
	lines := meaning(was)
	if got := differences(lines, append(slices.Clone(lines), "more = 0")); len(got) != 0 {
		t.Errorf("a new field that is zero: %q", got)
	}
	if got := differences(lines, append(slices.Clone(lines), "more = 1")); len(got) != 1 {
		t.Errorf("a new field that is not zero: %q", got)
	}
}
