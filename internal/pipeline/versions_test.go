package pipeline

import (
	"slices"
	"strings"
	"testing"

	"github.com/rungbot/rung/internal/promotion"
	"pgregory.net/rapid"
)

func TestVersionMatches(t *testing.T) {
	tests := []struct {
		name string
		rule promotion.VersionRule
		yes  []promotion.Version
		no   []promotion.Version
	}{
		{
			"every release",
			promotion.VersionRule{},
			[]promotion.Version{"1.0.0", "v1.2.3", "0.0.1", "1.0.0+build.7"},
			[]promotion.Version{"1.0.0-rc.1", "1.4", "1", "latest", "main-42", "", "1.0.0 ", "1.0.0\n", "vv1.0.0", "01.0.0", "99999999999999999999999.0.0", "-1.0.0"},
		},
		{
			"range",
			promotion.VersionRule{Range: ">=1.2.0 <2"},
			[]promotion.Version{"1.2.0", "1.99.0", "v1.3.0"},
			[]promotion.Version{"1.1.9", "2.0.0", "1.5.0-rc.1", "1.5", "x"},
		},
		{
			"range with pre-releases",
			promotion.VersionRule{Range: ">=1.0.0-0"},
			[]promotion.Version{"1.0.0-rc.1", "1.0.0", "2.0.0-beta"},
			[]promotion.Version{"0.9.0"},
		},
		{
			"alternatives",
			promotion.VersionRule{Range: "~1.4 || ^3"},
			[]promotion.Version{"1.4.9", "3.9.0"},
			[]promotion.Version{"1.5.0", "2.0.0", "4.0.0"},
		},
		{
			"numeric",
			promotion.VersionRule{Regex: "main-([0-9]+)-[0-9a-f]{7}", Order: "numeric"},
			[]promotion.Version{"main-1-abcdef0", "main-99999999999999999999999999-abcdef0"},
			[]promotion.Version{"main-1-abcdef0-dirty", "xmain-1-abcdef0", "main--abcdef0"},
		},
		{
			"numeric group without digits",
			promotion.VersionRule{Regex: "main-([a-z0-9]*)", Order: "numeric"},
			[]promotion.Version{"main-7"},
			[]promotion.Version{"main-x7", "main-"},
		},
		{
			"lexical",
			promotion.VersionRule{Regex: `[0-9]{4}-[0-9]{2}-[0-9]{2}`, Order: "lexical"},
			[]promotion.Version{"2024-01-31"},
			[]promotion.Version{"2024-1-31", "2024-01-31-2"},
		},
		{
			"regex in semver order",
			promotion.VersionRule{Regex: `release-(.*)`},
			[]promotion.Version{"release-1.2.3", "release-v1.2.3-rc.1"},
			[]promotion.Version{"release-1.2", "1.2.3"},
		},
		{"alternation stays inside", promotion.VersionRule{Regex: "a|b"}, nil, []promotion.Version{"ab", "xa", "bx"}},
		{"what a faulty file gets", noVersion, nil, []promotion.Version{"1.0.0", "", "a", "latest"}},
		{"a faulty rule", promotion.VersionRule{Range: "what"}, nil, []promotion.Version{"1.0.0"}},
		{"a faulty order", promotion.VersionRule{Order: "newest"}, nil, []promotion.Version{"1.0.0"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, v := range tt.yes {
				if !Matches(tt.rule, v) {
					t.Errorf("%q does not match", v)
				}
			}
			for _, v := range tt.no {
				if Matches(tt.rule, v) {
					t.Errorf("%q matches", v)
				}
			}
		})
	}
	var zero Versions
	if zero.Matches("1.0.0") {
		t.Error("the zero Versions matches")
	}
	if _, err := CompileVersions(noVersion); err != nil {
		t.Errorf("noVersion does not compile: %v", err)
	}
}

func TestVersionOrder(t *testing.T) {
	tests := []struct {
		name   string
		rule   promotion.VersionRule
		sorted []promotion.Version // oldest first
		newest promotion.Version
	}{
		{"semver", promotion.VersionRule{}, []promotion.Version{"latest", "x", "0.9.0", "1.0.0-rc.2", "1.0.0-rc.10", "1.0.0", "v1.0.0", "1.2.0", "1.10.0", "2.0.0-beta"}, "1.10.0"},
		{"semver, range", promotion.VersionRule{Range: "<1.5.0"}, []promotion.Version{"1.4.0", "1.4.9", "1.5.0"}, "1.4.9"},
		{"build metadata by text", promotion.VersionRule{}, []promotion.Version{"1.0.0", "1.0.0+a", "1.0.0+b"}, "1.0.0+b"},
		{"numeric", promotion.VersionRule{Regex: "main-([0-9]+)", Order: "numeric"}, []promotion.Version{"v9.0.0", "main-007", "main-7", "main-10", "main-99999999999999999999"}, "main-99999999999999999999"},
		{"lexical", promotion.VersionRule{Regex: "[a-z]-(.+)", Order: "lexical"}, []promotion.Version{"b-10", "a-9", "b-9"}, "b-9"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := slices.Clone(tt.sorted)
			slices.Reverse(got)
			Sort(tt.rule, got)
			if !slices.Equal(got, tt.sorted) {
				t.Errorf("sorted: %v, want %v", got, tt.sorted)
			}
			if newest, ok := Newest(tt.rule, got); !ok || newest != tt.newest {
				t.Errorf("newest: %v %v, want %v", newest, ok, tt.newest)
			}
			for i, a := range tt.sorted {
				for j, b := range tt.sorted {
					if got, want := Compare(tt.rule, a, b), i-j; (got < 0) != (want < 0) || (got > 0) != (want > 0) {
						t.Errorf("Compare(%q, %q) = %d", a, b, got)
					}
				}
			}
		})
	}
	if v, ok := Newest(promotion.VersionRule{Range: ">9"}, []promotion.Version{"1.0.0"}); ok {
		t.Errorf("newest of none is %q", v)
	}
}

// TestCompareIsATotalOrder draws versions near each other and checks the laws
// of an order.
func TestCompareIsATotalOrder(t *testing.T) {
	version := rapid.Custom(func(t *rapid.T) promotion.Version {
		return promotion.Version(rapid.StringMatching(`(v|main-|)[0-2]{1,2}(\.[0-2]){0,2}(-rc\.[0-2]|)(\+[ab]|)`).Draw(t, "version"))
	})
	rules := []promotion.VersionRule{{}, {Range: ">=1"}, {Regex: "main-([0-9]+).*", Order: "numeric"}, {Regex: "(.*)", Order: "lexical"}, {Regex: "main-(.*)"}, noVersion}
	rapid.Check(t, func(t *rapid.T) {
		v, err := CompileVersions(rapid.SampledFrom(rules).Draw(t, "rule"))
		if err != nil {
			t.Fatal(err)
		}
		a, b, c := version.Draw(t, "a"), version.Draw(t, "b"), version.Draw(t, "c")
		if (v.Compare(a, b) == 0) != (a == b) || v.Compare(a, b) != -v.Compare(b, a) {
			t.Fatalf("not antisymmetric: %q %q", a, b)
		}
		if v.Compare(a, b) <= 0 && v.Compare(b, c) <= 0 && v.Compare(a, c) > 0 {
			t.Fatalf("not transitive: %q %q %q", a, b, c)
		}
	})
}

func FuzzCompileVersions(f *testing.F) {
	f.Add(">=1.0.0", "", "", "1.0.0")
	f.Add("", "main-([0-9]+)", "numeric", "main-1")
	f.Add("", "(((", "semver", "v1")
	f.Add("|| ,", "", "", "1.0.0-rc.1+x")
	f.Fuzz(func(t *testing.T, rng, regex, order, version string) {
		rule := promotion.VersionRule{Range: rng, Regex: regex, Order: order}
		v, err := CompileVersions(rule)
		if err != nil {
			if strings.ContainsAny(err.Error(), "\n\r") {
				t.Errorf("the error breaks the line: %q", err)
			}
			return
		}
		if v.Matches(promotion.Version(version)) {
			if _, err := promotion.ParseVersion(version); err != nil {
				t.Errorf("%q matches and is no version", version)
			}
		}
		if v.Compare(promotion.Version(version), promotion.Version(version)) != 0 {
			t.Errorf("%q is not equal to itself", version)
		}
	})
}
