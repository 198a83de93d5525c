package disguise

import (
	"fmt"
	"slices"
	"testing"

	"github.com/rungbot/rung/internal/promotion"
)

func TestMode(t *testing.T) {
	const file, tree = 0o100644, 0o040000
	for _, c := range []struct {
		before, after uint32
		want          string
	}{
		{0, file, ""},
		{file, file, ""},
		{modeExecutable, file, ""},
		{modeSymlink, file, ""},
		{file, 0, ""},
		{0, tree, ""},
		{0, modeSymlink, "a symbolic link"},
		{file, modeSymlink, "a symbolic link"},
		{modeSymlink, modeSymlink, ""},
		{0, modeGitlink, "a submodule"},
		{modeGitlink, modeGitlink, ""},
		{0, modeExecutable, Executable},
		{file, modeExecutable, Executable},
		{modeExecutable, modeExecutable, ""},
	} {
		if got := Mode(c.before, c.after); got != c.want {
			t.Errorf("%o to %o is %q, want %q", c.before, c.after, got, c.want)
		}
	}
}

func TestNear(t *testing.T) {
	p := &promotion.Pipeline{Environments: []promotion.EnvironmentSpec{{Path: "environments/prod"}, {Paths: []string{"apps/*/Prod", "values.yaml"}}}}
	for path, want := range map[string]bool{
		"environments/prod/a.yaml": true, "Environments/PROD/a.yaml": true, "environments": true, "environments./prod/x": true, "environments/prod2/a.yaml": false,
		"apps/x/prod/a.yaml": true, "apps/x/dev/a.yaml": false, "Values.yaml": true, "docs/latest": false,
	} {
		if got := Near(path, p); got != want {
			t.Errorf("%s: %t", path, got)
		}
	}
}

func TestTwins(t *testing.T) {
	for _, c := range []struct {
		dir          string
		names, added []string
		want         [][2]string
	}{
		{"a", []string{"K.yaml", "k.yaml"}, []string{"a/k.yaml"}, [][2]string{{"a/K.yaml", "a/k.yaml"}}},
		{"a", []string{"K.yaml", "k.yaml"}, []string{"a/K.yaml"}, [][2]string{{"a/K.yaml", "a/k.yaml"}}},
		{"a", []string{"K.yaml", "k.yaml", "other"}, []string{"a/other", "a/k.yaml2"}, nil},
		{"", []string{"Prod", "prod"}, []string{"Prod/x/y.yaml"}, [][2]string{{"Prod", "prod"}}},
		{"", []string{"caf\u00e9", "cafe\u0301", "dev", "dev."}, []string{"cafe\u0301", "dev./x"}, [][2]string{{"caf\u00e9", "cafe\u0301"}, {"dev", "dev."}}},
		{"", []string{"a.b", "a-b", "a b"}, []string{"a.b"}, nil},
	} {
		if got := Twins(c.dir, c.names, c.added); fmt.Sprint(got) != fmt.Sprint(c.want) {
			t.Errorf("%q in %q: %q, want %q", c.names, c.dir, got, c.want)
		}
	}
}

func TestDirectories(t *testing.T) {
	if got, want := Directories([]string{"a/b/c", "a/d", "e"}), []string{"", "a", "a/b"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := Directories(nil); len(got) != 0 {
		t.Errorf("%q above nothing", got)
	}
}
