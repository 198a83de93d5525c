package demo

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rungbot/rung/internal/promotion"
)

// brisk shortens the sample's times, which are for spectators.
func brisk(files map[string]string) {
	files["rung.yaml"] = strings.NewReplacer("soak: 3s", "soak: 1s", "soak: 2s", "soak: 1s", "failAfter: 3s", "failAfter: 1s").Replace(files["rung.yaml"])
}

// TestAutoHoldsAndNoticesOneByte plays the whole play once. What it left behind
// is counted with stock git alone and has to agree with what the check says;
// then one byte is altered, and the same check must not hold.
func TestAutoHoldsAndNoticesOneByte(t *testing.T) {
	var out bytes.Buffer
	var untouched Summary
	show := Show{Options: Options{Dir: t.TempDir(), Files: brisk}, Out: &out, JSON: true, Patience: 5 * time.Minute}
	show.AfterPlay = func(ctx context.Context, w *World) error {
		untouched = w.check(ctx, &teller{out: io.Discard}, true)
		counted := recount(t, w.RepositoryPath())
		if untouched.Promotions != counted.Promotions || untouched.Rollbacks != counted.Rollbacks || !reflect.DeepEqual(untouched.Environments, counted.Environments) {
			t.Errorf("the check says %+v, stock git says %+v", untouched, counted)
		}
		return alterOneByte(t, w.RepositoryPath())
	}
	sum, err := show.Auto(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(untouched.Differences) > 0 || untouched.Promotions == 0 {
		t.Errorf("before the byte was altered: %+v", untouched)
	}
	if sum.OK || len(sum.Differences) == 0 {
		t.Errorf("after the byte was altered: %+v", sum)
	}
	steps, last := readSteps(t, &out)
	if !reflect.DeepEqual(last, sum) {
		t.Errorf("the last line is\n%+v, the summary\n%+v", last, sum)
	}
	for _, kind := range []string{StepServes, StepBegan, StepPublished, StepOpened, StepCheck, StepReviewed, StepCommented, StepMerged, StepClosed, StepLanded, StepSettled, StepQuarantined, StepFound} {
		if steps[kind] == 0 {
			t.Errorf("no step %q was told", kind)
		}
	}
	if steps[StepLanded] != untouched.Promotions+untouched.Rollbacks {
		t.Errorf("%d landings were told of %d", steps[StepLanded], untouched.Promotions+untouched.Rollbacks)
	}
	if t.Failed() {
		t.Log(out.String())
	}
}

// readSteps counts the steps by kind; the last line is the Summary.
func readSteps(t *testing.T, out io.Reader) (map[string]int, Summary) {
	t.Helper()
	steps := map[string]int{}
	var sum Summary
	for lines := bufio.NewScanner(out); lines.Scan(); {
		var step Step
		if err := json.Unmarshal(lines.Bytes(), &step); err != nil {
			t.Fatalf("%s: %v", lines.Text(), err)
		}
		if step.Kind != "" {
			steps[step.Kind]++
			continue
		}
		if err := json.Unmarshal(lines.Bytes(), &sum); err != nil {
			t.Fatal(err)
		}
	}
	return steps, sum
}

// TestTheLastLineIsAPromise: scripts read the summary's names, so they stay.
func TestTheLastLineIsAPromise(t *testing.T) {
	for name, c := range map[string]struct {
		sum  Summary
		want string
	}{
		"all holds": {
			Summary{
				OK: true, Promotions: 16, Rollbacks: 6, API: map[string]int{"total": 3, "read": 1, "write": 2}, Seconds: 1.5,
				Environments: Environments{"dev": {"checkout": {Version: "1.3.0", Digest: "sha256:00"}}},
			},
			`{"ok":true,"promotions":16,"rollbacks":6,"api":{"read":1,"total":3,"write":2},"environments":{"dev":{"checkout":{"version":"1.3.0","digest":"sha256:00"}}},"seconds":1.5}`,
		},
		"something differs": {
			Summary{API: map[string]int{}, Environments: Environments{}, Differences: []string{"git fsck: a commit is broken"}},
			`{"ok":false,"promotions":0,"rollbacks":0,"api":{},"environments":{},"seconds":0,"differences":["git fsck: a commit is broken"]}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			(&stage{show: Show{JSON: true}, teller: &teller{out: &out, json: true}}).sum(c.sum)
			if out.String() != c.want+"\n" {
				t.Errorf("the last line is\n%swant\n%s", out.String(), c.want)
			}
		})
	}
}

func git(t *testing.T, repository string, args ...string) string {
	t.Helper()
	out, err := exec.Command("git", append([]string{"-C", repository}, args...)...).Output()
	if err != nil {
		t.Fatalf("git %v: %v", args, err)
	}
	return string(out)
}

var (
	imageEntry = regexp.MustCompile(`(?m)^  - name: \S+/acme/(\S+)\n    newTag: (\S+)\n    digest: (\S+)$`)
	imageField = regexp.MustCompile(`image: \S+/acme/([a-z]+):(\S+)@(sha256:\S+)`)
)

// recount counts with stock git and nothing of rung's: trailers of the ledger's
// commits, and text of the files at main.
func recount(t *testing.T, repository string) Summary {
	t.Helper()
	sum := Summary{Environments: Environments{}}
	kind := ""
	for line := range strings.Lines(git(t, repository, "log", "--reverse", "--format=%(trailers:only,unfold)", "rung/ledger")) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		switch {
		case key == "Promotion-Kind":
			if kind = value; kind == "land" {
				sum.Promotions++
			}
		case key == "Promotion-Restores" && kind == "land":
			sum.Promotions--
			sum.Rollbacks++
		}
	}
	for path := range strings.Lines(git(t, repository, "ls-tree", "-r", "--name-only", "main", "environments/")) {
		path = strings.TrimSpace(path)
		environment := promotion.Environment(strings.Split(path, "/")[1])
		text := git(t, repository, "show", "main:"+path)
		for _, m := range append(imageEntry.FindAllStringSubmatch(text, -1), imageField.FindAllStringSubmatch(text, -1)...) {
			if sum.Environments[environment] == nil {
				sum.Environments[environment] = map[promotion.Artifact]promotion.Value{}
			}
			sum.Environments[environment][promotion.Artifact(m[1])] = promotion.Value{Version: promotion.Version(m[2]), Digest: promotion.Digest(m[3])}
		}
	}
	return sum
}

// alterOneByte flips a bit in the object file of a commit in the middle of the
// ledger.
func alterOneByte(t *testing.T, repository string) error {
	t.Helper()
	id := strings.TrimSpace(git(t, repository, "rev-parse", "rung/ledger~10"))
	path := filepath.Join(repository, "objects", id[:2], id[2:])
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	data[len(data)/2] ^= 1
	if err := os.Chmod(path, 0o600); err != nil {
		return err
	}
	return os.WriteFile(path, data, 0o600)
}

// prompt is an In that a test types into, and an Out that it reads.
type prompt struct {
	t   *testing.T
	typ *io.PipeWriter

	mu  sync.Mutex
	out strings.Builder
}

func (p *prompt) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.Write(b)
}

func (p *prompt) text() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.String()
}

// await waits until something is shown.
func (p *prompt) await(text string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), 30*time.Second)
	defer cancel()
	if err := (&World{}).WaitFor(ctx, text, func(context.Context) (bool, error) { return strings.Contains(p.text(), text), nil }); err != nil {
		p.t.Fatalf("%v; shown so far:\n%s", err, p.text())
	}
}

func (p *prompt) say(line string) {
	p.t.Helper()
	if _, err := io.WriteString(p.typ, line+"\n"); err != nil {
		p.t.Fatal(err)
	}
}

func startShow(t *testing.T, s Show, run func(Show, context.Context) error) (*prompt, chan error) {
	t.Helper()
	in, typ := io.Pipe()
	p := &prompt{t: t, typ: typ}
	s.In, s.Out = in, p
	done := make(chan error, 1)
	go func() { done <- run(s, t.Context()) }()
	return p, done
}

// TestWatchTakesWords plays by hand: a person is told what to do, publishes
// versions, mistypes, and quits.
func TestWatchTakesWords(t *testing.T) {
	p, done := startShow(t, Show{}, Show.Watch)
	p.await("publish NAME VERSION [bad]")
	p.await("carol's build publishes checkout 1.1.0")
	p.say("publsh cart 2.1.0")
	p.await("say one of:")
	p.say("publish basket 1.0.0")
	p.await(`there is no artifact "basket"`)
	p.say("publish cart ../../etc")
	p.await("version")
	p.say("publish cart 2.1.0 bad")
	p.await("carol's build publishes cart 2.1.0")
	p.await("Promote checkout 1.1.0 to dev")
	p.say("quit")
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// TestServeSaysHowToJoin: the environment is printed and written, for its owner
// alone.
func TestServeSaysHowToJoin(t *testing.T) {
	dir := t.TempDir()
	p, done := startShow(t, Show{Options: Options{Dir: dir}}, Show.Serve)
	p.await("RUNG_SIGNING_KEY_FILE=")
	text, err := os.ReadFile(filepath.Join(dir, "rung.env"))
	if err != nil || !strings.Contains(p.text(), string(text)) {
		t.Errorf("%s, %v", text, err)
	}
	if info, err := os.Stat(filepath.Join(dir, "rung.env")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	p.say("quit")
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestWaitsForReadsTheWorstGate(t *testing.T) {
	for summary, want := range map[string]string{
		"Promotes\n\n| | Gate | |\n|---|---|---|\n| ✅ | predecessor | fine |\n| ⏳ | approval | needs 1 approval from \\(sre\\) &lt;x&gt; |\n": "needs 1 approval from (sre) <x>",
		"| | Gate | |\n|---|---|---|\n| ✅ | head | fine |\n": "",
		"no table": "",
	} {
		if got := waitsFor(summary); got != want {
			t.Errorf("%q: %q, want %q", summary, got, want)
		}
	}
}
