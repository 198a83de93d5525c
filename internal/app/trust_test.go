package app

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/rungbot/rung/internal/settings"
	"github.com/rungbot/rung/internal/sign"
)

// TestRootKeysByNameAndByValue: RUNG_ROOT_KEYS has keys and the files of keys.
func TestRootKeysByNameAndByValue(t *testing.T) {
	own, err := sign.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "rung-root")
	first, err := sign.WriteNewKey(file, "first")
	if err != nil {
		t.Fatal(err)
	}
	second, err := sign.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	for text, says := range map[string]string{
		file + ".pub, " + second.Public().AuthorizedKey() + " at home": "",
		file + ".not": "no such file",
		file:          "a public key is one line",
	} {
		a := &App{settings: settings.Settings{RootKeys: text}, key: own}
		err := a.openTrust()
		if says != "" {
			if err == nil || !strings.Contains(err.Error(), says) || !strings.HasPrefix(err.Error(), "RUNG_ROOT_KEYS: ") {
				t.Errorf("%s: %v", text, err)
			}
			continue
		}
		if err != nil || len(a.trust.Roots) != 2 || a.trust.Roots[0] != first || a.trust.Roots[1] != second.Public() {
			t.Errorf("%v, %v", a.trust.Roots, err)
		}
	}
}
