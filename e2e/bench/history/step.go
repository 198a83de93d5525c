package history

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/rungbot/rung/internal/gitrepo"
	"github.com/rungbot/rung/internal/ledger"
	"github.com/rungbot/rung/internal/promotion"
)

var rung = promotion.Actor{Kind: "rung", Person: bot}

func subject(a promotion.Artifact, v promotion.Value) *promotion.RecordArtifact {
	purl := fmt.Sprintf("pkg:oci/%s@%s?repository_url=%s%s&tag=%s", a, strings.Replace(string(v.Digest), ":", "%3A", 1), registry, a, v.Version)
	return &promotion.RecordArtifact{Name: a, PURL: purl, Version: v.Version, Digest: v.Digest}
}

func locator(a promotion.Artifact) string {
	return "kustomize:0:images[name=" + registry + string(a) + "]"
}

// step is one promotion or rollback on its way.
type step struct {
	pair     promotion.Pair
	value    promotion.Value
	from     *promotion.RecordFrom
	restores string
	cause    promotion.Cause
	actor    promotion.Actor
	causers  []promotion.Person

	number     int
	tree, head promotion.Hash
	places     []promotion.PlaceChange
	open       promotion.LedgerEntry
	cited      promotion.Hash // the ledger commit with the authorize
}

// take leads promotions from propose to land, side by side: what is proposed,
// authorized and landed in one pass goes into one ledger commit.
func (p *play) take(ctx context.Context, steps []*step, releases int) error {
	parts := []func(context.Context, []*step) error{p.propose, p.authorize, p.merge}
	if left := releases - p.done.Releases; left < len(steps) {
		steps = steps[:left]
	}
	for _, part := range parts {
		if err := part(ctx, steps); err != nil {
			return err
		}
	}
	p.done.Past = append(p.done.Past, Heads{p.base, p.state.Tip, p.done.Releases})
	if p.done.Releases >= releases {
		return full{}
	}
	return nil
}

// propose records what is to be promoted, and makes the commits.
func (p *play) propose(ctx context.Context, steps []*step) error {
	var records []promotion.Record
	texts := make([]string, len(steps))
	for i, s := range steps {
		at := p.store.commits[p.base].Tree
		text, places, err := p.edited(ctx, at, s.pair, s.value)
		if err != nil {
			return err
		}
		if s.tree, err = p.store.Rewrite(ctx, at, map[string]gitrepo.FileChange{kustomization(s.pair.Environment): {Data: []byte(text)}}); err != nil {
			return err
		}
		after := p.pulls
		p.pulls++
		s.number, s.places, texts[i] = p.pulls, places, text
		id := sha256.Sum256([]byte(fmt.Sprint(s.pair, s.value, s.number)))
		records = append(records, promotion.Record{
			Kind: promotion.RecordPropose, Promotion: hex.EncodeToString(id[:8]), Environment: s.pair.Environment, Artifact: subject(s.pair.Artifact, s.value),
			From: s.from, Restores: s.restores, Places: s.places, Files: p.files(s, p.base, text), PullRequest: &promotion.RecordPullRequest{Tree: s.tree, After: after},
			Actor: s.actor, Cause: s.cause, Causers: s.causers,
		})
	}
	entries, err := p.pass(ctx, records...)
	if err != nil {
		return err
	}
	for i, s := range steps {
		s.open = entries[i]
		title := fmt.Sprintf("Promote %s %s to %s", s.pair.Artifact, s.value.Version, s.pair.Environment)
		if s.restores != "" {
			title = fmt.Sprintf("Roll back %s in %s to %s", s.pair.Artifact, s.pair.Environment, s.value.Version)
		}
		t := ledger.Trailers{Groups: []ledger.TrailerGroup{ledger.GroupOf(s.open.Record, "")}, Ledger: p.state.Tip}
		who := gitrepo.Ident{Name: bot.Login, Email: botMail, When: p.now}
		s.head, err = p.store.WriteCommit(ctx, gitrepo.CommitSpec{
			Tree: s.tree, Parents: []promotion.Hash{p.base}, Author: who, Committer: who, Message: title + "\n\n" + t.String(), Sign: p.key.Sign,
		})
		if err != nil {
			return err
		}
		p.done.PromotionCommits++
	}
	return nil
}

// authorize records that every gate passes.
func (p *play) authorize(ctx context.Context, steps []*step) error {
	var records []promotion.Record
	for _, s := range steps {
		r := s.open.Record
		r.Kind, r.Previous = promotion.RecordAuthorize, nil
		p.judged(&r, s)
		r.Facts = p.facts(s)
		records = append(records, r)
	}
	entries, err := p.pass(ctx, records...)
	for i, s := range steps {
		if err == nil {
			s.open, s.cited = entries[i], p.state.Tip
		}
	}
	return err
}

// files is the file that a step changes, before and after.
func (p *play) files(s *step, base promotion.Hash, text string) []promotion.RecordFile {
	path := kustomization(s.pair.Environment)
	return []promotion.RecordFile{{Path: path, Before: p.blobAt(base, path), After: ledger.BlobHash([]byte(text))}}
}

// fileAt is the blob that stands at a path of the base head.
func (p *play) fileAt(path string) promotion.Hash { return p.blobAt(p.base, path) }

func (p *play) blobAt(base promotion.Hash, path string) promotion.Hash {
	at := p.store.commits[base].Tree
	for part := range strings.SplitSeq(path, "/") {
		for _, n := range p.store.nodes(at) {
			if n.name == part {
				at = n.id
				break
			}
		}
	}
	return at
}

// merge merges the pull requests as GitHub does for rung, and records them.
func (p *play) merge(ctx context.Context, steps []*step) error {
	var records []promotion.Record
	for _, s := range steps {
		p.tick()
		first := p.base
		at := p.store.commits[first].Tree
		text, places, err := p.edited(ctx, at, s.pair, s.value)
		if err != nil {
			return err
		}
		tree, err := p.store.Rewrite(ctx, at, map[string]gitrepo.FileChange{kustomization(s.pair.Environment): {Data: []byte(text)}})
		if err != nil {
			return err
		}
		t := ledger.Trailers{Groups: []ledger.TrailerGroup{ledger.GroupOf(s.open.Record, "")}, Ledger: s.cited}
		title := fmt.Sprintf("Merge pull request #%d: %s %s in %s", s.number, s.pair.Artifact, s.value.Version, s.pair.Environment)
		p.base, err = p.store.WriteCommit(ctx, gitrepo.CommitSpec{
			Tree: tree, Parents: []promotion.Hash{first, s.head}, Message: title + "\n\n" + t.String(),
			Author: gitrepo.Ident{Name: bot.Login, Email: botMail, When: p.now}, Committer: gitrepo.Ident{Name: "GitHub", Email: "noreply@github.com", When: p.now},
		})
		if err != nil {
			return err
		}
		r := s.open.Record
		r.Kind, r.Previous, r.Places, r.Facts, r.Authorized = promotion.RecordLand, nil, places, nil, s.open.Statement
		r.Files, r.IssuedAt, r.Base.Judged = p.files(s, first, text), p.now, first
		r.Actor, r.Cause = rung, promotion.Cause{Kind: "merge", ID: string(p.base), At: p.now}
		r.Landed = &promotion.RecordLanded{Commit: p.base, FirstParent: first, Method: "merge"}
		records = append(records, r)
		p.done.Releases++
		if s.restores != "" {
			p.done.Rollbacks++
		} else {
			p.done.Promotions++
		}
	}
	_, err := p.pass(ctx, records...)
	return err
}
