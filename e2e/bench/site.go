package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/rungbot/rung/internal/demo"
	"github.com/rungbot/rung/internal/githubemu"
	"github.com/rungbot/rung/internal/promotion"
)

const (
	// stillFor is how long nothing may happen for a site to be at rest; it is
	// longer than any pause that rung makes while something is to be done.
	stillFor = 2500 * time.Millisecond
	// glance is how often the world is looked at while something long goes on:
	// each look runs git.
	glance = 250 * time.Millisecond
)

// site is a world with rung in it as a process of its own.
type site struct {
	*demo.World
	rung    *process
	traffic *traffic
	// rested is true when nothing was done to it since it was last at rest.
	rested bool
}

// openSite starts a world of the files that are given, and rung in it.
// Environment variables of extra win over the world's.
func openSite(ctx context.Context, binary string, noGraphQL bool, files func(host string) map[string]string, extra ...string) (*site, error) {
	s := &site{traffic: &traffic{}}
	w, err := demo.Start(ctx, demo.Options{
		Seed: 1,
		Emulator: func(c *githubemu.Config) {
			c.NoGraphQL = noGraphQL
			c.Store = s.traffic.around(c.Store)
		},
		Files: func(sample map[string]string) {
			host := registryHost.FindStringSubmatch(sample["rung.yaml"])
			clear(sample)
			if host != nil {
				maps.Copy(sample, files(host[1]))
			}
		},
	})
	if err != nil {
		return nil, err
	}
	s.World = w
	if s.rung, err = serve(ctx, binary, w, extra...); err != nil {
		return nil, errors.Join(err, w.Close())
	}
	return s, nil
}

// registryHost finds the registry of a world in its sample configuration.
var registryHost = regexp.MustCompile(`image: (\S+)/acme/`)

func (s *site) close() error { return errors.Join(s.rung.stop(), s.Close()) }

// onboard merges the pull request that names the ledger.
func (s *site) onboard(ctx context.Context) error {
	pr, err := s.pull(ctx, "the onboarding pull request", func(pr *githubemu.PullState) bool {
		return "refs/heads/"+pr.Head == promotion.OnboardRef && pr.State == "open"
	})
	if err != nil {
		return err
	}
	_, err = s.Emulator().Merge(ctx, demo.Repository, pr.Number, demo.Alice, "")
	return err
}

// publish publishes a version and announces it.
func (s *site) publish(ctx context.Context, artifact promotion.Artifact, version promotion.Version) error {
	_, err := s.Publish(ctx, artifact, version, false)
	return err
}

// pull waits for a pull request.
func (s *site) pull(ctx context.Context, what string, is func(*githubemu.PullState) bool) (found githubemu.PullState, err error) {
	err = s.WaitFor(ctx, what, func(ctx context.Context) (bool, error) {
		state, err := s.Emulator().State(ctx, demo.Repository)
		if err != nil {
			return false, err
		}
		i := slices.IndexFunc(state.Pulls, func(pr githubemu.PullState) bool { return is(&pr) })
		if i >= 0 {
			found = state.Pulls[i]
		}
		return i >= 0, nil
	})
	return found, err
}

// opened waits for the open pull request of a version, with its check run, of
// that title if one is given.
func (s *site) opened(ctx context.Context, artifact promotion.Artifact, version promotion.Version, title string) (found githubemu.PullState, err error) {
	what := fmt.Sprintf("the pull request of %s %s and its check", artifact, version)
	err = s.WaitFor(ctx, what, func(ctx context.Context) (bool, error) {
		state, err := s.Emulator().State(ctx, demo.Repository)
		if err != nil {
			return false, err
		}
		for _, pr := range state.Pulls {
			if pr.State != "open" || !strings.HasSuffix(pr.Head, "/"+string(artifact)) || !strings.Contains(pr.Title, string(version)) {
				continue
			}
			found = pr
			return slices.ContainsFunc(state.Checks[pr.HeadSHA], func(c githubemu.CheckState) bool {
				return c.Name == promotion.CheckName && (title == "" || c.Title == title)
			}), nil
		}
		return false, nil
	})
	return found, err
}

// landed waits until a version has landed in so many environments and all is
// at rest.
func (s *site) landed(ctx context.Context, artifact promotion.Artifact, version promotion.Version, environments int) error {
	what := fmt.Sprintf("%s %s to land and to settle", artifact, version)
	return s.await(ctx, what, func(ctx context.Context) (bool, error) {
		live, err := s.Live(ctx)
		if err != nil {
			return false, err
		}
		n := 0
		for pair, v := range live {
			if pair.Artifact == artifact && v.Version == version {
				n++
			}
		}
		if n < environments {
			return false, nil
		}
		return s.AtRest(ctx)
	})
}

// await is WaitFor with longer pauses between the looks.
func (s *site) await(ctx context.Context, what string, condition func(context.Context) (bool, error)) error {
	last := time.Time{}
	return s.WaitFor(ctx, what, func(ctx context.Context) (bool, error) {
		if time.Since(last) < glance {
			return false, nil
		}
		done, err := condition(ctx)
		last = time.Now()
		return done, err
	})
}

// tally is what was counted while something happened.
type tally struct {
	githubemu.Counts
	// took is how long it was until what was waited for had come.
	took time.Duration
	// sent and received are the bytes of git's requests and answers.
	sent, received int64
}

func (t tally) pushes() int { return t.Of(pushRoute) }

func (t tally) git() string {
	return fmt.Sprintf("%d git requests, %.1f kB sent, %.1f kB received", t.ByClass[githubemu.Git], float64(t.sent)/1000, float64(t.received)/1000)
}

// during counts what happens from rest through f to rest again.
func (s *site) during(ctx context.Context, f func(context.Context) error) (t tally, err error) {
	if !s.rested {
		if err := s.still(ctx); err != nil {
			return tally{}, err
		}
	}
	s.rested = false
	s.Emulator().ResetCounts()
	s.traffic.reset()
	began := time.Now()
	if err := f(ctx); err != nil {
		return tally{}, err
	}
	t.took = time.Since(began)
	if err := s.still(ctx); err != nil {
		return tally{}, err
	}
	t.Counts = s.Emulator().Counts()
	t.sent, t.received = s.traffic.sums()
	s.rested = true
	return t, nil
}

// still waits until every webhook is delivered and nothing has been asked for
// some time.
func (s *site) still(ctx context.Context) error {
	last, since := -1, time.Now()
	return s.await(ctx, "nothing to happen", func(ctx context.Context) (bool, error) {
		if err := s.Emulator().Flush(ctx); err != nil {
			return false, err
		}
		n := 0
		for _, r := range s.Emulator().Counts().Routes {
			n += r.Count
		}
		if n != last {
			last, since = n, time.Now()
		}
		return time.Since(since) >= stillFor, nil
	})
}

// process is one `rung serve`.
type process struct {
	cmd   *exec.Cmd
	log   string
	ended chan struct{}
}

// serve starts rung in a world and waits until it is ready.
func serve(ctx context.Context, binary string, w *demo.World, extra ...string) (*process, error) {
	p := &process{log: filepath.Join(w.Dir, "rung.log"), ended: make(chan struct{})}
	file, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()   // the process has its own
	p.cmd = exec.Command(binary, "serve") // #nosec G204 -- the program under test
	p.cmd.Env = append(append([]string{"HOME=" + w.Dir, "TMPDIR=" + w.Dir, "RUNG_LOG_FORMAT=json"}, w.Environ()...), extra...)
	p.cmd.Stdout, p.cmd.Stderr = file, file
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = p.cmd.Wait() // how it ended is asked of it in stop
		close(p.ended)
	}()
	if err := w.WaitFor(ctx, "rung serve to be ready", func(ctx context.Context) (bool, error) {
		select {
		case <-p.ended:
			return false, fmt.Errorf("it ended: %s", p.said())
		default:
			return ready(ctx, w.BoardURL+"/readyz")
		}
	}); err != nil {
		return nil, errors.Join(err, p.stop())
	}
	return p, nil
}

// said is the end of the log.
func (p *process) said() string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-2000):])
}

// stop asks the process to end, and makes it end when it does not.
func (p *process) stop() error {
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may have ended by itself
	timer := time.NewTimer(20 * time.Second)
	defer timer.Stop()
	select {
	case <-p.ended:
	case <-timer.C:
		_ = p.cmd.Process.Kill()
		<-p.ended
		return fmt.Errorf("rung serve did not stop within 20 s: %s", p.said())
	}
	if code := p.cmd.ProcessState.ExitCode(); code != 0 {
		return fmt.Errorf("rung serve ended with code %d: %s", code, p.said())
	}
	return nil
}

// kilobytes reads a figure of the process's memory that the kernel keeps, such
// as VmHWM, the peak of what was resident.
func (p *process) kilobytes(name string) (int, error) {
	file, err := os.Open(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0, fmt.Errorf("memory is read from /proc, which only Linux has: %w", err)
	}
	defer func() { _ = file.Close() }()
	text, err := io.ReadAll(io.LimitReader(file, 64<<10))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			return strconv.Atoi(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")))
		}
	}
	return 0, fmt.Errorf("/proc/%d/status has no %s", p.cmd.Process.Pid, name)
}
