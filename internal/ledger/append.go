package ledger

import (
	"context"
	"crypto/sha1" //nolint:gosec // git's object ids are SHA-1
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rungbot/rung/internal/gitrepo"
	"github.com/rungbot/rung/internal/promotion"
	"github.com/rungbot/rung/internal/sign"
)

// Author is the name on rung's own commits.
type Author struct {
	Name, Email string
}

// Writer appends records. Use it from one goroutine at a time.
type Writer struct {
	signer Signer
	id     Identity
	author Author
}

// NewWriter returns a Writer for one repository.
func NewWriter(signer Signer, id Identity, author Author) *Writer {
	return &Writer{signer: signer, id: id, author: author}
}

// Appended is what Append made. Nothing is on the server until Tip is pushed
// against the state's tip.
type Appended struct {
	// Tip is the new head of the ledger.
	Tip promotion.Hash
	// Entries are the records in the order given, links filled in.
	Entries []promotion.LedgerEntry
	// Commits are the ledger commits that hold them, one for each entry.
	Commits []promotion.Hash
	// When is the tip's date.
	When time.Time
}

// Append writes records as one commit on top of the state's tip; a record for a
// file that this call has already written starts another commit, so that every
// cited blob stays reachable. base is the base commit up to which everything is
// recorded; empty keeps the state's. With no tip in the state the ledger's first
// commit is made. Each record's Format, Repository, Previous, IssuedAt and
// Builder are filled in where they are empty; "#n" in From.Statement, Restores,
// Reverts and Announced stands for the statement of the n-th of these records.
func (w *Writer) Append(ctx context.Context, repo Repository, st promotion.LedgerState, records []promotion.Record, base promotion.Hash, now time.Time) (Appended, error) {
	a := &appender{w: w, repo: repo, tip: st.Tip, first: st.First, base: base, now: now, links: linksOf(st), announced: announcedIn(st), issued: st.IssuedAt}
	if a.base == "" {
		a.base = st.Base
	}
	if st.Tip != "" {
		c, err := repo.Commit(ctx, st.Tip)
		if err != nil {
			return Appended{}, err
		}
		a.tree, a.dated = c.Tree, c.Committer.When
	}
	if err := a.trust(st); err != nil {
		return Appended{}, err
	}
	for _, r := range records {
		if err := a.add(ctx, r); err != nil {
			return Appended{}, err
		}
	}
	if err := a.flush(ctx); err != nil {
		return Appended{}, err
	}
	return Appended{Tip: a.tip, Entries: a.entries, Commits: a.commits, When: a.dated}, nil
}

// linksOf are the newest statement and blob of each record file.
func linksOf(st promotion.LedgerState) map[string]promotion.RecordLink {
	links := map[string]promotion.RecordLink{}
	for p, l := range st.Live {
		newest := l.Land
		if l.Settle != nil {
			newest = *l.Settle
		}
		links[LivePath(p)] = promotion.RecordLink{Statement: newest.Statement, Blob: l.Land.Blob}
	}
	for p, e := range st.Open {
		links[OpenPath(p)] = promotion.RecordLink{Statement: e.Statement, Blob: e.Blob}
	}
	for d, e := range st.Quarantine {
		links[QuarantinePath(d)] = promotion.RecordLink{Statement: e.Statement, Blob: e.Blob}
	}
	for s, e := range st.Freezes {
		links[FreezePath(s)] = promotion.RecordLink{Statement: e.Statement, Blob: e.Blob}
	}
	for name, list := range st.Announced {
		for _, e := range list {
			links[AnnouncedPath(name, e.Record.Artifact.Version)] = promotion.RecordLink{Statement: e.Statement, Blob: e.Blob}
		}
	}
	if st.Range != nil {
		links[RangePath] = promotion.RecordLink{Statement: st.Range.Statement, Blob: st.Range.Blob}
	}
	return links
}

// appender is one Append under way.
type appender struct {
	w         *Writer
	repo      Repository
	tip, tree promotion.Hash
	first     promotion.Hash
	base      promotion.Hash
	now       time.Time
	issued    time.Time
	dated     time.Time // the tip's date
	links     map[string]promotion.RecordLink
	announced map[promotion.Artifact][]promotion.LedgerEntry // oldest first
	files     map[string][]byte                              // written in the commit under way
	groups    []TrailerGroup
	subjects  []string
	entries   []promotion.LedgerEntry
	commits   []promotion.Hash
	unplaced  int // entries whose commit is not made yet
}

// trust prepares the trust list: that of the pending rotate statement or, in the
// first commit of a ledger without root keys, the release key alone.
func (a *appender) trust(st promotion.LedgerState) error {
	if st.Pending == "" && st.Tip == "" {
		a.files = map[string][]byte{SignersPath: []byte(fmt.Sprintf("%s namespaces=%q %s\n", ReleaseRole, sign.Namespace, a.w.signer.AuthorizedKey()))}
		return nil
	}
	standing := st.Trust
	if st.Pending != "" {
		e, _, err := PeekRotate([]byte(st.Pending))
		if err != nil {
			return err
		}
		standing = &e
		revoked, err := RevocationsFile(e.Record.Trust.Revoked)
		if err != nil {
			return err
		}
		a.files = map[string][]byte{SignersPath: []byte(e.Record.Keys), TrustPath: []byte(st.Pending + "\n"), RevocationsPath: revoked}
		a.groups = append(a.groups, GroupOf(e.Record, e.Statement))
		a.subjects = append(a.subjects, Title(e.Record))
	}
	if standing == nil {
		return nil
	}
	list, err := TrustOf(standing.Record)
	if err != nil {
		return err
	}
	return list.maySign(a.w.signer.KeyID(), a.now)
}

func (a *appender) add(ctx context.Context, r promotion.Record) error {
	path, keep := pathOf(r)
	if path == "" || path == TrustPath {
		return fmt.Errorf("a %s record has no place in the ledger", r.Kind)
	}
	current, written := a.files[path]
	// What is taken out stays reachable by a commit of its own.
	if written && !keep || slices.ContainsFunc(a.outs(&r), func(out string) bool { return a.files[out] != nil }) {
		if err := a.flush(ctx); err != nil {
			return err
		}
		current, written = nil, false
	}
	if err := a.fill(&r, path, keep); err != nil {
		return err
	}
	line, statement, r, err := encode(r, a.w.signer)
	if err != nil {
		return fmt.Errorf("%s record: %w", r.Kind, err)
	}
	data := append(line, '\n')
	if r.Kind == promotion.RecordLand {
		vsa, err := summary(r, a.w.signer)
		if err != nil {
			return err
		}
		data = append(append(data, vsa...), '\n')
	}
	if keep {
		if !written {
			if current, err = a.read(ctx, path); err != nil {
				return err
			}
		}
		if len(current) == 0 {
			return fmt.Errorf("a %s record for %s, which has no record to settle", r.Kind, PairOf(r))
		}
		data = append(append([]byte{}, current...), data...)
	}
	if a.files == nil {
		a.files = map[string][]byte{}
	}
	a.files[path] = data
	blob := BlobHash(data)
	e := promotion.LedgerEntry{Record: r, Statement: statement, Blob: blob}
	switch r.Kind {
	case promotion.RecordLand:
		a.close(PairOf(r))
	case promotion.RecordAnnounce:
		a.announce(e)
	}
	a.links[path] = promotion.RecordLink{Statement: statement, Blob: blob}
	a.entries = append(a.entries, e)
	a.unplaced++
	a.groups = append(a.groups, GroupOf(r, statement))
	a.subjects = append(a.subjects, Title(r))
	return nil
}

// outs are the paths that a record takes out of the tree.
func (a *appender) outs(r *promotion.Record) []string {
	switch r.Kind {
	case promotion.RecordLand:
		return []string{OpenPath(PairOf(*r))}
	case promotion.RecordAnnounce:
		return a.outdated(r)
	}
	return nil
}

// close takes a pair's open file out of the tree: its promotion has landed. A
// withdrawn promotion stays as a tombstone instead.
func (a *appender) close(p promotion.Pair) {
	if _, there := a.links[OpenPath(p)]; there {
		a.files[OpenPath(p)] = nil
		delete(a.links, OpenPath(p))
	}
}

// resolve replaces "#n", the n-th record of this append, by its statement.
func (a *appender) resolve(ref *string) error {
	if !strings.HasPrefix(*ref, "#") {
		return nil
	}
	n, err := strconv.Atoi((*ref)[1:])
	if err != nil || n < 0 || n >= len(a.entries) {
		return fmt.Errorf("a record cites %s, which is not before it", *ref)
	}
	*ref = a.entries[n].Statement
	return nil
}

// fill completes a record with what only the ledger knows.
func (a *appender) fill(r *promotion.Record, path string, keep bool) error {
	if r.From != nil {
		from := *r.From
		if err := a.resolve(&from.Statement); err != nil {
			return err
		}
		r.From = &from
	}
	if err := a.resolve(&r.Restores); err != nil {
		return err
	}
	if err := a.resolve(&r.Reverts); err != nil {
		return err
	}
	if err := a.resolve(&r.Announced); err != nil {
		return err
	}
	r.Format = promotion.RecordFormat
	r.Repository = promotion.RecordRepository{URI: a.w.id.URI, ID: a.w.id.Repository, App: a.w.id.App}
	if r.Previous == nil {
		link, ok := a.links[path]
		if !ok && r.Kind == promotion.RecordPropose {
			// A pair with nothing open: its story goes on from what is live.
			link, ok = a.links[LivePath(PairOf(*r))]
		}
		if ok {
			if keep {
				link.Blob = ""
			}
			r.Previous = &link
		}
	}
	if r.IssuedAt.IsZero() {
		r.IssuedAt = a.now
	}
	// Never before the parent record's: a clock that went back is not shown.
	if r.IssuedAt.Before(a.issued) {
		r.IssuedAt = a.issued
	}
	a.issued = second(r.IssuedAt)
	r.Builder.Version = Version
	*r = normalise(*r)
	return nil
}

// Version is the program's version in records. It is set once, by main.
var Version = "dev"

func (a *appender) read(ctx context.Context, path string) ([]byte, error) {
	if a.tree == "" {
		return nil, nil
	}
	files, err := a.repo.ReadFiles(ctx, a.tree, []string{path})
	if err != nil {
		return nil, err
	}
	return files[path], nil
}

// flush makes a commit of what was added since the last one.
func (a *appender) flush(ctx context.Context) error {
	if len(a.files) == 0 && a.tip != "" {
		return nil
	}
	l := lineage{Format: 1, Repository: a.w.id.Repository, App: a.w.id.App, First: a.first}
	if l.First == "" {
		l.First = a.tip
	}
	data, err := marshal(l)
	if err != nil {
		return err
	}
	changes := map[string]gitrepo.FileChange{lineagePath: {Data: append(data, '\n')}}
	for path, data := range a.files {
		changes[path] = gitrepo.FileChange{Data: data, Delete: data == nil}
	}
	tree, err := a.repo.Rewrite(ctx, a.tree, changes)
	if err != nil {
		return err
	}
	t := Trailers{Groups: a.groups, Base: a.base}
	subject := strings.Join(a.subjects, "; ")
	var parents []promotion.Hash
	if a.tip == "" {
		t.App, t.Repository = fmt.Sprint(a.w.id.App), fmt.Sprint(a.w.id.Repository)
		if subject == "" {
			subject = "start the ledger"
		} else {
			subject = "start the ledger; " + subject
		}
	} else {
		parents = []promotion.Hash{a.tip}
	}
	// A commit is never dated before a record that it holds, nor before its parent.
	when := slices.MaxFunc([]time.Time{a.now.UTC(), a.issued, a.dated.UTC()}, time.Time.Compare)
	who := gitrepo.Ident{Name: a.w.author.Name, Email: a.w.author.Email, When: when}
	commit, err := a.repo.WriteCommit(ctx, gitrepo.CommitSpec{
		Tree: tree, Parents: parents, Author: who, Committer: who,
		Message: clipSubject(subject) + "\n\n" + t.String(),
		Sign:    a.w.signer.SignCommit,
	})
	if err != nil {
		return err
	}
	if a.tip == "" {
		a.first = commit
	}
	for ; a.unplaced > 0; a.unplaced-- {
		a.commits = append(a.commits, commit)
	}
	a.tip, a.tree, a.dated = commit, tree, when
	a.files, a.groups, a.subjects = nil, nil, nil
	return nil
}

// Title is a record in a few words, for a commit's subject.
func Title(r promotion.Record) string {
	switch {
	case r.Artifact != nil && r.Environment != "":
		return fmt.Sprintf("%s %s %s in %s", r.Kind, r.Artifact.Name, r.Artifact.Version, r.Environment)
	case r.Artifact != nil:
		return fmt.Sprintf("%s %s %s", r.Kind, r.Artifact.Name, r.Artifact.Version)
	case r.Digest != "":
		return fmt.Sprintf("%s %s", r.Kind, r.Digest.Short())
	case r.Scope != "":
		return fmt.Sprintf("%s %s", r.Kind, r.Scope)
	case r.Range != nil:
		return fmt.Sprintf("adopt configuration up to %s", r.Range.To.Short())
	case r.Kind == promotion.RecordRotate && r.Trust != nil:
		return fmt.Sprintf("rotate to trust list %d", r.Trust.Serial)
	}
	return string(r.Kind)
}

func clipSubject(s string) string {
	if len(s) > 200 {
		return s[:197] + "..."
	}
	return s
}

// BlobHash is the git id of a blob.
func BlobHash(data []byte) promotion.Hash {
	h := sha1.New() //nolint:gosec // git's object ids are SHA-1
	fmt.Fprintf(h, "blob %d\x00", len(data))
	h.Write(data)
	return promotion.Hash(hex.EncodeToString(h.Sum(nil)))
}
