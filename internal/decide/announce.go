package decide

import (
	"slices"

	"github.com/rungbot/rung/internal/promotion"
)

// maxEvents is how many events one announce record holds; the people behind all
// of them are its causers.
const maxEvents = 20

// announce records who published the versions that events told of: the registry
// can't repeat that, and the forge does for some days only. A version is announced
// again when somebody else announces it too, when its source becomes known, and
// when it was published again with other contents.
func (p *pass) announce() {
	for _, spec := range p.s.Pipeline.Artifacts {
		a := p.s.Available[spec.Name]
		for _, r := range slices.Concat(a.Releases, a.Announced) {
			if !p.news(spec.Name, &r) {
				continue
			}
			r = p.known(spec.Name, r)
			rec := promotion.Record{
				Kind: promotion.RecordAnnounce, Artifact: p.artifact(spec.Name, promotion.Value{Version: r.Version, Digest: r.Digest}), Base: p.base(),
				Actor: announcer(&r), Cause: r.Cause, Events: r.Events[:min(len(r.Events), maxEvents)], Causers: r.Causers, Children: r.Children,
			}
			rec.Artifact.SourceRepository, rec.Artifact.SourceCommit = r.SourceRepository, r.SourceCommit
			p.announced[versionOf{spec.Name, r.Version}] = promotion.LedgerEntry{Record: rec, Statement: p.record(rec)}
		}
	}
}

// versionOf names a version of an artifact.
type versionOf struct {
	artifact promotion.Artifact
	version  promotion.Version
}

// news reports whether a release's events say what the ledger does not.
func (p *pass) news(name promotion.Artifact, r *promotion.Release) bool {
	was, recorded := p.announced[versionOf{name, r.Version}]
	if !recorded {
		return len(r.Events) > 0
	}
	stranger := func(e promotion.RecordEvent) bool {
		return e.Sender != (promotion.Person{}) && !slices.Contains(was.Record.Causers, e.Sender)
	}
	a := was.Record.Artifact
	return slices.ContainsFunc(r.Events, stranger) ||
		len(r.Events) > 0 && (r.SourceRepository != "" && a.SourceRepository == "" || a.Digest != "" && r.Digest != "" && a.Digest != r.Digest)
}

// announcement is the record that announces what is promoted, as of this pass; one
// of other contents under the same version is none.
func (p *pass) announcement(a *promotion.RecordArtifact) (promotion.LedgerEntry, bool) {
	e, recorded := p.announced[versionOf{a.Name, a.Version}]
	return e, recorded && (e.Record.Artifact.Digest == "" || e.Record.Artifact.Digest == a.Digest)
}

// announcer is whoever announced a release last.
func announcer(r *promotion.Release) promotion.Actor {
	if sender := r.Events[len(r.Events)-1].Sender; sender != (promotion.Person{}) {
		return promotion.Actor{Kind: "person", Person: sender}
	}
	return promotion.Actor{Kind: "unknown"}
}

// known completes a release with what the ledger says of its announcement.
func (p *pass) known(name promotion.Artifact, r promotion.Release) promotion.Release {
	was, recorded := p.announced[versionOf{name, r.Version}]
	if !recorded {
		return r
	}
	r.Causers = union(was.Record.Causers, r.Causers)
	r.Events = union(was.Record.Events, slices.DeleteFunc(slices.Clone(r.Events), func(e promotion.RecordEvent) bool {
		return slices.ContainsFunc(was.Record.Events, func(old promotion.RecordEvent) bool { return old.Delivery == e.Delivery })
	}))
	if r.Cause.Kind == "" {
		r.Cause = was.Record.Cause
	}
	if r.SourceRepository == "" {
		r.SourceRepository, r.SourceCommit = was.Record.Artifact.SourceRepository, was.Record.Artifact.SourceCommit
	}
	return r
}

// union is a list with what another has beside it.
func union[T comparable](a, b []T) []T {
	all := slices.Clone(a)
	for _, x := range b {
		if !slices.Contains(all, x) {
			all = append(all, x)
		}
	}
	return all
}

// source is the repository and commit that an artifact of the given digest was
// built from, as far as this repository was ever told.
func (p *pass) source(name promotion.Artifact, d promotion.Digest) (repository, commit string) {
	for _, r := range p.s.Available[name].Releases {
		if r = p.known(name, r); r.Digest == d && r.SourceRepository != "" {
			return r.SourceRepository, r.SourceCommit
		}
	}
	for _, env := range p.s.Pipeline.Environments {
		pair := promotion.Pair{Environment: env.Name, Artifact: name}
		for _, e := range slices.Concat([]promotion.LiveEntry{p.live[pair]}, p.earlier(pair)) {
			if a := e.Land.Record.Artifact; a != nil && a.Digest == d && a.SourceRepository != "" {
				return a.SourceRepository, a.SourceCommit
			}
		}
	}
	return "", ""
}
