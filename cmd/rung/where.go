package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/rungbot/rung/internal/api"
	"github.com/rungbot/rung/internal/api/client"
	"github.com/rungbot/rung/internal/gitrepo"
	"github.com/rungbot/rung/internal/local"
	"github.com/rungbot/rung/internal/promotion"
	"github.com/rungbot/rung/internal/settings"
)

// where says who is asked: a running rung (RUNG_URL), or a clone.
type where struct {
	Local bool   `help:"Read a clone alone, also where RUNG_URL is set; it says what it can't see."`
	Path  string `type:"path" placeholder:"PATH" help:"The clone, bare or not; the current directory without it. Implies --local."`
	Base  string `placeholder:"BRANCH" help:"The clone's base branch, if not the one that the ledger names."`
	Root  string `placeholder:"FINGERPRINT" help:"Fingerprint (SHA256:…) of the key that must have begun the clone's ledger."`
}

// whereHelp is what the commands with where say of it.
const whereHelp = " Asks the rung at RUNG_URL (with RUNG_TOKEN, where something before it wants to know who asks). Without RUNG_URL, or with --local, it reads a clone, as old as its last git fetch, and says what it could not see."

// service is the running rung to ask; nil: a clone is read.
func (w where) service(io streams) (*client.Client, error) {
	if w.Local || w.Path != "" {
		return nil, nil
	}
	s, err := settings.LoadClient(io.env)
	if err != nil || s.URL == "" {
		return nil, err
	}
	return client.New(s.URL, s.Token.Reveal(), version, nil), nil
}

// look reads the clone.
func (w where) look(ctx context.Context) (*local.Seen, error) {
	return local.Look(ctx, cmp.Or(w.Path, "."), local.Options{Base: w.Base, Root: w.Root})
}

// repositories refuses what can be the name of no repository.
func repositories(names ...string) error {
	for _, name := range names {
		if _, _, ok := promotion.CutFullName(name); !ok {
			return fmt.Errorf("%.100q is no repository: write it as OWNER/NAME", name)
		}
	}
	return nil
}

// named is the repository to ask the service about: the one that is given, that of
// the clone here, or the only one that there is.
func named(ctx context.Context, c *client.Client, given string) (string, error) {
	if given != "" {
		return given, nil
	}
	list, err := c.List(ctx)
	if err != nil {
		return "", err
	}
	var here string
	if clone, err := gitrepo.OpenClone("."); err == nil { // elsewhere than in a clone nothing is meant
		here = local.Named(clone.Origin).FullName()
	}
	var all []string
	for _, r := range list.Repositories {
		name := r.Owner + "/" + r.Name
		if strings.EqualFold(name, here) {
			return name, nil
		}
		if r.Configured {
			all = append(all, name)
		}
	}
	if len(all) == 1 {
		return all[0], nil
	}
	if len(all) == 0 {
		return "", fmt.Errorf("rung has looked at no repository with a rung.yaml yet: install the App on one, and run rung init there")
	}
	return "", fmt.Errorf("which repository? Name one with --repository; there are: %s", strings.Join(all, ", "))
}

// verified is the exit code of what a clone showed: what does not verify is told, and
// is never success.
func verified(seen *local.Seen, code int) error {
	if seen != nil && seen.Verified != nil {
		if found := seen.Verified.ExitCode(); found != 0 {
			return &exitError{code: found, err: fmt.Errorf("the ledger does not hold, or could not be judged whole: rung verify says what was found")}
		}
	}
	if code != 0 {
		return &exitError{code: code}
	}
	return nil
}

// wrong is the exit code of a repository: 1 where something needs a person.
func wrong(r *api.Repository) int {
	stuck := slices.ContainsFunc(r.Pairs, func(p api.Pair) bool {
		return p.Phase == promotion.PhaseHeld || p.Phase == promotion.PhaseUnhealthy
	})
	if r.Error != "" || len(r.Problems) > 0 || stuck {
		return 1
	}
	return 0
}
