package e2e

import (
	"context"
	"strings"
	"time"

	"github.com/rungbot/rung/internal/githubemu"
)

// Acts upon the App itself, and upon GitHub's clock.

// doClock sets GitHub's clock apart from everybody else's.
func doClock(_ context.Context, w *world, args []string) (map[string]string, error) {
	d, err := time.ParseDuration(args[0])
	w.ahead.Store(int64(d))
	return nil, err
}

// doApp changes what the App asks its installations for.
func doApp(_ context.Context, w *world, args []string) (map[string]string, error) {
	w.emu.SetApp(permissions(args), nil)
	return nil, nil
}

// permissions reads NAME=LEVEL…, or all.
func permissions(args []string) map[string]string {
	if args[0] == "all" {
		return githubemu.DefaultPermissions()
	}
	out := map[string]string{}
	for _, arg := range args {
		name, level, _ := strings.Cut(arg, "=")
		out[name] = level
	}
	return out
}

// doHook changes how webhooks are sent.
func doHook(_ context.Context, w *world, args []string) (map[string]string, error) {
	w.emu.SetHook(args[0], len(args) == 2)
	return nil, nil
}
