package act

import (
	"context"
	"fmt"
	"strings"

	"github.com/rungbot/rung/internal/forge"
	"github.com/rungbot/rung/internal/gitrepo"
	"github.com/rungbot/rung/internal/ledger"
	"github.com/rungbot/rung/internal/manifest"
	"github.com/rungbot/rung/internal/pipeline"
	"github.com/rungbot/rung/internal/promotion"
)

// build makes the tree of a promotion: the base's, with only the promotion's
// places changed. Every artifact's places are read back: only this promotion's
// may differ, and they must hold what was promised. The record gets the places and
// the files as they were found.
func (d *doing) build(ctx context.Context, b promotion.Build, r *promotion.Record) (making, error) {
	var none making
	base, err := d.Git.Commit(ctx, b.Base)
	if err != nil {
		return none, err
	}
	var paths []string
	seen := map[string]bool{}
	for _, c := range r.Places {
		if !seen[c.Path] {
			seen[c.Path] = true
			paths = append(paths, c.Path)
		}
	}
	files, err := d.Git.ReadFiles(ctx, base.Tree, paths)
	if err != nil {
		return none, err
	}
	target := promotion.Value{Version: r.Artifact.Version, Digest: r.Artifact.Digest}
	own := manifest.Artifact{Name: b.Pair.Artifact, Image: b.Image}
	edits := map[string]gitrepo.FileChange{}
	r.Places, r.Files = nil, nil
	for _, path := range paths {
		data, ok := files[path]
		if !ok {
			return none, fmt.Errorf("%s is gone from the base branch", path)
		}
		edited, changed, err := manifest.Edit(path, data, own, target, manifest.Pin(b.Pin))
		if err != nil {
			return none, err
		}
		if err := d.onlyOwn(path, data, edited, b.Pair.Artifact); err != nil {
			return none, err
		}
		edits[path] = gitrepo.FileChange{Data: edited}
		r.Places = append(r.Places, changed...)
		if len(changed) > 0 {
			r.Files = append(r.Files, promotion.RecordFile{Path: path, Before: ledger.BlobHash(data), After: ledger.BlobHash(edited)})
		}
	}
	if len(r.Places) == 0 {
		return none, fmt.Errorf("%s is there already", target.Version)
	}
	tree, err := d.Git.Rewrite(ctx, base.Tree, edits)
	return making{parent: b.Base, tree: tree, files: edits}, err
}

// onlyOwn refuses an edit that changes a place of another artifact.
func (d *doing) onlyOwn(path string, before, after []byte, own promotion.Artifact) error {
	all := manifest.Artifacts(&d.s.Pipeline)
	was, err := manifest.Find(path, before, all)
	if err != nil {
		return err
	}
	is, err := manifest.Find(path, after, all)
	if err != nil {
		return err
	}
	values := map[string]promotion.Value{}
	for _, f := range was.Found {
		values[string(f.Artifact)+" "+f.Place.Locator] = f.Place.Value
	}
	for _, f := range is.Found {
		key := string(f.Artifact) + " " + f.Place.Locator
		if old, there := values[key]; f.Artifact != own && (!there || old != f.Place.Value) {
			return fmt.Errorf("the edit would change %s at %s (%s) too", f.Artifact, path, f.Place.Locator)
		}
		delete(values, key)
	}
	for key := range values {
		return fmt.Errorf("the edit would lose %s in %s", key, path)
	}
	return nil
}

// onboard opens the pull request that writes the ledger's first commit into
// rung.yaml, so that a lost or forged ledger is not taken for a new one.
func (d *doing) onboard(ctx context.Context) error {
	if !d.plan.Onboard {
		return nil
	}
	files, err := d.Git.ReadFiles(ctx, d.s.Base.Tree, []string{"rung.yaml"})
	if err != nil {
		return err
	}
	pinned, err := pipeline.InsertLedger(files["rung.yaml"], d.s.Ledger.First)
	if err != nil {
		return fmt.Errorf("write the ledger's id into rung.yaml: %w", err)
	}
	edits := map[string]gitrepo.FileChange{"rung.yaml": {Data: pinned}}
	tree, err := d.Git.Rewrite(ctx, d.s.Base.Tree, edits)
	if err != nil {
		return err
	}
	title := "Name rung's ledger in rung.yaml"
	head, err := d.make(ctx, making{
		parent: d.s.Base.Head, tree: tree, files: edits, message: title + "\n\n" + ledger.Trailers{Ledger: d.s.Ledger.First}.String(),
	})
	if err != nil {
		return err
	}
	if _, there := d.s.Branches[promotion.OnboardRef]; !there {
		if _, err := d.Git.Push(ctx, []gitrepo.RefUpdate{{Ref: promotion.OnboardRef, New: head}}, gitrepo.PushOptions{}); err != nil {
			return fmt.Errorf("push the onboarding branch: %w", err)
		}
	}
	d.res.Changed = true
	_, err = d.Forge.OpenPullRequest(ctx, d.s.Repository, forge.NewPullRequest{
		Title: title, Head: strings.TrimPrefix(promotion.OnboardRef, "refs/heads/"), Base: strings.TrimPrefix(d.s.Base.Ref, "refs/heads/"),
		Body: fmt.Sprintf("rung keeps its signed records on the branch `rung/ledger`. This adds the id of its first commit, `%s`, to rung.yaml.\n\nOnce it is merged, rung never starts another ledger by itself: if the branch is lost or replaced, everything is held until it is back. Until then rung trusts the first commit that it made itself.\n", d.s.Ledger.First),
	})
	if err != nil {
		return fmt.Errorf("open the onboarding pull request: %w", err)
	}
	return nil
}
