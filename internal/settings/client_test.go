package settings

import (
	"strings"
	"testing"
)

func TestAClientReadsItsOwnSettingsAlone(t *testing.T) {
	dir := t.TempDir()
	token := write(t, dir, "token", "abc\n", 0o600)
	s, err := LoadClient([]string{
		"RUNG_URL=https://rung.example.com/", "RUNG_TOKEN_FILE=" + token,
		"RUNG_GITHUB_PRIVATE_KEY_FILE=" + dir + "/nobody-may-read-this", "RUNG_RESYNC=never", "RUNG_SIGNING_KEY=x", "RUNG_DATA=" + dir + "/data",
	})
	if err != nil || s.URL != "https://rung.example.com" || s.Token.Reveal() != "abc" {
		t.Errorf("%+v, %v", s, err)
	}
	for _, c := range []struct {
		name string
		env  []string
		want string
	}{
		{"a name that is none", []string{"RUNG_ULR=https://x"}, "did you mean RUNG_URL?"},
		{"no address", []string{"RUNG_URL=rung.example.com"}, "RUNG_URL: must be a web address"},
		{"a password in it", []string{"RUNG_URL=https://u:hunter2@rung.example.com"}, "RUNG_URL: must carry no user or password"},
		{"a token in the clear", []string{"RUNG_URL=http://rung.example.com", "RUNG_TOKEN=hunter2"}, "RUNG_URL: must be https where RUNG_TOKEN is set"},
		{"a token of two lines", []string{"RUNG_URL=https://rung.example.com", "RUNG_TOKEN=hunter2\nX: y"}, "RUNG_TOKEN: has a character"},
		{"an empty token", []string{"RUNG_URL=https://rung.example.com", "RUNG_TOKEN="}, "RUNG_TOKEN: is empty"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := LoadClient(c.env)
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
	for _, env := range [][]string{{"RUNG_URL=http://127.0.0.1:8080", "RUNG_TOKEN=x"}, {"RUNG_URL=http://rung.rung.svc:8080"}, {}} {
		if _, err := LoadClient(env); err != nil {
			t.Errorf("%q: %v", env, err)
		}
	}
}
