package settings

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
)

// newKey makes a PEM key of a kind; its content is random, only the outside
// matters here.
func newKey(t *testing.T, kind string) string {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

// write makes a file of a mode in dir and returns its path.
func write(t *testing.T, dir, name, text string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
	return path
}

const webhookSecret = "0123456789abcdef-webhook"

func TestDefaults(t *testing.T) {
	s, err := Load([]string{"PATH=/bin", "HOME", "RUNGS=ignored"})
	if err != nil {
		t.Fatal(err)
	}
	want := Settings{
		Listen: ":8080", Data: "/var/lib/rung", GitHubURL: "https://github.com", LogLevel: "info", LogFormat: "auto",
		WebhookMaxBytes: 25 << 20, Resync: 10 * time.Minute, Coalesce: 10 * time.Second, MergeFence: 30 * time.Second,
	}
	if fmt.Sprintf("%+v", s) != fmt.Sprintf("%+v", want) {
		t.Errorf("got %+v\nwant %+v", s, want)
	}
}

func TestEverySetting(t *testing.T) {
	dir, data := t.TempDir(), t.TempDir()
	appKey, signingKey := newKey(t, "RSA PRIVATE KEY"), newKey(t, "OPENSSH PRIVATE KEY")
	s, err := Load([]string{
		"RUNG_LISTEN=127.0.0.1:0",
		"RUNG_DATA=" + data,
		"RUNG_BOARD_URL=https://rung.acme.example/",
		"RUNG_GITHUB_URL=https://github.acme.example/",
		"RUNG_GITHUB_APP_ID=42",
		"RUNG_GITHUB_PRIVATE_KEY=" + strings.ReplaceAll(strings.TrimSpace(appKey), "\n", `\n`),
		"RUNG_GITHUB_WEBHOOK_SECRETS_FILE=" + write(t, dir, "secrets", webhookSecret+"-new\n"+webhookSecret+"-old\n", 0o600),
		"RUNG_SIGNING_KEY_FILE=" + write(t, dir, "release", signingKey, 0o400),
		"RUNG_REGISTRY_HOST=ghcr.io",
		"RUNG_REGISTRY_USERNAME=bot",
		"RUNG_REGISTRY_PASSWORD_FILE=" + write(t, dir, "password", " pass word \r\n", 0o600),
		"RUNG_REGISTRY_INSECURE=true",
		"RUNG_LOG_LEVEL=debug",
		"RUNG_LOG_FORMAT=json",
		"RUNG_WEBHOOK_MAX_BYTES=4096",
		"RUNG_RESYNC=1m",
		"RUNG_COALESCE=0s",
		"RUNG_MERGE_FENCE=5s",
	})
	if err != nil {
		t.Fatal(err)
	}
	if s.Listen != "127.0.0.1:0" || s.Data != data || s.BoardURL != "https://rung.acme.example" || s.GitHubURL != "https://github.acme.example" ||
		s.GitHubAppID != 42 || s.RegistryHost != "ghcr.io" || s.RegistryUsername != "bot" || !s.RegistryInsecure || s.LogLevel != "debug" || s.LogFormat != "json" ||
		s.WebhookMaxBytes != 4096 || s.Resync != time.Minute || s.Coalesce != 0 || s.MergeFence != 5*time.Second {
		t.Errorf("got %+v", s)
	}
	for name, got := range map[string][2]string{
		"private key": {s.GitHubPrivateKey.Reveal(), appKey}, "signing key": {s.SigningKey.Reveal(), signingKey}, "password": {s.RegistryPassword.Reveal(), " pass word "},
	} {
		if got[0] != got[1] {
			t.Errorf("the %s is not what was given", name)
		}
	}
	if len(s.GitHubWebhookSecrets) != 2 || s.GitHubWebhookSecrets[0].Reveal() != webhookSecret+"-new" || s.GitHubWebhookSecrets[1].Reveal() != webhookSecret+"-old" {
		t.Errorf("webhook secrets: %v", s.GitHubWebhookSecrets)
	}
	if err := s.CheckServe(); err != nil {
		t.Errorf("serve refuses: %v", err)
	}
}

func TestProblems(t *testing.T) {
	dir, data := t.TempDir(), t.TempDir()
	rsa, ssh := newKey(t, "RSA PRIVATE KEY"), newKey(t, "OPENSSH PRIVATE KEY")
	link := filepath.Join(dir, "link")
	if err := os.Symlink(write(t, data, "key-in-data", ssh, 0o600), link); err != nil {
		t.Fatal(err)
	}
	dataLink := filepath.Join(dir, "data-link")
	if err := os.Symlink(data, dataLink); err != nil {
		t.Fatal(err)
	}
	public := func(mode os.FileMode) string { return write(t, dir, fmt.Sprintf("key-%04o", mode), ssh, mode) }
	tests := []struct {
		name    string
		environ []string
		want    []string // parts of the lines, in order
	}{
		{"unknown", []string{"RUNG_LISTENN=:1", "RUNG_X=1", "RUNG_SIGNING_KEYFILE=x"}, []string{
			"settings: RUNG_LISTENN: there is no such setting: did you mean RUNG_LISTEN?",
			"settings: RUNG_SIGNING_KEYFILE: there is no such setting: did you mean RUNG_SIGNING_KEY_FILE?",
			"settings: RUNG_X: there is no such setting: docs/settings.md lists those there are",
		}},
		{"hostile name", []string{"RUNG_\n\x1b[31m=1"}, []string{`settings: "RUNG_\n\x1b[31m": there is no such setting`}},
		{"file of a setting that is no secret", []string{"RUNG_LISTEN_FILE=x"}, []string{"RUNG_LISTEN_FILE: there is no such setting: RUNG_LISTEN is no secret and is not read from a file"}},
		{"database", []string{"RUNG_DATABASE_URL=postgres://u:hunter2@db/rung"}, []string{"RUNG_DATABASE_URL: PostgreSQL is not supported yet"}},
		{"listen", []string{"RUNG_LISTEN=8080"}, []string{`RUNG_LISTEN: must be host:port or :port, such as 127.0.0.1:8080, not "8080"`}},
		{"port", []string{"RUNG_LISTEN=:99999"}, []string{"RUNG_LISTEN"}},
		{"types", []string{"RUNG_RESYNC=10", "RUNG_GITHUB_APP_ID=acme", "RUNG_REGISTRY_INSECURE=maybe", "RUNG_WEBHOOK_MAX_BYTES=25MB"}, []string{
			`RUNG_GITHUB_APP_ID: must be a whole number, not "acme"`,
			`RUNG_REGISTRY_INSECURE: must be true or false, not "maybe"`,
			`RUNG_RESYNC: must be a duration such as 30s or 10m, not "10"`,
			`RUNG_WEBHOOK_MAX_BYTES: must be a whole number, not "25MB"`,
		}},
		{"a secret in the wrong variable", []string{"RUNG_GITHUB_APP_ID=" + rsa, "RUNG_LOG_LEVEL=0123456789abcdef0123456789abcdef"}, []string{
			"RUNG_GITHUB_APP_ID: must be a whole number, not what it is (", "RUNG_LOG_LEVEL: must be debug, info, warn, error, not what it is (32 bytes)",
		}},
		{"bounds", []string{"RUNG_RESYNC=1s", "RUNG_COALESCE=2m", "RUNG_MERGE_FENCE=31s", "RUNG_WEBHOOK_MAX_BYTES=10", "RUNG_LOG_FORMAT=xml", "RUNG_GITHUB_APP_ID=-1"}, []string{
			"RUNG_COALESCE: must lie between 0s and 1m0s, not 2m0s", "RUNG_GITHUB_APP_ID: must be the App's number",
			`RUNG_LOG_FORMAT: must be json, console, auto, not "xml"`, "RUNG_MERGE_FENCE: must lie between 1s and 30s, not 31s", "RUNG_RESYNC: must lie", "RUNG_WEBHOOK_MAX_BYTES: must lie",
		}},
		{"plain http", []string{"RUNG_GITHUB_URL=http://github.acme.example"}, []string{"RUNG_GITHUB_URL: must be https: plain http is taken on loopback only"}},
		{"http that looks like loopback", []string{"RUNG_GITHUB_URL=http://127.0.0.1.acme.example"}, []string{"RUNG_GITHUB_URL: must be https"}},
		{"address with a password", []string{"RUNG_GITHUB_URL=https://u:hunter2@github.com"}, []string{"RUNG_GITHUB_URL: must carry no user or password"}},
		{"no address", []string{"RUNG_GITHUB_URL=github.com", "RUNG_BOARD_URL=ftp://x"}, []string{"RUNG_BOARD_URL: must be a web address", "RUNG_GITHUB_URL: must be a web address"}},
		{"registry without a host", []string{"RUNG_REGISTRY_USERNAME=a", "RUNG_REGISTRY_PASSWORD=hunter2"}, []string{"RUNG_REGISTRY_HOST: is missing: name the registry"}},
		{"registry without a password", []string{"RUNG_REGISTRY_HOST=ghcr.io", "RUNG_REGISTRY_USERNAME=a"}, []string{"RUNG_REGISTRY_USERNAME: goes with RUNG_REGISTRY_PASSWORD"}},
		{"registry as an address", []string{"RUNG_REGISTRY_HOST=https://ghcr.io"}, []string{`RUNG_REGISTRY_HOST: must be a host or host:port such as ghcr.io`}},

		{"empty webhook secret", []string{"RUNG_GITHUB_WEBHOOK_SECRETS="}, []string{"RUNG_GITHUB_WEBHOOK_SECRETS: is empty"}},
		{"blank webhook secret", []string{"RUNG_GITHUB_WEBHOOK_SECRETS= \n "}, []string{"RUNG_GITHUB_WEBHOOK_SECRETS: is empty"}},
		{"short webhook secret", []string{"RUNG_GITHUB_WEBHOOK_SECRETS=hunter2," + webhookSecret}, []string{"RUNG_GITHUB_WEBHOOK_SECRETS: secret 1 has 7 bytes; use at least 16"}},
		{"nothing behind the comma", []string{"RUNG_GITHUB_WEBHOOK_SECRETS=" + webhookSecret + ","}, []string{"RUNG_GITHUB_WEBHOOK_SECRETS: secret 2 is empty"}},
		{"three webhook secrets", []string{"RUNG_GITHUB_WEBHOOK_SECRETS=" + strings.Repeat(webhookSecret+",", 2) + webhookSecret}, []string{"has 3 secrets; two at most"}},
		{"empty file", []string{"RUNG_GITHUB_WEBHOOK_SECRETS_FILE=" + write(t, dir, "empty", "\n", 0o600)}, []string{"RUNG_GITHUB_WEBHOOK_SECRETS_FILE: the file " + dir + "/empty is empty"}},
		{"both", []string{"RUNG_SIGNING_KEY=" + ssh, "RUNG_SIGNING_KEY_FILE=" + public(0o600)}, []string{"RUNG_SIGNING_KEY: is set as well as RUNG_SIGNING_KEY_FILE: unset one"}},
		{"file without a name", []string{"RUNG_SIGNING_KEY_FILE="}, []string{"RUNG_SIGNING_KEY_FILE: is empty: name a file"}},
		{"no file", []string{"RUNG_SIGNING_KEY_FILE=" + dir + "/none"}, []string{"RUNG_SIGNING_KEY_FILE: the file " + dir + "/none can't be read: no such file"}},
		{"a directory", []string{"RUNG_SIGNING_KEY_FILE=" + dir}, []string{"RUNG_SIGNING_KEY_FILE: " + dir + " is not a file"}},
		{"readable by the group", []string{"RUNG_SIGNING_KEY_FILE=" + public(0o640)}, []string{"may be read or changed by others (mode 0640): chmod 600 it"}},
		{"readable by all", []string{"RUNG_SIGNING_KEY_FILE=" + public(0o604)}, []string{"may be read or changed by others (mode 0604)"}},
		{"readable by others through a link", []string{"RUNG_SIGNING_KEY_FILE=" + linked(t, dir, public(0o601))}, []string{"may be read or changed by others (mode 0601)"}},
		{"an agent beside a key", []string{"RUNG_SIGNING_KEY_AGENT=SHA256:x", "RUNG_SIGNING_KEY=" + ssh}, []string{"RUNG_SIGNING_KEY_AGENT: is set as well as RUNG_SIGNING_KEY: unset one"}},
		{"large", []string{"RUNG_SIGNING_KEY_FILE=" + write(t, dir, "large", strings.Repeat("x", maxSecretBytes+1), 0o600)}, []string{"has more than 65536 bytes"}},
		{"large variable", []string{"RUNG_SIGNING_KEY=" + strings.Repeat("x", maxSecretBytes+1)}, []string{"RUNG_SIGNING_KEY: has more than 65536 bytes"}},
		{"in the data directory", []string{"RUNG_DATA=" + data, "RUNG_SIGNING_KEY_FILE=" + data + "/key-in-data"}, []string{"RUNG_SIGNING_KEY_FILE: the file " + data + "/key-in-data lies in the data directory"}},
		{"in the data directory by a link", []string{"RUNG_DATA=" + data, "RUNG_SIGNING_KEY_FILE=" + link}, []string{"lies in the data directory"}},
		{"the data directory is a link", []string{"RUNG_DATA=" + dataLink, "RUNG_SIGNING_KEY_FILE=" + data + "/key-in-data"}, []string{"lies in the data directory"}},
		{"in the data directory by another spelling", []string{"RUNG_DATA=" + dir, "RUNG_SIGNING_KEY_FILE=" + dir + "/./key-0600"}, []string{"lies in the data directory"}},
		{"no PEM", []string{"RUNG_GITHUB_PRIVATE_KEY=hunter2"}, []string{"RUNG_GITHUB_PRIVATE_KEY: is not the key that the App's settings page made"}},
		{"a public key", []string{"RUNG_SIGNING_KEY=" + newKey(t, "PUBLIC KEY")}, []string{`RUNG_SIGNING_KEY: is a "PUBLIC KEY"; it must be a private key as ssh-keygen`}},
		{"an SSH key for the App", []string{"RUNG_GITHUB_PRIVATE_KEY=" + ssh}, []string{`RUNG_GITHUB_PRIVATE_KEY: is a "OPENSSH PRIVATE KEY"`}},
		{"two keys", []string{"RUNG_SIGNING_KEY=" + ssh + ssh}, []string{"RUNG_SIGNING_KEY: holds more than one key"}},
		{"one key for both", []string{"RUNG_SIGNING_KEY=" + newKeyTwice(t), "RUNG_GITHUB_PRIVATE_KEY=" + newKeyTwice(t)}, []string{"RUNG_SIGNING_KEY: is the App's key"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Load(tt.environ)
			if err == nil {
				t.Fatal("it is taken")
			}
			var all *Error
			if !errors.As(err, &all) {
				t.Errorf("the error is a %T", err)
			}
			lines := strings.Split(err.Error(), "\n")
			if len(lines) != len(tt.want) {
				t.Errorf("%d problems, want %d:\n%v", len(lines), len(tt.want), err)
			}
			for i, line := range lines {
				if i < len(tt.want) && !strings.Contains(line, tt.want[i]) {
					t.Errorf("line %d:\n got %s\nwant …%s…", i, line, tt.want[i])
				}
			}
			if strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), webhookSecret) || strings.Contains(err.Error(), "KEY-----\n") {
				t.Errorf("a secret is in the error: %v", err)
			}
		})
	}
}

// linked makes a link to a file.
func linked(t *testing.T, dir, to string) string {
	t.Helper()
	link := filepath.Join(dir, "link-to-"+filepath.Base(to))
	if err := os.Symlink(to, link); err != nil {
		t.Fatal(err)
	}
	return link
}

// TestAnAgentNeedsASocket: SSH_AUTH_SOCK is the one setting of another's name.
func TestAnAgentNeedsASocket(t *testing.T) {
	for socket, missing := range map[string]bool{"": true, "SSH_AUTH_SOCK=/run/agent": false} {
		s, err := Load([]string{"RUNG_DATA=" + t.TempDir(), "RUNG_SIGNING_KEY_AGENT=SHA256:x", socket})
		if err != nil {
			t.Fatal(err)
		}
		err = s.CheckServe()
		if err == nil || strings.Contains(err.Error(), "needs SSH_AUTH_SOCK") != missing || strings.Contains(err.Error(), "RUNG_SIGNING_KEY: is missing") {
			t.Errorf("%q: %v", socket, err)
		}
	}
}

var sharedKey string

// newKeyTwice gives the same key each time.
func newKeyTwice(t *testing.T) string {
	t.Helper()
	if sharedKey == "" {
		sharedKey = newKey(t, "PRIVATE KEY")
	}
	return sharedKey
}

func TestCheckServeTellsAllThatIsMissing(t *testing.T) {
	data := t.TempDir()
	s, err := Load([]string{"RUNG_DATA=" + data})
	if err != nil {
		t.Fatal(err)
	}
	write(t, data, "id_ed25519", "x", 0o600)
	err = s.CheckServe()
	if err == nil {
		t.Fatal("serve takes nothing at all")
	}
	for _, variable := range []string{"RUNG_GITHUB_APP_ID", "RUNG_GITHUB_PRIVATE_KEY", "RUNG_GITHUB_WEBHOOK_SECRETS", "RUNG_SIGNING_KEY", "RUNG_DATA: the data directory holds private keys"} {
		if !strings.Contains(err.Error(), "settings: "+variable) {
			t.Errorf("%s is not told: %v", variable, err)
		}
	}
}

func TestCheckDataDir(t *testing.T) {
	key := newKey(t, "OPENSSH PRIVATE KEY")
	tests := []struct {
		name, file, text string
		found            bool
	}{
		{"by content", "a/b/notes.txt", "hello\n" + key, true},
		{"encrypted", "x", newKey(t, "ENCRYPTED PRIVATE KEY"), true},
		{"PGP", "x", newKey(t, "PGP PRIVATE KEY BLOCK"), true},
		{"PuTTY", "x", "PuTTY-User-Key-File-3: ssh-ed25519\n", true},
		{"by name", "server.PEM", "", true},
		{"by ssh's name", "id_rsa", "", true},
		{"public key", "id_rsa.pub", "ssh-ed25519 AAAA\n", false},
		{"a word of it", "log", "found a -----BEGIN PRIVATE KEY----- in the middle\n", false},
		{"database", "rung.db", "SQLite format 3\x00\n" + key, false},
		{"write-ahead log", "rung.db-wal", "\x37\x7f\x06\x82\n" + key, false},
		{"large file", "pack", strings.Repeat("x", maxSecretBytes) + "\n" + key, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			path := write(t, dir, tt.file, tt.text, 0o600)
			err := CheckDataDir(dir)
			if (err != nil) != tt.found {
				t.Errorf("got %v, want found %v", err, tt.found)
			}
			if err != nil && (!strings.Contains(err.Error(), path) || strings.Contains(err.Error(), "KEY-----")) {
				t.Errorf("the error does not name the file, or shows it: %v", err)
			}
		})
	}
	if err := CheckDataDir(filepath.Join(t.TempDir(), "none")); err != nil {
		t.Errorf("a directory that does not exist: %v", err)
	}
	linked := t.TempDir()
	if err := os.Symlink(write(t, t.TempDir(), "k", key, 0o600), filepath.Join(linked, "link")); err != nil {
		t.Fatal(err)
	}
	if err := CheckDataDir(linked); err == nil {
		t.Error("a link to a key is not found")
	}
	many := t.TempDir()
	for i := range 9 {
		write(t, many, fmt.Sprintf("%d.pem", i), "", 0o600)
	}
	if err := CheckDataDir(many); err == nil || !strings.Contains(err.Error(), "and more") {
		t.Errorf("got %v", err)
	}
}

func TestSecretNeverPrintsItself(t *testing.T) {
	const text = "hunter2-hunter2"
	type holder struct {
		Public  Secret
		private Secret
		list    []Secret
	}
	s := NewSecret(text)
	h := holder{s, s, []Secret{s}}
	var outputs []string
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%T", "%20v"} {
		outputs = append(outputs, fmt.Sprintf(verb, s), fmt.Sprintf(verb, &s), fmt.Sprintf(verb, h), fmt.Sprintf(verb, &h), fmt.Sprintf(verb, []Secret{s}), fmt.Sprintf(verb, map[string]Secret{"a": s}))
	}
	asJSON, err := json.Marshal(map[string]any{"a": s, "b": &s, "c": h})
	if err != nil {
		t.Fatal(err)
	}
	asText, err := s.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	logger := zerolog.New(&log)
	logger.Info().Any("a", s).Interface("b", h).Stringer("c", s).Msgf("%v", s)
	console := zerolog.New(zerolog.ConsoleWriter{Out: &log})
	console.Info().Any("a", s).Msg("")
	outputs = append(outputs, string(asJSON), string(asText), s.String(), s.GoString(), log.String(), fmt.Sprint(errors.New(s.String())))
	for _, out := range outputs {
		for _, leak := range []string{text, "hunter2", fmt.Sprintf("%x", text), fmt.Sprintf("%X", text)} {
			if strings.Contains(out, leak) {
				t.Errorf("it shows itself: %s", out)
			}
		}
	}
	if s.Reveal() != text || s.Empty() || !NewSecret("").Empty() || NewSecret("").String() != "" {
		t.Error("a secret is not what it was made of")
	}
}

func TestAddresses(t *testing.T) {
	tests := []struct{ web, api, graphql, upload string }{
		{"https://github.com", "https://api.github.com/", "https://api.github.com/graphql", "https://uploads.github.com/"},
		{"https://www.GitHub.com/", "https://api.github.com/", "https://api.github.com/graphql", "https://uploads.github.com/"},
		{"https://acme.ghe.com", "https://api.acme.ghe.com/", "https://api.acme.ghe.com/graphql", "https://uploads.acme.ghe.com/"},
		{"https://github.acme.example/", "https://github.acme.example/api/v3/", "https://github.acme.example/api/graphql", "https://github.acme.example/api/uploads/"},
		{"http://127.0.0.1:4000", "http://127.0.0.1:4000/api/v3/", "http://127.0.0.1:4000/api/graphql", "http://127.0.0.1:4000/api/uploads/"},
		{"http://[::1]:4000", "http://[::1]:4000/api/v3/", "http://[::1]:4000/api/graphql", "http://[::1]:4000/api/uploads/"},
		{"https://github.com.acme.example", "https://github.com.acme.example/api/v3/", "https://github.com.acme.example/api/graphql", "https://github.com.acme.example/api/uploads/"},
	}
	for _, tt := range tests {
		s, err := Load([]string{"RUNG_GITHUB_URL=" + tt.web})
		if err != nil {
			t.Error(err)
			continue
		}
		if got := []string{s.APIURL(), s.GraphQLURL(), s.UploadURL()}; !slices.Equal(got, []string{tt.api, tt.graphql, tt.upload}) {
			t.Errorf("%s: %v", tt.web, got)
		}
	}
}

// FuzzLoad checks that no environment panics, and that whatever is taken keeps
// its promises.
func FuzzLoad(f *testing.F) {
	f.Add(":8080", "https://github.com", webhookSecret, "10m", "RUNG_LISTEN", "x")
	f.Add("[::1]:0", "http://localhost:1", "a,b\n,,c", "-1s", "RUNG_SIGNING_KEY", string(pem.EncodeToMemory(&pem.Block{Type: "OPENSSH PRIVATE KEY", Bytes: []byte("x")})))
	f.Add("", "http://%41", "\n", "9999999h", "RUNG_\x00", "=")
	f.Fuzz(func(t *testing.T, listen, github, secrets, resync, name, value string) {
		if strings.HasSuffix(name, "_FILE") {
			return // opens files
		}
		s, err := Load([]string{"RUNG_LISTEN=" + listen, "RUNG_GITHUB_URL=" + github, "RUNG_GITHUB_WEBHOOK_SECRETS=" + secrets, "RUNG_RESYNC=" + resync, name + "=" + value})
		if err != nil {
			return
		}
		if n := len(s.GitHubWebhookSecrets); n < 1 || n > 2 {
			t.Errorf("%d webhook secrets", n)
		}
		for _, secret := range s.GitHubWebhookSecrets {
			if len(secret.Reveal()) < minWebhookSecret {
				t.Error("a short webhook secret is taken")
			}
		}
		if s.Resync < 10*time.Second || !strings.HasPrefix(s.APIURL(), "http") {
			t.Errorf("taken: %+v", s)
		}
	})
}
