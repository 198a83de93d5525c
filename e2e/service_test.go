package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/rs/zerolog"

	"github.com/rungbot/rung/internal/app"
	"github.com/rungbot/rung/internal/promotion"
	"github.com/rungbot/rung/internal/settings"
)

// soon is how near a look must be for rung not to be idle.
const soon = 1500 * time.Millisecond

// inside is rung in this process.
type inside struct {
	world  *world
	app    *app.App
	cancel context.CancelFunc
	done   chan error
}

// startInside starts rung in this process.
func (w *world) startInside(ctx context.Context) error {
	s, err := settings.Load(w.env)
	if err != nil {
		return err
	}
	a, err := app.New(ctx, s, app.Options{Log: zerolog.New(&w.logs)})
	if err != nil {
		return err
	}
	run, cancel := context.WithCancel(context.Background())
	in := &inside{world: w, app: a, cancel: cancel, done: make(chan error, 1)}
	w.rung = in
	w.emu.SetWebhookURL("http://" + in.addr() + "/github/webhook")
	go func() { in.done <- a.Run(run) }()
	return nil
}

func (in *inside) addr() string { return in.app.Addr() }

func (in *inside) view(ctx context.Context) (promotion.View, error) {
	views, err := in.app.Queue().Views(ctx, promotion.ViewName)
	if err != nil {
		return promotion.View{}, err
	}
	for _, raw := range views {
		var v promotion.View
		if err := json.Unmarshal(raw.Data, &v); err != nil {
			return v, err
		}
		if strings.EqualFold(v.Repository.FullName(), in.world.name) || len(views) == 1 {
			return v, nil
		}
	}
	return promotion.View{}, nil
}

func (in *inside) idle(ctx context.Context) (bool, error) {
	if !in.app.Looked() {
		return false, nil
	}
	stats, err := in.app.Queue().Stats(ctx)
	if err != nil || stats.Received+stats.Failed+stats.Hints+stats.InFlight > 0 {
		return false, err
	}
	keys, err := in.app.Queue().Keys(ctx, "", 100)
	for _, k := range keys {
		if !k.NextAt.IsZero() && time.Until(k.NextAt) < soon {
			return false, err
		}
	}
	return len(keys) > 0, err
}

func (in *inside) sweep(ctx context.Context) error {
	return in.app.Redeliver(ctx, time.Now().Add(-time.Hour))
}

func (in *inside) stop() error {
	in.cancel()
	return errors.Join(<-in.done, in.app.Close())
}

// outside is rung as a process of its own.
type outside struct {
	cmd    *exec.Cmd
	listen string
}

// binary builds the real rung once for all stories.
var binary = sync.OnceValues(func() (string, error) {
	if ready := os.Getenv("RUNG_BINARY"); ready != "" {
		return ready, nil
	}
	path := filepath.Join(buildDir, "rung")
	out, err := exec.Command("go", "build", "-o", path, "../cmd/rung").CombinedOutput() // #nosec G204 -- a fixed command
	if err != nil {
		return "", fmt.Errorf("go build ../cmd/rung: %w\n%s", err, out)
	}
	return path, nil
})

// startOutside starts `rung serve` and waits until it is ready.
func (w *world) startOutside(ctx context.Context) error {
	path, err := binary()
	if err != nil {
		return err
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	out := &outside{listen: l.Addr().String()}
	if err := l.Close(); err != nil {
		return err
	}
	out.cmd = exec.Command(path, "serve") // #nosec G204 -- what was just built
	out.cmd.Env = append(os.Environ(), w.env...)
	out.cmd.Env = append(out.cmd.Env, "RUNG_LISTEN="+out.listen)
	out.cmd.Stdout, out.cmd.Stderr = &w.logs, &w.logs
	if err := out.cmd.Start(); err != nil {
		return err
	}
	w.rung = out
	w.emu.SetWebhookURL("http://" + out.listen + "/github/webhook")
	for {
		if resp, err := http.Get("http://" + out.listen + "/readyz"); err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
		}
		if err := pause(ctx); err != nil {
			return fmt.Errorf("rung serve is not ready: %w", err)
		}
	}
}

func (out *outside) addr() string { return out.listen }

// view knows only what can be seen from outside: nothing.
func (out *outside) view(context.Context) (promotion.View, error) { return promotion.View{}, nil }

func (out *outside) idle(context.Context) (bool, error) {
	return false, errors.New("whether another process is idle can't be seen: use until")
}

func (out *outside) sweep(context.Context) error {
	return errors.New("another process sweeps when it wants")
}

func (out *outside) stop() error {
	if err := out.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	err := out.cmd.Wait()
	if err != nil && strings.Contains(err.Error(), "terminated") {
		return nil
	}
	return err
}
