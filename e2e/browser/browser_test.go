//go:build browser

package browser

import (
	"bufio"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rungbot/rung/e2e/world"
)

var binary string

func TestMain(m *testing.M) {
	world.Main(func(_, built string) int {
		binary = built
		return m.Run()
	})
}

// Chromium is a browser that a test drives.
type Chromium struct {
	tb  testing.TB
	in  io.WriteCloser
	out *bufio.Scanner
}

// View is how a person looks: the window's width in pixels, and the colours.
type View struct {
	Width int  `json:"width,omitempty"`
	Dark  bool `json:"dark,omitempty"`
}

// Shown is the page that stands in the window.
type Shown struct{ URL, Title, Text, HTML string }

// Seen is everything that came to the browser since it was started.
type Seen struct {
	Responses []struct {
		URL     string
		Status  int
		Headers map[string]string
		Body    string
	}
	// Messages are those of the console, what a policy blocked and errors of scripts,
	// and Failures are requests without an answer; each begins with its address.
	Messages, Failures []string
}

// Complaints are the messages and failures of one site.
func (s Seen) Complaints(origin string) []string {
	return slices.DeleteFunc(slices.Concat(s.Messages, s.Failures), func(text string) bool { return !strings.HasPrefix(text, origin) })
}

// Start starts Chromium with an empty profile; it ends with the test.
func Start(tb testing.TB, v View) *Chromium {
	tb.Helper()
	cmd := exec.Command("node", "driver.mjs")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		tb.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		tb.Fatalf("node is needed, and npm install in e2e/browser (make browser does it): %v", err)
	}
	limit := time.AfterFunc(3*time.Minute, func() { _ = cmd.Process.Kill() })
	tb.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Wait()
		limit.Stop()
	})
	c := &Chromium{tb: tb, in: in, out: bufio.NewScanner(out)}
	c.out.Buffer(nil, 64<<20)
	c.Again(v)
	return c
}

// do sends one command to driver.mjs and reads the answer.
func (c *Chromium) do(command string, with map[string]any, answer any) {
	c.tb.Helper()
	if with == nil {
		with = map[string]any{}
	}
	with["do"] = command
	line, err := json.Marshal(with)
	if err != nil {
		c.tb.Fatal(err)
	}
	if _, err := c.in.Write(append(line, '\n')); err != nil {
		c.tb.Fatalf("the driver is gone: %v", err)
	}
	if !c.out.Scan() {
		c.tb.Fatalf("the driver does not answer to %s: %v", line, c.out.Err())
	}
	var failed struct{ Error string }
	if err := json.Unmarshal(c.out.Bytes(), &failed); err != nil || failed.Error != "" {
		c.tb.Fatalf("%s: %s %v", line, failed.Error, err)
	}
	if answer != nil {
		if err := json.Unmarshal(c.out.Bytes(), answer); err != nil {
			c.tb.Fatal(err)
		}
	}
}

// Again throws the profile away and begins with an empty one.
func (c *Chromium) Again(v View) {
	c.tb.Helper()
	c.do("start", map[string]any{"width": max(v.Width, 320), "dark": v.Dark}, nil)
}

// Open goes to an address and returns the status of its answer.
func (c *Chromium) Open(url string) int {
	c.tb.Helper()
	var a struct{ Status int }
	c.do("open", map[string]any{"url": url}, &a)
	return a.Status
}

// Press presses the button or link of that name, and waits for the page that it
// leads to.
func (c *Chromium) Press(name string) {
	c.tb.Helper()
	c.do("press", map[string]any{"name": name}, nil)
}

// Click does so where no page follows.
func (c *Chromium) Click(name string) {
	c.tb.Helper()
	c.do("click", map[string]any{"name": name}, nil)
}

// Type writes into the field of that label.
func (c *Chromium) Type(label, text string) {
	c.tb.Helper()
	c.do("type", map[string]any{"label": label, "text": text}, nil)
}

// Page is what stands in the window.
func (c *Chromium) Page() Shown {
	c.tb.Helper()
	var s Shown
	c.do("page", nil, &s)
	return s
}

// Seen is what came so far.
func (c *Chromium) Seen() Seen {
	c.tb.Helper()
	var a struct{ Value Seen }
	c.do("seen", nil, &a)
	return a.Value
}

// Evaluate runs a script in the page, as the page itself could.
func (c *Chromium) Evaluate(code string, value any) {
	c.tb.Helper()
	a := struct{ Value any }{value}
	c.do("evaluate", map[string]any{"code": code}, &a)
}

// Shot leaves a picture of the page in RUNG_SCREENS, or nowhere for long.
func (c *Chromium) Shot(name string) {
	c.tb.Helper()
	dir := os.Getenv("RUNG_SCREENS")
	if dir == "" {
		dir = c.tb.TempDir()
	}
	path := filepath.Join(dir, name+".png")
	c.do("shot", map[string]any{"path": path}, nil)
	if info, err := os.Stat(path); err != nil || info.Size() == 0 {
		c.tb.Errorf("no picture of %s: %v", name, err)
	}
}

// Fits fails when the page is wider than the window, so that a person would have to
// scroll sideways.
func (c *Chromium) Fits() {
	c.tb.Helper()
	var over int
	c.Evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth", &over)
	if over > 0 {
		c.tb.Errorf("the page is %d pixels wider than the window: %s", over, c.Page().URL)
	}
}
