//go:build browser

package browser

import (
	"bufio"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/rungbot/rung/internal/githubemu"
	"github.com/rungbot/rung/internal/githubemu/gitmem"
	"github.com/rungbot/rung/internal/githubemu/gitstore"
)

// settingUp is rung setup as a process, waiting for somebody to open its link.
type settingUp struct {
	link, dir string
	ended     chan error

	mu   sync.Mutex
	said strings.Builder
}

func (s *settingUp) console() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.said.String()
}

// setUp starts it against an emulator that is another site than setup's page, as
// GitHub is.
func setUp(t *testing.T) *settingUp {
	t.Helper()
	emu, err := githubemu.New(githubemu.Config{Store: gitmem.New(gitstore.Options{}), Manual: true, App: githubemu.App{ID: 7, Slug: "another"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(emu.Close)
	web := httptest.NewServer(emu)
	t.Cleanup(web.Close)
	github := strings.Replace(web.URL, "127.0.0.1", "localhost", 1)
	emu.SetBaseURL(github)
	emu.AddOrganization("acme", "none", map[string]string{"ann": "admin"})

	s := &settingUp{dir: filepath.Join(t.TempDir(), "rung-secrets"), ended: make(chan error, 1)}
	cmd := exec.Command(binary, "setup", "--github", github, "--org", "acme", "--url", "http://127.0.0.1:8080", "--dir", s.dir)
	cmd.Env = []string{"HOME=" + t.TempDir(), "PATH=" + os.Getenv("PATH")}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	links := make(chan string, 1)
	go func() {
		link := regexp.MustCompile(`http://127\.0\.0\.1:\d+/setup\?token=\w+`)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			s.mu.Lock()
			s.said.WriteString(lines.Text() + "\n")
			s.mu.Unlock()
			if l := link.FindString(lines.Text()); l != "" {
				links <- l
			}
		}
		s.ended <- cmd.Wait()
	}()
	select {
	case s.link = <-links:
	case err := <-s.ended:
		t.Fatalf("no link: %v\n%s", err, s.console())
	}
	return s
}

// TestAPersonMakesTheApp: the link, the button, GitHub's page, and back; then the
// secrets are on disk for their owner alone, and the browser saw none of them.
func TestAPersonMakesTheApp(t *testing.T) {
	s := setUp(t)
	c := Start(t, View{Width: 1000})
	if status := c.Open(s.link); status != 200 {
		t.Fatalf("the link: %d\n%s", status, c.Page().Text)
	}
	p := c.Page()
	if strings.Contains(p.URL, "token") {
		t.Errorf("the token stays in the address: %s", p.URL)
	}
	for _, words := range []string{"Make the GitHub App that rung is", "the organisation acme", s.dir, "pull requests", "Not administration"} {
		if !strings.Contains(p.Text, words) {
			t.Errorf("no %q on the page:\n%s", words, p.Text)
		}
	}
	var scripts string
	c.Evaluate("document.cookie", &scripts)
	if scripts != "" {
		t.Errorf("scripts see the cookie %s", scripts)
	}
	c.Fits()
	c.Shot("setup-ask")
	c.Press("Go to localhost")
	if p := c.Page(); !strings.Contains(p.URL, "/organizations/acme/settings/apps/new") || !strings.Contains(p.Text, "contents: write") {
		t.Fatalf("not GitHub's page: %s\n%s", p.URL, p.Text)
	}
	c.Type("name", "rung of acme")
	c.Press("Create GitHub App")
	p = c.Page()
	if !strings.Contains(p.Text, "The App is made") || !strings.Contains(p.Text, "rung of acme") {
		t.Fatalf("not made: %s\n%s\n%s", p.URL, p.Text, s.console())
	}
	c.Fits()
	c.Shot("setup-done")
	if err := <-s.ended; err != nil {
		t.Fatalf("%v\n%s", err, s.console())
	}
	s.onDiskAlone(t, c)
	c.Press("install it on the GitOps repository")
	if p := c.Page(); !strings.HasSuffix(p.URL, "/apps/rung-of-acme/installations/new") {
		t.Errorf("the link to install it leads to %s", p.URL)
	}
}

// onDiskAlone looks at the files, and for what is in them at all that was shown.
func (s *settingUp) onDiskAlone(t *testing.T, c *Chromium) {
	t.Helper()
	seen := c.Seen()
	page, _, _ := strings.Cut(s.link, "/setup")
	if complaints := seen.Complaints(page); len(complaints) > 0 {
		t.Errorf("the browser complains: %v", complaints)
	}
	if len(seen.Responses) < 4 {
		t.Fatalf("the browser saw %d answers only", len(seen.Responses))
	}
	shown := fmt.Sprint(seen) + s.console() + c.Page().HTML
	for _, name := range []string{"app.pem", "webhook-secret", "rung-release", "rung-root"} {
		path := filepath.Join(s.dir, name)
		info, err := os.Stat(path)
		if err != nil {
			t.Error(err)
			continue
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %04o", name, info.Mode().Perm())
		}
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range strings.Fields(string(data)) {
			if len(line) > 16 && strings.Contains(shown, line) {
				t.Errorf("a line of %s was shown", name)
			}
		}
	}
}

// TestTheLinkIsForOneBrowser: a second profile is refused, and reads why.
func TestTheLinkIsForOneBrowser(t *testing.T) {
	s := setUp(t)
	c := Start(t, View{Width: 390, Dark: true})
	c.Open(s.link)
	c.Fits()
	c.Shot("setup-ask-narrow-dark")
	c.Again(View{Width: 390})
	if status := c.Open(s.link); status != 403 {
		t.Errorf("the second browser gets in: %d", status)
	}
	if p := c.Page(); !strings.Contains(p.Text, "This link opens nothing") || strings.Contains(p.HTML, "manifest") {
		t.Errorf("the second browser reads:\n%s", p.HTML)
	}
	c.Fits()
	c.Shot("setup-refused")
}
