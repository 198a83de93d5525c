package ledger

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rungbot/rung/internal/gitrepo"
	"github.com/rungbot/rung/internal/promotion"
	"github.com/rungbot/rung/internal/sign"
)

// Repository is what the ledger needs of a git repository. *gitrepo.Remote is
// one.
type Repository interface {
	Commit(ctx context.Context, hash promotion.Hash) (gitrepo.Commit, error)
	Fetch(ctx context.Context, commit promotion.Hash) error
	Walk(ctx context.Context, tree promotion.Hash, prefix string) ([]gitrepo.File, error)
	Blobs(ctx context.Context, hashes ...promotion.Hash) (map[promotion.Hash][]byte, error)
	ReadFiles(ctx context.Context, tree promotion.Hash, paths []string) (map[string][]byte, error)
	Rewrite(ctx context.Context, tree promotion.Hash, changes map[string]gitrepo.FileChange) (promotion.Hash, error)
	WriteCommit(ctx context.Context, spec gitrepo.CommitSpec) (promotion.Hash, error)
}

// Past is a Repository whose history can be walked. *gitrepo.Remote is one.
type Past interface {
	Repository
	CatchUp(ctx context.Context, from, to promotion.Hash) ([]gitrepo.Commit, gitrepo.Relation, error)
}

// Identity says whose ledger it is. Both numbers are written into the first
// commit and checked on every read.
type Identity struct {
	Repository int64
	App        int64
	// URI is the repository's address in records.
	URI string
}

// lineagePath holds the ledger's identity; see lineage.
const lineagePath = "lineage.json"

// lineage is in every ledger tree. First is empty in the first commit alone.
type lineage struct {
	Format     int            `json:"format"`
	Repository int64          `json:"repository"`
	App        int64          `json:"app"`
	First      promotion.Hash `json:"first,omitempty"`
}

// Reader reads ledger states. It caches decoded files by blob id, which never
// change; use it from one goroutine at a time.
type Reader struct {
	trust Trust
	id    Identity
	cache map[promotion.Hash][]promotion.LedgerEntry
	// known are the rotate statements that were found to hold, carried is the
	// greatest serial that a tree had, force what was in force at the last Read.
	known   [][]byte
	carried int
	force   *force
	// statements are those of the settings at the last Read.
	statements []byte
	// index are the files of the trust list as they were read last.
	index    map[string][]byte
	indexKey string
}

// NewReader returns a Reader for one repository.
func NewReader(trust Trust, id Identity) *Reader {
	return &Reader{trust: trust, id: id, cache: map[promotion.Hash][]promotion.LedgerEntry{}}
}

// ReadEnded reads the last state of a ledger whose keys are lost, by the trust list
// in its own tree: whoever named that commit vouches for it, and nobody else. A
// ledger that a key of this process could go on with has not ended: ErrTrust.
func (rd *Reader) ReadEnded(ctx context.Context, repo Past, tip promotion.Hash) (promotion.LedgerState, error) {
	if err := repo.Fetch(ctx, tip); err != nil {
		return promotion.LedgerState{}, err
	}
	commit, err := repo.Commit(ctx, tip)
	if err != nil {
		return promotion.LedgerState{}, err
	}
	files, err := repo.ReadFiles(ctx, commit.Tree, []string{SignersPath})
	if err != nil {
		return promotion.LedgerState{}, err
	}
	list, err := ParseTrust(string(files[SignersPath]))
	if err != nil {
		return promotion.LedgerState{}, fmt.Errorf("ledger commit %s: %w: %w", tip.Short(), ErrMalformed, err)
	}
	signer, err := sign.SignerOf(commit.Signature)
	if err != nil {
		return promotion.LedgerState{}, fmt.Errorf("ledger commit %s: %w: %w", tip.Short(), ErrSignature, err)
	}
	for _, own := range append(slices.Clone(rd.trust.Roots), rd.trust.Own) {
		if slices.ContainsFunc(list.Signers, func(s sign.AllowedSigner) bool { return s.Key == own }) {
			return promotion.LedgerState{}, fmt.Errorf("%w: %s is on that ledger's trust list and is not lost: take the line ledgerBefore out of rung.yaml, name the ledger in it, and push the branch rung/ledger back", ErrTrust, own.Fingerprint())
		}
	}
	trust := Trust{Own: signer}
	if !list.OwnRoot() {
		trust.Roots = list.Roots()
	}
	return NewReader(trust, rd.id).Read(ctx, repo, tip)
}

// maxCache bounds the cache; it is emptied when it is full.
const maxCache = 20000

// Read reads the present state at tip: its signature, whose ledger it is, and
// every record of its tree. Errors wrap ErrSignature, ErrForeign or
// ErrMalformed where the ledger is at fault, ErrTrust where the keys are; others
// are the git server's.
func (rd *Reader) Read(ctx context.Context, repo Past, tip promotion.Hash) (promotion.LedgerState, error) {
	st := promotion.LedgerState{
		Tip: tip, Live: map[promotion.Pair]promotion.LiveEntry{}, Open: map[promotion.Pair]promotion.LedgerEntry{},
		Quarantine: map[promotion.Digest]promotion.LedgerEntry{}, Freezes: map[string]promotion.LedgerEntry{},
		Announced: map[promotion.Artifact][]promotion.LedgerEntry{},
	}
	if err := repo.Fetch(ctx, tip); err != nil {
		return st, err
	}
	commit, err := repo.Commit(ctx, tip)
	if err != nil {
		return st, err
	}
	files, err := repo.Walk(ctx, commit.Tree, "")
	if err != nil {
		return st, err
	}
	f, signer, err := rd.judge(ctx, repo, commit, files)
	if err != nil {
		return st, fmt.Errorf("ledger commit %s: %w", tip.Short(), err)
	}
	t, err := ParseTrailers(commit.Message)
	if err != nil {
		return st, fmt.Errorf("ledger commit %s: %w: %w", tip.Short(), ErrMalformed, err)
	}
	if t == nil {
		return st, fmt.Errorf("ledger commit %s: %w", tip.Short(), malformed("no trailers"))
	}
	st.Base = t.Base
	keys := f.keys(rd.trust.Own)
	if err := rd.load(ctx, repo, files, keys); err != nil {
		return st, err
	}
	for _, f := range files {
		if f.Path == lineagePath {
			if st.First, err = rd.lineage(ctx, repo, f, tip); err != nil {
				return st, err
			}
			continue
		}
		if !strings.HasSuffix(f.Path, extension) || f.Path == TrustPath {
			continue
		}
		if err := place(&st, f.Path, rd.cache[f.Hash]); err != nil {
			return st, fmt.Errorf("ledger %s: %s: %w", tip.Short(), f.Path, err)
		}
	}
	if st.First == "" {
		return st, fmt.Errorf("ledger commit %s: %w", tip.Short(), malformed("no %s", lineagePath))
	}
	if err := rd.timely(commit, t, f, signer, st.IssuedAt); err != nil {
		return st, fmt.Errorf("ledger commit %s: %w", tip.Short(), err)
	}
	if list, listed := f.next(); listed {
		if err := list.maySign(rd.trust.Own.Fingerprint(), latest(commit.Committer.When, st.IssuedAt)); err != nil {
			return st, err
		}
	}
	st.Trust = f.standing
	if f.pending != nil {
		st.Pending = string(f.pending.line)
	}
	rd.remember(f)
	return st, nil
}

func latest(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

func (rd *Reader) lineage(ctx context.Context, repo Repository, f gitrepo.File, tip promotion.Hash) (promotion.Hash, error) {
	blobs, err := repo.Blobs(ctx, f.Hash)
	if err != nil {
		return "", err
	}
	var l lineage
	if err := json.Unmarshal(blobs[f.Hash], &l); err != nil {
		return "", malformed("%s: %v", lineagePath, err)
	}
	if l.Repository != rd.id.Repository {
		return "", fmt.Errorf("%w: it belongs to repository %d, this is %d", ErrForeign, l.Repository, rd.id.Repository)
	}
	if l.App != rd.id.App {
		return "", fmt.Errorf("%w: it is written by App %d, this is App %d; two Apps can't promote in one repository", ErrForeign, l.App, rd.id.App)
	}
	if l.First == "" {
		return tip, nil
	}
	return l.First, nil
}

// load decodes the record files that are not cached, all in one request.
func (rd *Reader) load(ctx context.Context, repo Repository, files []gitrepo.File, keys Keys) error {
	if len(rd.cache) > maxCache {
		clear(rd.cache)
	}
	var want []promotion.Hash
	for _, f := range files {
		if _, have := rd.cache[f.Hash]; !have && strings.HasSuffix(f.Path, extension) && f.Path != TrustPath {
			want = append(want, f.Hash)
		}
	}
	if len(want) == 0 {
		return nil
	}
	blobs, err := repo.Blobs(ctx, want...)
	if err != nil {
		return err
	}
	for _, f := range files {
		data, fetched := blobs[f.Hash]
		if !fetched || !strings.HasSuffix(f.Path, extension) || f.Path == TrustPath {
			continue
		}
		entries, err := DecodeFile(data, keys)
		if err != nil {
			return fmt.Errorf("ledger file %s: %w", f.Path, err)
		}
		for i := range entries {
			entries[i].Blob = f.Hash
			if entries[i].Record.Repository.ID != rd.id.Repository {
				return fmt.Errorf("ledger file %s: %w: a record of repository %d", f.Path, ErrForeign, entries[i].Record.Repository.ID)
			}
		}
		rd.cache[f.Hash] = entries
	}
	return nil
}

// maxLines is how many lines a record file has: a land, its verification
// summary, and its settle.
const maxLines = 3

// DecodeFile reads a record file: every line a canonical, signed envelope. A
// land is followed by its verification summary, which must say what follows from
// the land; it is left out of the result.
func DecodeFile(data []byte, keys Keys) ([]promotion.LedgerEntry, error) {
	read, err := Decoder{Keys: keys}.File(data)
	if err != nil {
		return nil, err
	}
	entries := make([]promotion.LedgerEntry, len(read))
	for i, e := range read {
		entries[i] = *e
	}
	return entries, nil
}

// File is DecodeFile. Nothing else holds the entries.
func (d Decoder) File(data []byte) ([]*promotion.LedgerEntry, error) {
	if len(data) == 0 || data[len(data)-1] != '\n' {
		return nil, malformed("the file does not end in a line feed")
	}
	lines := bytes.Count(data, []byte("\n"))
	if lines > maxLines {
		return nil, malformed("more than %d lines", maxLines)
	}
	entries := make([]*promotion.LedgerEntry, 0, min(lines, 2))
	for i := range lines {
		var line []byte
		line, data, _ = bytes.Cut(data, []byte("\n"))
		if i == 1 && entries[0].Record.Kind == promotion.RecordLand {
			if err := d.summary(line, &entries[0].Record); err != nil {
				return nil, fmt.Errorf("line %d: %w", i+1, err)
			}
			continue
		}
		e, err := d.Decode(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", i+1, err)
		}
		entries = append(entries, e)
	}
	if lines == 1 && entries[0].Record.Kind == promotion.RecordLand {
		return nil, malformed("a land record without its verification summary")
	}
	return entries, nil
}

// place puts a file's records where they belong in the state, and refuses a
// file whose records don't belong at its path.
func place(st *promotion.LedgerState, path string, entries []promotion.LedgerEntry) error {
	if len(entries) == 0 || len(entries) > 2 {
		return malformed("%d records in one file", len(entries))
	}
	for _, e := range entries {
		if want, _ := pathOf(e.Record); want != path {
			return malformed("holds a %s record that belongs at %s", e.Record.Kind, want)
		}
		if e.Record.IssuedAt.After(st.IssuedAt) {
			st.IssuedAt = e.Record.IssuedAt
		}
	}
	e := entries[0]
	pair := PairOf(e.Record)
	switch e.Record.Kind {
	case promotion.RecordLand, promotion.RecordAdopt:
		if path == RangePath {
			st.Range = &e
			return nil
		}
		live := promotion.LiveEntry{Land: e}
		if len(entries) == 2 {
			if entries[1].Record.Kind != promotion.RecordSettle {
				return malformed("a %s record behind a %s", entries[1].Record.Kind, e.Record.Kind)
			}
			live.Settle = &entries[1]
		}
		st.Live[pair] = live
		return nil
	case promotion.RecordPropose, promotion.RecordAuthorize, promotion.RecordWithdraw:
		st.Open[pair] = e
	case promotion.RecordQuarantine, promotion.RecordUnquarantine:
		st.Quarantine[e.Record.Digest] = e
	case promotion.RecordFreeze, promotion.RecordUnfreeze:
		st.Freezes[e.Record.Scope] = e
	case promotion.RecordAnnounce:
		st.Announced[e.Record.Artifact.Name] = append(st.Announced[e.Record.Artifact.Name], e)
	default:
		return malformed("an unexpected %s record", e.Record.Kind)
	}
	if len(entries) != 1 {
		return malformed("%d records where one belongs", len(entries))
	}
	return nil
}

// PairOf is the pair that a record speaks of; zero where it speaks of none.
func PairOf(r promotion.Record) promotion.Pair {
	if r.Artifact == nil {
		return promotion.Pair{Environment: r.Environment}
	}
	return promotion.Pair{Environment: r.Environment, Artifact: r.Artifact.Name}
}

// History walks a pair's chain of lands and adopts back from the given entry,
// newest first, the entry itself left out, until stop says true or limit
// entries are read.
func (rd *Reader) History(ctx context.Context, repo Repository, from promotion.LiveEntry, limit int, stop func(promotion.LiveEntry) bool) ([]promotion.LiveEntry, error) {
	var history []promotion.LiveEntry
	keys := KeysOf(rd.trust.Own)
	if rd.force != nil {
		keys = rd.force.keys(rd.trust.Own)
	}
	link := from.Land.Record.Previous
	for range limit {
		if link == nil || link.Blob == "" {
			return history, nil
		}
		if err := rd.load(ctx, repo, []gitrepo.File{{Path: "chain" + extension, Hash: link.Blob}}, keys); err != nil {
			return history, err
		}
		entries := rd.cache[link.Blob]
		if len(entries) == 0 {
			return history, malformed("empty record file %s in a chain", link.Blob.Short())
		}
		if entries[len(entries)-1].Statement != link.Statement {
			return history, malformed("a record cites %s, but blob %s holds another", link.Statement, link.Blob.Short())
		}
		live := promotion.LiveEntry{Land: entries[0]}
		if len(entries) > 1 {
			live.Settle = &entries[1]
		}
		history = append(history, live)
		if stop(live) {
			return history, nil
		}
		link = live.Land.Record.Previous
	}
	return history, nil
}
