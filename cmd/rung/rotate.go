package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/rungbot/rung/internal/audit"
	"github.com/rungbot/rung/internal/ledger"
	"github.com/rungbot/rung/internal/promotion"
	"github.com/rungbot/rung/internal/sign"
)

// ground is where a statement is made from, and by whom.
type ground struct {
	Path  string `arg:"" optional:"" default:"." type:"path" help:"Local clone, bare or not, with the branch rung/ledger."`
	Trust string `type:"existingfile" placeholder:"FILE" help:"Instead of a clone: the ledger's trust.intoto.jsonl or, where it has none, its allowed_signers."`
	Tip   string `placeholder:"COMMIT" help:"With --trust: the ledger's head."`
	Begin bool   `help:"Make the statement that a new ledger begins with."`

	URL          string `name:"url" placeholder:"URL" help:"With --begin, or --trust of an allowed_signers: the repository's web address."`
	RepositoryID int64  `placeholder:"N" help:"Likewise: its number on GitHub (gh api repos/OWNER/NAME -q .id)."`
	App          int64  `placeholder:"N" help:"Likewise: the number of the App that writes the ledger."`

	RootKey   string `type:"existingfile" placeholder:"FILE" help:"Private root key that signs it."`
	RootAgent string `placeholder:"KEY" help:"Or the root key in the ssh-agent: its .pub file or fingerprint."`
	Reason    string `help:"Why, in a line; it stays in the record."`
	Output    string `short:"o" type:"path" placeholder:"FILE" help:"Where to write the statement, a new file; without it, to standard output."`
	JSON      bool   `help:"Print what the statement says as JSON, instead of the statement; goes with --output."`
}

// keysRotateCommand makes a rotate statement.
type keysRotateCommand struct {
	ground
	Release  []string      `type:"existingfile" placeholder:"FILE" help:"Public release key to add."`
	Root     []string      `type:"existingfile" placeholder:"FILE" help:"Public root key to add."`
	DropRoot []string      `placeholder:"FINGERPRINT" help:"Root key that is to be one no longer."`
	Overlap  time.Duration `default:"24h" help:"How long the release keys of before may still sign when one is added: until then the new one must be in use."`
}

// Help says how it gets into the ledger.
func (keysRotateCommand) Help() string {
	return "Needs no network and writes nothing but the statement. Name that file in RUNG_TRUST_FILE: rung serve carries it into the ledger with its next pass, and refuses one that no root key in force signed."
}

// Run makes the statement.
func (c keysRotateCommand) Run(ctx context.Context, io streams) error {
	change := ledger.TrustChange{DropRoots: c.DropRoot, Reason: c.Reason}
	if c.Overlap < 0 {
		return errors.New("--overlap must not be negative")
	}
	if !c.Begin {
		change.End = time.Now().Add(c.Overlap)
	}
	for _, list := range []struct {
		files []string
		keys  *[]sign.PublicKey
	}{{c.Release, &change.Release}, {c.Root, &change.Roots}} {
		for _, name := range list.files {
			k, err := sign.LoadPublicKeyFile(name)
			if err != nil {
				return err
			}
			*list.keys = append(*list.keys, k)
		}
	}
	if len(change.Release)+len(change.Roots)+len(change.DropRoots) == 0 {
		return errors.New("nothing is to be changed: name --release, --root or --drop-root")
	}
	rotation, _, err := c.read(ctx, io)
	if err != nil {
		return err
	}
	return c.state(io, rotation, change)
}

// keysRevokeCommand makes a rotate statement that revokes.
type keysRevokeCommand struct {
	Key string `arg:"" help:"Fingerprint (SHA256:…) of the key."`
	ground
	After   string   `required:"" placeholder:"COMMIT" help:"The cut: the last ledger commit that is trusted. What the key signed up to there stays valid, what stands behind it fails."`
	Release []string `type:"existingfile" placeholder:"FILE" help:"Public release key to add in its place."`
}

// Help says how it gets into the ledger, and what it can't do.
func (keysRevokeCommand) Help() string {
	return "Needs no network and writes nothing but the statement; a root key signs it, and not the one that is revoked. Stop the rung serve that has the key first. Name the file in RUNG_TRUST_FILE of the one with the new key: it carries it with its next pass. A revocation is never taken back."
}

// Run makes the statement.
func (c keysRevokeCommand) Run(ctx context.Context, io streams) error {
	if !strings.HasPrefix(c.Key, "SHA256:") {
		return fmt.Errorf("%q is no fingerprint: it must be SHA256:…, as ssh-keygen -l prints it", c.Key)
	}
	change := ledger.TrustChange{Reason: c.Reason, Cuts: map[string]time.Time{c.Key: time.Now()}}
	for _, name := range c.Release {
		k, err := sign.LoadPublicKeyFile(name)
		if err != nil {
			return err
		}
		change.Release = append(change.Release, k)
	}
	rotation, report, err := c.read(ctx, io)
	if err != nil {
		return err
	}
	if rotation.Tip == "" {
		return errors.New("there is no ledger yet, and so nothing to revoke: use rung keys rotate --begin with the keys that are to count")
	}
	known := slices.ContainsFunc(rotation.Before.Signers, func(s sign.AllowedSigner) bool { return s.Key.Fingerprint() == c.Key })
	if !known {
		return fmt.Errorf("%s is not on the trust list in force", c.Key)
	}
	cut, err := promotion.ParseHash(c.After)
	if report != nil {
		var at time.Time
		var there bool
		if cut, at, there = report.Dated(c.After); !there {
			return fmt.Errorf("--after %s is no commit of this ledger", c.After)
		}
		change.Cuts[c.Key] = at
	} else if err != nil {
		return fmt.Errorf("--after: %w", err)
	}
	change.Revoke = []promotion.Revocation{{Key: c.Key, After: cut, Reason: c.Reason}}
	return c.state(io, rotation, change)
}

// read learns what the statement stands on. The report is nil without a clone.
func (g ground) read(ctx context.Context, io streams) (ledger.Rotation, *audit.Report, error) {
	if (g.RootKey == "") == (g.RootAgent == "") {
		return ledger.Rotation{}, nil, errors.New("name the root key that signs: --root-key FILE or --root-agent KEY")
	}
	if g.JSON && g.Output == "" {
		return ledger.Rotation{}, nil, errors.New("--json tells what the statement says: name a file for the statement itself with --output")
	}
	if g.Begin || g.Trust != "" {
		r, err := g.told()
		return r, nil, err
	}
	_, report, err := read(ctx, g.Path, "")
	if err != nil {
		return ledger.Rotation{}, nil, err
	}
	if code := report.ExitCode(); code != 0 {
		fmt.Fprintf(io.err, "rung: this clone's history does not hold, or could not be judged whole (%d findings): look at rung verify before you sign\n", len(report.Findings))
	}
	r := report.Rotation()
	if r.Repository.ID == 0 || len(r.Before.Signers) == 0 {
		return r, nil, errors.New("the ledger of this clone has no trust list that can be followed: rung verify says why")
	}
	return r, report, nil
}

// told takes what the statement stands on from flags.
func (g ground) told() (ledger.Rotation, error) {
	r := ledger.Rotation{Repository: promotion.RecordRepository{URI: strings.TrimSuffix(g.URL, "/"), ID: g.RepositoryID, App: g.App}}
	if g.Trust != "" {
		if g.Begin {
			return r, errors.New("--begin and --trust can't be used together")
		}
		tip, err := promotion.ParseHash(g.Tip)
		if err != nil {
			return r, fmt.Errorf("--tip: %w", err)
		}
		r.Tip = tip
		data, err := os.ReadFile(g.Trust)
		if err != nil {
			return r, err
		}
		if strings.HasPrefix(string(data), "{") {
			e, _, err := ledger.PeekRotate([]byte(strings.TrimSuffix(string(data), "\n")))
			if err != nil {
				return r, fmt.Errorf("%s: %w", g.Trust, err)
			}
			e.Blob = ledger.BlobHash(data)
			r.Standing, r.Repository = &e, e.Record.Repository
			r.Before, err = ledger.TrustOf(e.Record)
			return r, err
		}
		signers, err := sign.ParseAllowedSigners(data)
		if err != nil {
			return r, fmt.Errorf("%s: %w", g.Trust, err)
		}
		r.Before = ledger.TrustList{Signers: signers}
	}
	if r.Repository.URI == "" || r.Repository.ID <= 0 || r.Repository.App <= 0 {
		return r, errors.New("name the repository: --url, --repository-id and --app")
	}
	return r, nil
}

// state signs and writes the statement.
func (g ground) state(io streams, r ledger.Rotation, change ledger.TrustChange) error {
	key, err := g.key(io)
	if err != nil {
		return err
	}
	line, e, err := r.Sign(key, change, time.Now())
	if err != nil {
		return err
	}
	if g.Output == "" {
		_, err := fmt.Fprintf(io.out, "%s\n", line)
		return err
	}
	if err := sign.WriteNewFile(g.Output, append(line, '\n'), 0o644); err != nil {
		return err
	}
	if g.JSON {
		return encode(io, e.Record)
	}
	fmt.Fprintf(io.out, "%s: rotate statement %d of %s, signed by %s\n\n%s\nName the file in RUNG_TRUST_FILE: rung serve carries it into the ledger with its next pass.\n",
		g.Output, e.Record.Trust.Serial, e.Record.Repository.URI, key.Public().Fingerprint(), e.Record.Keys)
	return nil
}

// key is the root key that signs.
func (g ground) key(io streams) (*sign.Key, error) {
	if g.RootKey != "" {
		return sign.LoadKeyFile(g.RootKey)
	}
	return sign.AgentKey(variable(io.env, "SSH_AUTH_SOCK"), g.RootAgent)
}
