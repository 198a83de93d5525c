package promotion

import "testing"

func TestHoldsAndNear(t *testing.T) {
	dir := EnvironmentSpec{Path: "environments/dev"}
	many := EnvironmentSpec{Paths: []string{"apps/*/overlays/dev", "values/dev.yaml"}}
	nothing := EnvironmentSpec{}
	for _, c := range []struct {
		env         *EnvironmentSpec
		path        string
		holds, near bool
	}{
		{&dir, "environments/dev/a.yaml", true, true},
		{&dir, "environments/dev", true, true},
		{&dir, "environments", false, true},
		{&dir, "environments/dev2/a.yaml", false, false},
		{&dir, "environments/*/a.yaml", false, false},
		{&dir, "environment", false, false},
		{&many, "apps/checkout/overlays/dev/x/y.yaml", true, true},
		{&many, "apps/*/overlays/dev/x.yaml", true, true},
		{&many, "apps/checkout/*/dev/x.yaml", false, false},
		{&many, "apps/checkout", false, true},
		{&many, "apps/checkout/base/x.yaml", false, false},
		{&many, "values/dev.yaml", true, true},
		{&many, "values/prod.yaml", false, false},
		{&many, "values", false, true},
		{&nothing, "a", false, false},
		{&nothing, "", false, false},
	} {
		if got := c.env.Holds(c.path); got != c.holds {
			t.Errorf("%v holds %s: %v", c.env.patterns(), c.path, got)
		}
		if got := c.env.Near(c.path); got != c.near {
			t.Errorf("%v near %s: %v", c.env.patterns(), c.path, got)
		}
	}
}

func TestOverlaps(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"a/b", "a/b", true},
		{"a", "a/b", true},
		{"a/b", "a/bc", false},
		{"a/*/dev", "a/x/dev", true},
		{"a/*/dev", "a/dev", true}, // a/dev/dev
		{"a/*/dev/x", "a/b/prod", false},
		{"a/*/dev", "a/prod/*/x", true},
		{"a/*/dev", "a/*/prod", false},
		{"a/*/dev", "b/*/dev", false},
	} {
		if Overlaps(c.a, c.b) != c.want || Overlaps(c.b, c.a) != c.want {
			t.Errorf("%s and %s overlap: want %v", c.a, c.b, c.want)
		}
	}
}
