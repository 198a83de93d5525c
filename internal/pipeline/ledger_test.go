package pipeline

import (
	"bytes"
	"strings"
	"testing"

	"github.com/rungbot/rung/internal/promotion"
)

const ledgerID = promotion.Hash("1f2e3d4c5b6a79880123456789abcdef01234567")

func TestInsertLedger(t *testing.T) {
	const line = "ledger: " + string(ledgerID)
	tests := []struct {
		name, before, after string
		err                 string
	}{
		{"after mode", "# top\nversion: 1\nmode: merge  # why\n\nartifacts: {}\n", "# top\nversion: 1\nmode: merge  # why\n" + line + "\n\nartifacts: {}\n", ""},
		{"after version", "version: 1 # one\nartifacts: {}\n", "version: 1 # one\n" + line + "\nartifacts: {}\n", ""},
		{"at the end of the file", "version: 1\nmode: 'merge'", "version: 1\nmode: 'merge'\n" + line, ""},
		{"Windows line ends", "version: 1\r\nmode: merge\r\nartifacts: {}\r\n", "version: 1\r\nmode: merge\r\n" + line + "\r\nartifacts: {}\r\n", ""},
		{"indented", "  version: 1\n  mode: merge\n", "  version: 1\n  mode: merge\n  " + line + "\n", ""},
		{"document start", "---\nversion: 1\n...\n", "---\nversion: 1\n" + line + "\n...\n", ""},
		{"byte order mark", "\ufeffversion: 1\n", "\ufeffversion: 1\n" + line + "\n", ""},
		{"mode in a nested mapping only", "version: 1\nx:\n  mode: merge\n", "version: 1\n" + line + "\nx:\n  mode: merge\n", ""},
		{"mode over two lines", "version: 1\nmode: >-\n  merge\n", "version: 1\n" + line + "\nmode: >-\n  merge\n", ""},
		{"mode continued", "mode: mer\n  ge\nversion: 1\n", "mode: mer\n  ge\nversion: 1\n" + line + "\n", ""},
		{"only a continued mode", "mode: mer\n  ge\n", "", "by hand"},
		{"there already", "version: 1\nledger: \"" + string(ledgerID) + "\" # first\n", "version: 1\nledger: \"" + string(ledgerID) + "\" # first\n", ""},
		{"another ledger", "version: 1\nledger: " + strings.Repeat("0", 40) + "\n", "", "rung.yaml:2: it names another ledger"},
		{"flow", "{version: 1, mode: merge}\n", "", "by hand"},
		{"no mapping", "- a\n", "", "must be a mapping"},
		{"no YAML", "version: [\n", "", "rung.yaml:"},
		{"empty", "", "", "empty"},
		{"no version", "artifacts: {}\n", "", "by hand"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			before := []byte(tt.before)
			got, err := InsertLedger(before, ledgerID)
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Fatalf("got %q, %v, want the error …%s…", got, err, tt.err)
				}
				return
			}
			if err != nil || string(got) != tt.after {
				t.Errorf("got %q, %v\nwant %q", got, err, tt.after)
			}
			if string(before) != tt.before {
				t.Error("the input was changed")
			}
			if again, err := InsertLedger(got, ledgerID); err != nil || !bytes.Equal(again, got) {
				t.Errorf("a second time: %q, %v", again, err)
			}
		})
	}
	if _, err := InsertLedger([]byte("version: 1\n"), "x\ninjected: true"); err == nil {
		t.Error("an id that is none was inserted")
	}
}

// FuzzInsertLedger checks that an edit is one line more and nothing else.
func FuzzInsertLedger(f *testing.F) {
	for _, seed := range []string{full, "version: 1\r\nmode: x", "{version: 1}", "version: 1 # \xff", "? version\n: 1\n", "mode: 'a\n  b'\n", "version: &a 1\nmode: *a\n", "version: 1\n---\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := InsertLedger(data, ledgerID)
		if err != nil || bytes.Equal(got, data) {
			return
		}
		line := []byte("ledger: " + string(ledgerID))
		at := bytes.Index(got, line)
		if at < 0 || len(got)-len(data) < len(line)+1 {
			t.Fatalf("%q became %q", data, got)
		}
		if !bytes.HasPrefix(data, bytes.TrimRight(got[:at], " \r\n")) || !bytes.HasSuffix(data, bytes.TrimLeft(got[at+len(line):], "\r\n")) {
			t.Errorf("%q became %q", data, got)
		}
	})
}
