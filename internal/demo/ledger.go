package demo

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/rungbot/rung/internal/app"
	"github.com/rungbot/rung/internal/githubemu"
	"github.com/rungbot/rung/internal/githubemu/gitstore"
	"github.com/rungbot/rung/internal/ledger"
	"github.com/rungbot/rung/internal/promotion"
)

// ledgerRef is where the ledger is kept.
const ledgerRef = "refs/heads/rung/ledger"

// Entry is one record of the ledger, with the commit that brought it.
type Entry struct {
	Commit string
	promotion.LedgerEntry
}

// Records are the ledger's records so far, oldest first, read from the bare
// repository; their signatures are checked. A ledger that has not begun has
// none.
func (w *World) Records(ctx context.Context) ([]Entry, error) {
	w.reading.Lock()
	defer w.reading.Unlock()
	if w.ledger == nil {
		w.ledger = w.ledgerReader()
	}
	_, err := w.ledger.more(ctx)
	return slices.Clone(w.ledger.entries), err
}

// current is the newest landing or adoption of a pair, with its settle.
type current struct {
	land   Entry
	settle *Entry
}

// currents are the pairs' newest landings, by the records.
func currents(entries []Entry) map[promotion.Pair]current {
	all := map[promotion.Pair]current{}
	for _, e := range entries {
		if e.Record.Artifact == nil {
			continue
		}
		pair := ledger.PairOf(e.Record)
		switch e.Record.Kind {
		case promotion.RecordLand, promotion.RecordAdopt:
			all[pair] = current{land: e}
		case promotion.RecordSettle:
			c := all[pair]
			c.settle = &e
			all[pair] = c
		}
	}
	return all
}

// AtRest reports whether nothing is under way: everything that main names is
// recorded and settled, and no pull request of rung's is open. A world without
// a ledger is not at rest.
func (w *World) AtRest(ctx context.Context) (bool, error) {
	entries, err := w.Records(ctx)
	if err != nil || len(entries) == 0 {
		return false, err
	}
	live, err := w.Live(ctx)
	if err != nil {
		return false, err
	}
	recorded := currents(entries)
	for pair, v := range live {
		c := recorded[pair]
		if a := c.land.Record.Artifact; a == nil || a.Digest != v.Digest || c.settle == nil {
			return false, nil
		}
	}
	state, err := w.emulator.State(ctx, Repository)
	if err != nil {
		return false, err
	}
	return !slices.ContainsFunc(state.Pulls, func(p githubemu.PullState) bool { return p.State == "open" && p.Author == "rung[bot]" }), nil
}

func (w *World) ledgerReader() *ledgerReader {
	return &ledgerReader{git: w.git, keys: app.KeysOf(w.keys.release.Public()), known: map[string]bool{}}
}

// ledgerReader follows the ledger, commit by commit.
type ledgerReader struct {
	git     gitstore.Repository
	keys    ledger.Keys
	tip     string
	entries []Entry
	known   map[string]bool // statements
}

// more reads what was written since the last call and returns it.
func (r *ledgerReader) more(ctx context.Context) ([]Entry, error) {
	refs, err := r.git.Refs(ctx, ledgerRef)
	if err != nil {
		return nil, err
	}
	tip := refs[ledgerRef]
	var fresh []gitstore.Commit
	for at := tip; at != "" && at != r.tip; {
		c, err := r.git.ReadCommit(ctx, at)
		if err != nil {
			return nil, err
		}
		fresh = append(fresh, c)
		at = ""
		if len(c.Parents) > 0 {
			at = c.Parents[0]
		}
	}
	slices.Reverse(fresh)
	before := len(r.entries)
	for _, c := range fresh {
		if err := r.read(ctx, c); err != nil {
			return nil, fmt.Errorf("ledger commit %.7s: %w", c.ID, err)
		}
		r.tip = c.ID
	}
	return r.entries[before:], nil
}

// read adds the records that a commit brought.
func (r *ledgerReader) read(ctx context.Context, c gitstore.Commit) error {
	parent := ""
	if len(c.Parents) > 0 {
		p, err := r.git.ReadCommit(ctx, c.Parents[0])
		if err != nil {
			return err
		}
		parent = p.Tree
	}
	blobs, err := r.changed(ctx, parent, c.Tree)
	if err != nil {
		return err
	}
	for _, id := range blobs {
		_, data, err := r.git.ReadObject(ctx, id)
		if err != nil {
			return err
		}
		entries, err := ledger.DecodeFile(data, r.keys)
		if err != nil {
			return err
		}
		for _, e := range entries {
			if !r.known[e.Statement] {
				r.known[e.Statement] = true
				r.entries = append(r.entries, Entry{c.ID, e})
			}
		}
	}
	return nil
}

// changed lists the record files of a tree that another has not, in the order
// of the tree.
func (r *ledgerReader) changed(ctx context.Context, from, to string) ([]string, error) {
	was := map[string]string{}
	if from != "" {
		entries, err := r.git.ReadTree(ctx, from)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			was[e.Name] = e.ID
		}
	}
	is, err := r.git.ReadTree(ctx, to)
	if err != nil {
		return nil, err
	}
	var blobs []string
	for _, e := range is {
		switch {
		case was[e.Name] == e.ID:
		case e.Mode == "40000":
			below, err := r.changed(ctx, was[e.Name], e.ID)
			if err != nil {
				return nil, err
			}
			blobs = append(blobs, below...)
		case strings.HasSuffix(e.Name, ".intoto.jsonl"):
			blobs = append(blobs, e.ID)
		}
	}
	return blobs, nil
}
