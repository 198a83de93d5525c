package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"github.com/rungbot/rung/internal/app"
	"github.com/rungbot/rung/internal/promotion"
	"github.com/rungbot/rung/internal/settings"
)

// playTime is how long a play may take, the check at its end left out.
const playTime = 110 * time.Second

// Show is a World with rung in it, watched. rung's own log is DIR/rung.log.
type Show struct {
	Options
	// Out is told what happens, step by step.
	Out io.Writer
	// JSON makes a step one JSON object on a line.
	JSON bool
	// In is where the person's words come from (see Help); nil is nowhere.
	In io.Reader
	// Rung, if set, starts rung in the world, as a process of its own for
	// instance, and returns what stops it and waits; nil runs it in this
	// process. It must listen at BoardURL.
	Rung func(context.Context, *World) (stop func() error, err error)
	// Patience is how long a play may take, the check at its end left out; zero
	// is what a spectator has, a little less than two minutes.
	Patience time.Duration
	// AfterPlay, if set, runs between the play and the check, when rung has
	// stopped: a test may alter the repository there.
	AfterPlay func(context.Context, *World) error
}

// Summary is how a play ended.
type Summary struct {
	// OK is true when nothing differs from what it ought to be.
	OK bool `json:"ok"`
	// Promotions and Rollbacks count what landed.
	Promotions int `json:"promotions"`
	Rollbacks  int `json:"rollbacks"`
	// API counts the requests that rung made, by what they cost.
	API map[string]int `json:"api"`
	// Environments is what main names at the end.
	Environments Environments `json:"environments"`
	// Seconds is how long the play took.
	Seconds float64 `json:"seconds"`
	// Differences say what is not as it ought to be.
	Differences []string `json:"differences,omitempty"`
}

// Environments is what is named where.
type Environments = map[promotion.Environment]map[promotion.Artifact]promotion.Value

// stage is a Show under way.
type stage struct {
	show   Show
	world  *World
	teller *teller
	cancel context.CancelFunc
	done   chan error
}

// Auto plays the people's part as well and checks the end. The Summary is told
// as the last step of JSON. An error means that the play could not be played to
// its end; what differs then is in the Summary.
func (s Show) Auto(ctx context.Context) (sum Summary, err error) {
	st, err := s.open(ctx)
	if err != nil {
		return Summary{}, err
	}
	defer func() { err = errors.Join(err, st.close()) }()
	began := time.Now()
	patience := s.Patience
	if patience <= 0 {
		patience = playTime
	}
	playing, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("the play took longer than %s", patience))
	defer cancel()
	played := (&play{stage: st, world: st.world}).run(playing)
	if err := st.stop(); err != nil {
		played = errors.Join(played, err)
	}
	took := time.Since(began)
	if s.AfterPlay != nil && played == nil {
		played = s.AfterPlay(ctx, st.world)
	}
	st.teller.say("The check: rung verify, stock git, and the files against the ledger.")
	sum = st.world.check(ctx, st.teller, played == nil)
	sum.Seconds = float64(took.Milliseconds()) / 1000
	if played != nil {
		sum.Differences = append(sum.Differences, played.Error())
	}
	sum.OK = len(sum.Differences) == 0
	st.sum(sum)
	return sum, nil
}

// open starts the world, rung, and the telling.
func (s Show) open(ctx context.Context) (*stage, error) {
	w, err := Start(ctx, s.Options)
	if err != nil {
		return nil, err
	}
	st := &stage{show: s, world: w, teller: &teller{out: s.Out, json: s.JSON, started: time.Now()}}
	if err := errors.Join(w.Protect(), st.start(ctx)); err != nil {
		return nil, errors.Join(err, w.Close())
	}
	return st, nil
}

// start starts rung, from the settings that any rung would be given, and the
// telling.
func (st *stage) start(ctx context.Context) error {
	st.teller.tell(Step{Kind: StepServes, Text: "GitHub, emulated:", URL: st.world.GitHubURL + "/" + Repository})
	begin := st.show.Rung
	if begin == nil {
		begin = inProcess
	}
	stop, err := begin(ctx, st.world)
	if err != nil {
		return err
	}
	st.teller.tell(Step{Kind: StepServes, Text: "rung's board:    ", URL: st.world.BoardURL + "/"})
	running, cancel := context.WithCancel(ctx)
	st.cancel, st.done = cancel, make(chan error, 2)
	go func() {
		<-running.Done()
		st.done <- stop()
	}()
	go func() { st.done <- newWatcher(st.world, st.teller).run(running) }()
	return st.world.WaitFor(ctx, "rung to be ready", st.ready)
}

// inProcess starts rung in this process.
func inProcess(ctx context.Context, w *World) (stop func() error, err error) {
	s, err := settings.Load(w.Environ())
	if err != nil {
		return nil, err
	}
	file, err := os.OpenFile(filepath.Join(w.Dir, "rung.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	a, err := app.New(ctx, s, app.Options{Log: zerolog.New(file).With().Timestamp().Logger()})
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	running, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- errors.Join(a.Run(running), a.Close(), file.Close()) }()
	return func() error {
		cancel()
		return <-done
	}, nil
}

func (st *stage) ready(ctx context.Context) (bool, error) {
	return ready(ctx, st.world.BoardURL)
}

// stop stops rung and the telling, and waits for both. It may be called twice.
func (st *stage) stop() error {
	if st.cancel == nil {
		return nil
	}
	st.cancel()
	st.cancel = nil
	return errors.Join(<-st.done, <-st.done)
}

func (st *stage) close() error { return errors.Join(st.stop(), st.world.Close()) }

// sum tells the end.
func (st *stage) sum(sum Summary) {
	if st.show.JSON {
		st.teller.encode(sum)
		return
	}
	word := "everything holds"
	if !sum.OK {
		word = "not everything holds:\n  - " + strings.Join(sum.Differences, "\n  - ")
	}
	st.teller.say("%d promotions and %d rollbacks in %.0f seconds, %d requests to GitHub; %s", sum.Promotions, sum.Rollbacks, sum.Seconds, sum.API["total"], word)
	if !st.world.temporary {
		st.teller.say("Everything is kept in %s; look with git -C %s log rung/ledger", st.world.Dir, st.world.RepositoryPath())
	}
}

// Serve serves everything but rung until ctx ends, and writes the environment
// with which `rung serve` joins to Out and to DIR/rung.env.
func (s Show) Serve(ctx context.Context) (err error) {
	w, err := Start(ctx, s.Options)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	if err := w.Protect(); err != nil {
		return err
	}
	text := strings.Join(w.Environ(), "\n") + "\n"
	file := filepath.Join(w.Dir, "rung.env")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return err
	}
	t := &teller{out: s.Out, json: s.JSON, started: time.Now()}
	if s.JSON {
		environ := map[string]string{}
		for _, pair := range w.Environ() {
			name, value, _ := strings.Cut(pair, "=")
			environ[name] = value
		}
		t.encode(map[string]any{
			"step": StepServes, "environ": environ, "github": w.GitHubURL, "board": w.BoardURL, "registry": w.RegistryHost,
			"apps": w.AppsURL, "repository": Repository, "path": w.RepositoryPath(), "file": file,
		})
	} else {
		_, err = fmt.Fprintf(s.Out, "# The world is served; rung joins it with: env $(cat %s) rung serve\n# GitHub: %s/%s\n%s", file, w.GitHubURL, Repository, text)
	}
	if err != nil {
		return err
	}
	s.converse(ctx, w, t)
	return nil
}

// Watch lets a person play: it publishes a first version, tells what happens
// and what to do, and takes words from In, until ctx ends or they say quit.
func (s Show) Watch(ctx context.Context) (err error) {
	st, err := s.open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.close()) }()
	st.teller.say("%s", welcome(st.world))
	if err := publish(ctx, st.world, st.teller, "checkout", "1.1.0", false); err != nil {
		return err
	}
	s.converse(ctx, st.world, st.teller)
	return nil
}
