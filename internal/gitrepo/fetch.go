package gitrepo

import (
	"context"
	"errors"
	"fmt"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/rungbot/rung/internal/promotion"
)

const (
	// blobless leaves blobs out unless they are asked for by hash.
	blobless = "blob:none"
	// treeless leaves trees out as well.
	treeless = "tree:0"
	// maxWants bounds the hashes asked for in one request.
	maxWants = 4096
	// maxThinRounds bounds how often bases of a thin pack are fetched.
	maxThinRounds = 4
)

// take unpacks an answer into the cache and returns its objects. Bases of a
// thin pack that the cache has lost are fetched.
func (r *Remote) take(ctx context.Context, op string, pack []byte) (map[id]object, error) {
	if pack == nil {
		return nil, fmt.Errorf("git %s: %w: no pack in the answer", op, ErrProtocol)
	}
	p, err := scanPack(pack, packLimits{objects: r.options.MaxObjects, inflated: inflation * r.options.MaxResponse})
	if err != nil {
		return nil, fmt.Errorf("git %s: %w", op, err)
	}
	extra := map[id]object{}
	lookup := func(i id) (object, bool) {
		if o, ok := extra[i]; ok {
			return o, true
		}
		return r.store.get(i)
	}
	for round := 0; ; round++ {
		bases, err := p.resolve(lookup)
		if err != nil {
			return nil, fmt.Errorf("git %s: %w", op, err)
		}
		if len(bases) == 0 {
			break
		}
		if round == maxThinRounds {
			return nil, fmt.Errorf("git %s: %w: a thin pack without its bases", op, ErrProtocol)
		}
		got, err := r.wanted(ctx, bases)
		if err != nil {
			return nil, err
		}
		for i, o := range got {
			extra[i] = o
		}
	}
	all := make([]object, 0, len(p.objects))
	for _, o := range p.objects {
		all = append(all, o)
	}
	r.store.addKnown(all...)
	return p.objects, nil
}

// wanted fetches objects by hash and returns all that came: below a wanted
// tree its trees, and no blobs where the server can filter.
func (r *Remote) wanted(ctx context.Context, ids []id) (map[id]object, error) {
	const op = "fetch objects"
	out := map[id]object{}
	for len(ids) > 0 {
		n := min(len(ids), maxWants)
		answer, err := r.fetch(ctx, fetchSpec{op: op, wants: ids[:n], filter: blobless, done: true})
		if err != nil {
			return nil, err
		}
		got, err := r.take(ctx, op, answer.pack)
		if err != nil {
			return nil, err
		}
		for i, o := range got {
			out[i] = o
		}
		for _, i := range ids[:n] {
			if _, ok := out[i]; !ok {
				return nil, fmt.Errorf("git %s: %w: the server did not send %s", op, ErrMissing, i)
			}
		}
		ids = ids[n:]
	}
	return out, nil
}

// objects returns the objects of one kind with the given ids, from memory or,
// for those that are missing, by one request. A hash that is not an object of
// that kind is ErrMissing.
func (r *Remote) objects(ctx context.Context, kind plumbing.ObjectType, ids []id) (map[id]object, error) {
	out := make(map[id]object, len(ids))
	var missing []id
	for _, i := range ids {
		if _, ok := out[i]; ok {
			continue
		}
		o, ok := r.store.get(i)
		if !ok {
			missing = append(missing, i)
		}
		out[i] = o
	}
	if len(missing) > 0 {
		got, err := r.wanted(ctx, missing)
		if err != nil {
			return nil, err
		}
		for _, i := range missing {
			out[i] = got[i]
		}
	}
	for i, o := range out {
		if o.kind != kind {
			return nil, fmt.Errorf("%w: %s is a %s, not a %s", ErrMissing, i, o.kind, kind)
		}
	}
	return out, nil
}

// Fetch brings the commit and all its trees (depth 1, without blobs where the
// server can filter) in one request, unless commit and root tree are here.
func (r *Remote) Fetch(ctx context.Context, commit promotion.Hash) error {
	i, err := parseID(commit)
	if err != nil {
		return err
	}
	if o, ok := r.store.get(i); ok && o.kind == plumbing.CommitObject {
		c, err := parseCommit(o)
		if err != nil {
			return err
		}
		root, err := parseID(c.Tree)
		if err != nil {
			return err
		}
		if _, ok := r.store.get(root); ok {
			return nil
		}
	}
	_, err = r.fetchShallow(ctx, i, r.fetch)
	return err
}

// fetchShallow fetches one commit at depth 1, with trees or without, and
// returns it.
func (r *Remote) fetchShallow(ctx context.Context, i id, fetch func(context.Context, fetchSpec) (fetchAnswer, error)) (object, error) {
	const op = "fetch"
	answer, err := fetch(ctx, fetchSpec{op: op, wants: []id{i}, deepen: 1, filter: blobless, done: true})
	if err != nil {
		return object{}, err
	}
	got, err := r.take(ctx, op, answer.pack)
	if err != nil {
		return object{}, err
	}
	o, ok := got[i]
	if !ok || o.kind != plumbing.CommitObject {
		return object{}, fmt.Errorf("git %s: %w: the server did not send the commit %s", op, ErrMissing, i)
	}
	return o, nil
}

// Commit reads a commit, fetching it alone if absent.
func (r *Remote) Commit(ctx context.Context, hash promotion.Hash) (Commit, error) {
	i, err := parseID(hash)
	if err != nil {
		return Commit{}, err
	}
	o, ok := r.store.get(i)
	if !ok {
		if o, err = r.fetchShallow(ctx, i, r.fetchTreeless); err != nil {
			return Commit{}, err
		}
	}
	if o.kind != plumbing.CommitObject {
		return Commit{}, fmt.Errorf("%w: %s is a %s, not a commit", ErrMissing, i, o.kind)
	}
	return parseCommit(o)
}

// fetchTreeless fetches commits without their trees; a server that refuses
// that filter is asked for the trees as well from then on.
func (r *Remote) fetchTreeless(ctx context.Context, spec fetchSpec) (fetchAnswer, error) {
	if !r.servers.refusesTreeless(r.server) {
		spec.filter = treeless
		answer, err := r.fetch(ctx, spec)
		if err == nil || !errors.Is(err, ErrProtocol) {
			return answer, err
		}
		spec.filter = blobless
		if answer, again := r.fetch(ctx, spec); again == nil {
			r.servers.setRefusesTreeless(r.server)
			return answer, nil //nolint:nilerr // the second way went through
		}
		return fetchAnswer{}, err
	}
	spec.filter = blobless
	return r.fetch(ctx, spec)
}
