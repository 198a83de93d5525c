package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/rungbot/rung/e2e/person"
	"github.com/rungbot/rung/internal/githubemu"
	"github.com/rungbot/rung/internal/githubemu/gitmem"
	"github.com/rungbot/rung/internal/githubemu/gitstore"
)

// github is an emulator with an organisation that ann owns.
func github(t *testing.T) string {
	t.Helper()
	emu, err := githubemu.New(githubemu.Config{Store: gitmem.New(gitstore.Options{}), Manual: true, App: githubemu.App{ID: 7, Slug: "another"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(emu.Close)
	web := httptest.NewServer(emu)
	t.Cleanup(web.Close)
	emu.SetBaseURL(web.URL)
	emu.AddOrganization("acme", "none", map[string]string{"ann": "admin"})
	return web.URL
}

// setUp types rung setup, and opens the link as a person does.
func setUp(t *testing.T, env []string, args ...string) (code int, out, err string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	outRead, outWrite := io.Pipe()
	errRead, errWrite := io.Pipe()
	link := regexp.MustCompile(`http://127\.0\.0\.1:\d+/setup\?token=\w+`)
	opened := make(chan string, 2)
	read := func(from io.Reader, to *bytes.Buffer, done chan<- bool) {
		for lines := bufio.NewScanner(from); lines.Scan(); {
			to.WriteString(lines.Text() + "\n")
			if l := link.FindString(lines.Text()); l != "" {
				opened <- l
			}
		}
		done <- true
	}
	read1, read2, ended := make(chan bool), make(chan bool), make(chan int, 1)
	go func() { read(outRead, &stdout, read1) }()
	go func() { read(errRead, &stderr, read2) }()
	go func() {
		ended <- run(t.Context(), append([]string{"setup"}, args...), streams{out: outWrite, err: errWrite, env: env})
		_ = outWrite.Close()
		_ = errWrite.Close()
	}()
	select {
	case l := <-opened:
		ann := person.New(t)
		ann.Press(ann.Press(ann.Get(l), "Go to"), "Create GitHub App")
		code = <-ended
	case code = <-ended:
	}
	<-read1
	<-read2
	return code, stdout.String(), stderr.String()
}

// TestSetupTellsWhatComesNext: the files, the link to install the App, the command.
func TestSetupTellsWhatComesNext(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "it's here")
	code, out, _ := setUp(t, []string{"RUNG_GITHUB_URL=" + github(t), "RUNG_SIGNING_KEY_FILE=/not/yet"}, "--org", "acme", "--url", "http://127.0.0.1:1", "--dir", dir)
	if code != 0 {
		t.Fatalf("%d\n%s", code, out)
	}
	quoted := strings.ReplaceAll(dir, "'", `'\''`)
	for _, words := range []string{
		"ssh -L ", "The GitHub App rung-acme (number ", "app.pem           the App's private key", "rung-release      the release key", "rung-root.pub     its public half SHA256:",
		"/apps/rung-acme/installations/new", "rm '" + quoted + "/rung-root'", "rung serve --settings '" + quoted + "/rung.env'",
	} {
		if !strings.Contains(out, words) {
			t.Errorf("no %q in\n%s", words, out)
		}
	}
}

// TestSetupAsJSON: nothing but the outcome on standard output, and no secret.
func TestSetupAsJSON(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "secrets")
	code, out, said := setUp(t, nil, "--github", github(t), "--url", "http://127.0.0.1:1", "--name", "My rung", "--dir", dir, "--json")
	var made struct {
		App struct {
			ID         int64
			Slug       string
			InstallURL string `json:"installUrl"`
		}
		Files []struct {
			Path        string
			Secret      bool
			Fingerprint string
		}
		Missing []string `json:"missingPermissions"`
	}
	if err := json.Unmarshal([]byte(out), &made); code != 0 || err != nil {
		t.Fatalf("%d, %v\n%s\n%s", code, err, out, said)
	}
	if made.App.ID == 0 || made.App.Slug != "my-rung" || !strings.HasSuffix(made.App.InstallURL, "/apps/my-rung/installations/new") || made.Missing == nil {
		t.Errorf("%+v", made)
	}
	secrets := 0
	for _, f := range made.Files {
		data, err := os.ReadFile(f.Path)
		if err != nil {
			t.Error(err)
			continue
		}
		if !f.Secret {
			continue
		}
		secrets++
		for _, line := range strings.Split(string(data), "\n") {
			if len(line) > 16 && !strings.HasPrefix(line, "-----") && strings.Contains(out+said, line) {
				t.Errorf("a line of %s is shown", f.Path)
			}
		}
	}
	if secrets != 4 {
		t.Errorf("%d secrets in %+v", secrets, made.Files)
	}
}

// TestSetupSaysWhatIsWrong in one line, with code 2, and leaves nothing behind.
func TestSetupSaysWhatIsWrong(t *testing.T) {
	server := github(t)
	dir := filepath.Join(t.TempDir(), "secrets")
	for says, args := range map[string][]string{
		"--url is missing: give the https address": {"--github", server},
		"RUNG_GITHUB_URL":                          {"--github", "github.com", "--url", "https://rung.example.com"},
		"lies in the data directory":               {"--github", server, "--url", "http://127.0.0.1:1", "--dir", "/var/lib/rung/keys"},
		"--listen":                                 {"--github", server, "--url", "http://127.0.0.1:1", "--listen", "0.0.0.0:0"},
		"--without":                                {"--github", server, "--url", "http://127.0.0.1:1", "--without", "issues"},
	} {
		code, out, said := setUp(t, nil, append([]string{"--dir", dir}, args...)...)
		if code != 2 || out != "" || !strings.Contains(said, says) || strings.Count(said, "\n") != 1 {
			t.Errorf("%v: %d\n%s%s", args, code, out, said)
		}
		if _, err := os.Stat(dir); !os.IsNotExist(err) {
			t.Errorf("%v: the directory: %v", args, err)
		}
	}
}
