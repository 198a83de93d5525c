package history

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/rungbot/rung/internal/gitrepo"
	"github.com/rungbot/rung/internal/ledger"
	"github.com/rungbot/rung/internal/manifest"
	"github.com/rungbot/rung/internal/promotion"
	"github.com/rungbot/rung/internal/sign"
)

const botMail = "1001+rung[bot]@users.noreply.github.com"

var (
	bot   = promotion.Person{ID: 1001, Login: "rung[bot]", Bot: true}
	alice = promotion.Person{ID: 1002, Login: "alice"}
	bob   = promotion.Person{ID: 1003, Login: "bob"}
)

// How often something happens besides a climb, in climbs.
const (
	rollbackEach      = 20
	configurationEach = 30
	byHandEach        = 70
)

// play is a repository's life under way.
type play struct {
	dir    string
	store  *store
	key    *sign.Key
	writer *ledger.Writer
	random *rand.Rand
	now    time.Time
	state  promotion.LedgerState
	base   promotion.Hash
	// pulls numbers the pull requests.
	pulls    int
	climbs   int
	replicas int
	versions map[promotion.Artifact]int
	// waiting are records that go with the next pass.
	waiting []promotion.Record
	done    Written
}

// full ends a play when its last release has landed.
type full struct{}

func (full) Error() string { return "all releases have landed" }

// play lets versions climb until so many releases have landed.
func (p *play) play(ctx context.Context, releases int) error {
	if err := p.onboard(ctx); err != nil {
		return err
	}
	for p.done.Releases < releases {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := p.climb(ctx, releases); err != nil && err != (full{}) {
			return err
		}
	}
	return nil
}

func (p *play) value(a promotion.Artifact, version int) promotion.Value {
	v := promotion.Version(fmt.Sprintf("1.%d.0", version))
	sum := sha256.Sum256([]byte(string(a) + "@" + string(v)))
	return promotion.Value{Version: v, Digest: promotion.Digest("sha256:" + hex.EncodeToString(sum[:]))}
}

// onboard begins the base branch and the ledger, and merges the ledger's name
// into rung.yaml.
func (p *play) onboard(ctx context.Context) error {
	files := initial(func(a promotion.Artifact) promotion.Value { return p.value(a, 0) })
	if err := p.people(ctx, "Begin with what runs today", files); err != nil {
		return err
	}
	var found []promotion.Record
	for _, e := range environments {
		for _, a := range artifacts {
			v := p.value(a, 0)
			found = append(found, promotion.Record{
				Kind: promotion.RecordAdopt, Environment: e, Artifact: subject(a, v), Actor: rung, Reason: "found at onboarding",
				Places: []promotion.PlaceChange{{Path: kustomization(e), Locator: locator(a), After: v}}, Cause: promotion.Cause{Kind: "configuration", At: p.now},
			})
		}
	}
	if _, err := p.pass(ctx, found...); err != nil {
		return err
	}
	from := p.base
	if err := p.people(ctx, "Name rung's ledger in rung.yaml", map[string]string{"rung.yaml": fmt.Sprintf(configuration, "ledger: "+string(p.state.First)+"\n")}); err != nil {
		return err
	}
	p.adoptRange(from)
	return nil
}

// tick lets some minutes go by.
func (p *play) tick() { p.now = p.now.Add(time.Duration(60+p.random.IntN(600)) * time.Second) }

// people commits files to the base branch by hand.
func (p *play) people(ctx context.Context, message string, files map[string]string) error {
	p.tick()
	changes := map[string]gitrepo.FileChange{}
	for path, text := range files {
		changes[path] = gitrepo.FileChange{Data: []byte(text)}
	}
	var parents []promotion.Hash
	tree := promotion.Hash("")
	if p.base != "" {
		parents, tree = []promotion.Hash{p.base}, p.store.commits[p.base].Tree
	}
	tree, err := p.store.Rewrite(ctx, tree, changes)
	if err != nil {
		return err
	}
	who := gitrepo.Ident{Name: "Alice", Email: "alice@example.com", When: p.now}
	p.base, err = p.store.WriteCommit(ctx, gitrepo.CommitSpec{Tree: tree, Parents: parents, Author: who, Committer: who, Message: message})
	return err
}

// adoptRange records what people configured, with the next pass.
func (p *play) adoptRange(from promotion.Hash) {
	p.waiting = append(p.waiting, promotion.Record{
		Kind: promotion.RecordAdopt, Range: &promotion.RecordRange{From: from, To: p.base}, Actor: promotion.Actor{Kind: "person"},
		Cause: promotion.Cause{Kind: "configuration", At: p.now}, Reason: "configuration changed by people",
	})
	p.done.Ranges++
}

// pass appends records to the ledger, as one pass of rung does: what was
// waiting, then these, whose entries are returned.
func (p *play) pass(ctx context.Context, records ...promotion.Record) ([]promotion.LedgerEntry, error) {
	p.tick()
	before := len(p.waiting)
	records = append(p.waiting, records...)
	p.waiting = nil
	for i := range records {
		if records[i].Base == (promotion.RecordBase{}) {
			records[i].Base = promotion.RecordBase{Ref: "refs/heads/main", Judged: p.base}
		}
	}
	done, err := p.writer.Append(ctx, p.store, p.state, records, p.base, p.now)
	if err != nil {
		return nil, err
	}
	if p.state.Tip == "" {
		p.state.First = done.Commits[0]
	}
	last := promotion.Hash("")
	for i, e := range done.Entries {
		if done.Commits[i] != last {
			p.done.LedgerCommits++
		}
		last = done.Commits[i]
		p.remember(e)
	}
	p.state.Tip, p.state.Base = done.Tip, p.base
	return done.Entries[before:], nil
}

// remember keeps what the next records are linked to.
func (p *play) remember(e promotion.LedgerEntry) {
	p.done.Records++
	pair := ledger.PairOf(e.Record)
	p.state.IssuedAt = e.Record.IssuedAt
	switch e.Record.Kind {
	case promotion.RecordAdopt, promotion.RecordLand:
		if e.Record.Artifact == nil {
			p.state.Range = &e
			return
		}
		p.state.Live[pair] = promotion.LiveEntry{Land: e}
		if e.Record.Kind == promotion.RecordLand {
			delete(p.state.Open, pair)
		}
	case promotion.RecordSettle:
		l := p.state.Live[pair]
		l.Settle, l.Land.Blob = &e, e.Blob
		p.state.Live[pair] = l
	case promotion.RecordQuarantine:
		p.state.Quarantine[e.Record.Digest] = e
	default:
		p.state.Open[pair] = e
	}
}

// edited is a pair's file with another version.
func (p *play) edited(ctx context.Context, tree promotion.Hash, pair promotion.Pair, v promotion.Value) (string, []promotion.PlaceChange, error) {
	path := kustomization(pair.Environment)
	files, err := p.store.ReadFiles(ctx, tree, []string{path})
	if err != nil {
		return "", nil, err
	}
	text, places, err := manifest.Edit(path, files[path], manifest.Artifact{Name: pair.Artifact, Image: registry + string(pair.Artifact)}, v, manifest.PinDigest)
	return string(text), places, err
}

// byHand lets a person change a version, and rung adopt it.
func (p *play) byHand(ctx context.Context) error {
	pair := promotion.Pair{Environment: "dev", Artifact: artifacts[p.random.IntN(len(artifacts))]}
	p.versions[pair.Artifact]++
	v := p.value(pair.Artifact, p.versions[pair.Artifact])
	first := p.base
	text, places, err := p.edited(ctx, p.store.commits[first].Tree, pair, v)
	if err != nil {
		return err
	}
	if err := p.people(ctx, "Try "+string(v.Version), map[string]string{kustomization(pair.Environment): text}); err != nil {
		return err
	}
	p.done.ByHand++
	_, err = p.pass(ctx, promotion.Record{
		Kind: promotion.RecordAdopt, Environment: pair.Environment, Artifact: subject(pair.Artifact, v), Places: places, Reason: "changed by hand",
		Actor: promotion.Actor{Kind: "person", Person: alice}, Landed: &promotion.RecordLanded{Commit: p.base, FirstParent: first, Method: "squash", ByHand: true},
		Cause: promotion.Cause{Kind: "configuration", ID: string(p.base), At: p.now},
	})
	p.waiting = append(p.waiting, p.settle(pair, promotion.SettledGood))
	return err
}

// configure lets a person change something that is no version.
func (p *play) configure(ctx context.Context) error {
	from := p.base
	p.replicas++
	e := environments[p.random.IntN(len(environments))]
	err := p.people(ctx, "More replicas in "+string(e), map[string]string{deployment(e): deployments(3 + p.replicas)})
	p.adoptRange(from)
	return err
}

// climb lets a new version of an artifact go through all environments, or
// through the first ones and back.
func (p *play) climb(ctx context.Context, releases int) error {
	p.climbs++
	if p.climbs%byHandEach == 0 {
		if err := p.byHand(ctx); err != nil {
			return err
		}
	}
	if p.climbs%configurationEach == 0 {
		if err := p.configure(ctx); err != nil {
			return err
		}
	}
	a := artifacts[p.random.IntN(len(artifacts))]
	p.versions[a]++
	v := p.value(a, p.versions[a])
	bad := p.climbs%rollbackEach == 0
	cause := promotion.Cause{Kind: "event", ID: strings.ToLower(hex.EncodeToString(fmt.Appendf(nil, "%08d", p.climbs))), At: p.now}
	before := map[promotion.Pair]promotion.LiveEntry{}
	for i, e := range environments {
		pair := promotion.Pair{Environment: e, Artifact: a}
		before[pair] = p.state.Live[pair]
		s := &step{pair: pair, value: v, cause: cause, actor: rung, causers: []promotion.Person{bob}}
		if i > 0 {
			s.from = &promotion.RecordFrom{Environment: environments[i-1], Statement: p.state.Live[promotion.Pair{Environment: environments[i-1], Artifact: a}].Land.Statement}
		}
		if err := p.take(ctx, []*step{s}, releases); err != nil {
			return err
		}
		if bad && e == "canary" {
			return p.back(ctx, a, before, releases)
		}
		p.waiting = append(p.waiting, p.settle(pair, promotion.SettledGood))
	}
	if p.random.IntN(2) == 0 {
		_, err := p.pass(ctx)
		return err
	}
	return nil
}

// back rolls a version back that settled bad in canary: there, and in the
// environments before it.
func (p *play) back(ctx context.Context, a promotion.Artifact, before map[promotion.Pair]promotion.LiveEntry, releases int) error {
	pair := promotion.Pair{Environment: "canary", Artifact: a}
	was := p.state.Live[pair].Land.Record.Artifact
	p.waiting = append(p.waiting, p.settle(pair, promotion.SettledBad), promotion.Record{
		Kind: promotion.RecordQuarantine, Environment: pair.Environment, Artifact: was, Digest: was.Digest, Actor: promotion.Actor{Kind: "person", Person: alice},
		Cause: promotion.Cause{Kind: "comment", ID: fmt.Sprint(500000 + p.climbs), At: p.now}, Reason: string(a) + " fails in canary",
	})
	restore := func(e promotion.Environment) *step {
		pair := promotion.Pair{Environment: e, Artifact: a}
		land := before[pair].Land
		return &step{
			pair: pair, value: promotion.Value{Version: land.Record.Artifact.Version, Digest: land.Record.Artifact.Digest}, restores: land.Statement,
			cause: promotion.Cause{Kind: "comment", ID: fmt.Sprint(500000 + p.climbs), At: p.now}, actor: promotion.Actor{Kind: "person", Person: alice}, causers: []promotion.Person{alice},
		}
	}
	for _, steps := range [][]*step{{restore("canary")}, {restore("dev"), restore("staging")}} {
		if err := p.take(ctx, steps, releases); err != nil {
			return err
		}
		for _, s := range steps {
			p.waiting = append(p.waiting, p.settle(s.pair, promotion.SettledGood))
		}
	}
	_, err := p.pass(ctx)
	return err
}
