package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"

	"github.com/rungbot/rung/internal/githubemu"
)

// Acts about a rung that dies, in a world of its own program.
func init() {
	acts["github"] = act{"github down|up: it answers no request; webhooks go out all the same", [2]int{1, 1}, doGitHub}
	acts["die"] = act{"die [-wipe]: rung, at once, and its data directory", [2]int{0, 1}, doDie}
	acts["start"] = act{"start: rung, after die", [2]int{0, 0}, doStart}
	acts["enqueue"] = act{"enqueue PERSON PR: into the base branch's merge queue, and GROUP is its commit", [2]int{2, 2}, doEnqueue}
	looks["accepted"] = look{"accepted EVENT: rung answered 202 to the newest such webhook", [2]int{1, 1}, seeAccepted}
}

func doGitHub(_ context.Context, w *world, args []string) (map[string]string, error) {
	w.emu.ClearFaults()
	if args[0] == "up" {
		return nil, nil
	}
	_, err := w.emu.AddFault(githubemu.Fault{Kind: githubemu.FaultCutBefore, Times: -1})
	return nil, err
}

func doDie(_ context.Context, w *world, args []string) (map[string]string, error) {
	out, alone := w.rung.(*outside)
	if !alone {
		return nil, errors.New("only a program can be killed: say world -real")
	}
	if err := out.cmd.Process.Kill(); err != nil {
		return nil, err
	}
	_ = out.cmd.Wait() // it was killed
	if len(args) == 1 {
		return nil, os.RemoveAll(w.data())
	}
	return nil, nil
}

func seeAccepted(_ context.Context, w *world, args []string) (bool, string, error) {
	newest := githubemu.Delivery{}
	for _, d := range w.emu.Deliveries() {
		if d.Event == args[0] {
			newest = d
		}
	}
	return newest.StatusCode == http.StatusAccepted, fmt.Sprintf("%d %s", newest.StatusCode, newest.Status), nil
}

func doStart(ctx context.Context, w *world, _ []string) (map[string]string, error) {
	return nil, w.startOutside(ctx)
}

func doEnqueue(ctx context.Context, w *world, args []string) (map[string]string, error) {
	n, err := strconv.Atoi(args[1])
	if err != nil {
		return nil, err
	}
	if err := w.emu.Enqueue(ctx, w.name, n, args[0]); err != nil {
		return nil, err
	}
	st, err := w.state(ctx)
	for name, sha := range st.Branches {
		if strings.HasPrefix(name, "gh-readonly-queue/") {
			return map[string]string{"GROUP": sha}, err
		}
	}
	return nil, errors.Join(err, errors.New("there is no group"))
}
