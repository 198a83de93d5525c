package promotion

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"
)

// fill sets every field below a value to something that is not zero.
func fill(v reflect.Value, n *int) {
	*n++
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), n)
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			v.Set(reflect.ValueOf(time.Unix(int64(*n), 5e8).UTC()))
			return
		}
		for i := range v.NumField() {
			fill(v.Field(i), n)
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fill(v.Index(0), n)
		fill(v.Index(1), n)
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fill(key, n)
		fill(value, n)
		v.SetMapIndex(key, value)
	case reflect.String:
		v.SetString("s" + time.Duration(*n).String())
	case reflect.Bool:
		v.SetBool(true)
	default:
		v.SetInt(int64(*n))
	}
}

func filled() *Facts {
	f, n := &Facts{}, 0
	fill(reflect.ValueOf(f).Elem(), &n)
	return f
}

// TestKeptFactsAreWhole: whatever is a fact stands in the record that keeps it, or
// in the configuration: a field that is forgotten fails here.
func TestKeptFactsAreWhole(t *testing.T) {
	f := filled()
	c := f.Canonical()
	for kind, restores := range map[string]string{KindPromotion: "", KindRollback: "sha256:x"} {
		c.Kind = kind
		r := Record{
			Restores: restores, Base: RecordBase{Judged: c.Base}, Places: c.Places, Causers: c.Causers, Facts: c.Keep(),
			Artifact: &RecordArtifact{Name: c.Artifact.Name, Version: c.Artifact.Version, Digest: c.Artifact.Digest},
		}
		data, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		var read Record
		if err := json.Unmarshal(data, &read); err != nil {
			t.Fatal(err)
		}
		if got := read.Restore(c.Mode, c.Commits, c.Environment, c.Artifact.Image); !reflect.DeepEqual(got, &c) {
			t.Errorf("restored\n%+v\nkept\n%+v", got, &c)
		}
	}
	if (&Record{}).Restore(ModeMerge, CommitsRung, EnvironmentSpec{}, "") != nil {
		t.Error("facts that were not kept are restored")
	}
}

// TestCanonicalFacts: every instant is cut to whole seconds in UTC, and what was
// given stays as it was.
func TestCanonicalFacts(t *testing.T) {
	f, again := filled(), filled()
	c := f.Canonical()
	if !reflect.DeepEqual(f, again) {
		t.Error("the facts themselves were changed")
	}
	var look func(v reflect.Value, path string)
	instants := 0
	look = func(v reflect.Value, path string) {
		switch {
		case v.Type() == reflect.TypeFor[time.Time]():
			instants++
			if at := v.Interface().(time.Time); at.Nanosecond() != 0 || at.Location() != time.UTC || at.IsZero() {
				t.Errorf("%s is %s", path, at)
			}
		case v.Kind() == reflect.Pointer:
			look(v.Elem(), path)
		case v.Kind() == reflect.Struct:
			for i := range v.NumField() {
				look(v.Field(i), path+"."+v.Type().Field(i).Name)
			}
		case v.Kind() == reflect.Slice:
			for i := range v.Len() {
				look(v.Index(i), path)
			}
		}
	}
	look(reflect.ValueOf(c), "facts")
	if instants < 15 {
		t.Errorf("only %d instants were looked at", instants)
	}
	if soak := c.Predecessors[0].SoakEnds; soak.Before(f.Predecessors[0].SoakEnds) || soak.Sub(f.Predecessors[0].SoakEnds) >= time.Second {
		t.Errorf("a soak until %s ends at %s", f.Predecessors[0].SoakEnds, soak)
	}
	if twice := c.Canonical(); !reflect.DeepEqual(twice, c) || c.Digest() != twice.Digest() || c.Digest() == f.Digest() {
		t.Error("the canonical form has another canonical form")
	}
}

func TestDigestOf(t *testing.T) {
	// printf '{"a":"<&>"}' | sha256sum
	const want = "sha256:8658fe1f872cd0d087e206ab8fd59cbc9873d8a4d5701620f4d3d17b0f2fb388"
	if got := DigestOf(map[string]string{"a": "<&>"}); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if DigestOf(func() {}) != "" {
		t.Error("what can't be written has a digest")
	}
}
