package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/rungbot/rung/internal/doctor"
	"github.com/rungbot/rung/internal/forge"
	"github.com/rungbot/rung/internal/gitrepo"
	"github.com/rungbot/rung/internal/ledger"
	"github.com/rungbot/rung/internal/progress"
	"github.com/rungbot/rung/internal/promotion"
	"github.com/rungbot/rung/internal/queue"
	"github.com/rungbot/rung/internal/settings"
)

// maxExamined is how many repositories are looked at when none are named.
const maxExamined = 20

// Examination says what rung doctor looks at.
type Examination struct {
	// Repositories are "owner/name"; none: all that have a rung.yaml.
	Repositories []string
	// Production also asks whether it is ready for that.
	Production bool
}

// Examine looks at everything that rung needs and judges it. It changes nothing; what
// can't be seen is said in the report.
func Examine(ctx context.Context, s settings.Settings, o Options, e Examination) doctor.Report {
	a := &App{settings: s, options: o.filled(), log: o.Log, routes: newRoutes()}
	f := a.facts(e.Production)
	progress.Begin(ctx, "looking at this machine and at GitHub", "", 0)
	a.examineMachine(ctx, f)
	if f.App = a.examineApp(ctx, f); f.App.Looked && f.App.Problem == "" {
		a.examineInstallations(ctx, f)
		a.examineHook(ctx, f)
		if !f.Fingerprint.Looked || f.Fingerprint.Problem != "" {
			f.Unlooked = true
		} else {
			a.examineRepositories(ctx, f, e.Repositories)
		}
	}
	return doctor.Judge(f)
}

func (a *App) facts(production bool) *doctor.Facts {
	return &doctor.Facts{
		Now: a.options.Now(), Production: production, GitHubURL: a.settings.GitHubURL, AppID: a.settings.GitHubAppID,
		Served: len(a.settings.GitHubWebhookSecrets) > 0,
	}
}

// examineMachine looks at the settings, the keys and the queue's file.
func (a *App) examineMachine(ctx context.Context, f *doctor.Facts) {
	if err := a.settings.CheckReconcile(); err != nil {
		f.Settings = SettingsProblems(err)
	}
	if !a.settings.SigningKey.Empty() || a.settings.SigningKeyAgent != "" && a.settings.AgentSocket != "" {
		if err := a.openKey(); err != nil {
			f.Fingerprint = doctor.Blind[string](err.Error())
		} else {
			f.Fingerprint = doctor.Saw(a.key.Public().Fingerprint())
		}
	}
	a.examineKept(ctx, f)
}

// examineKept looks at the queue's file, and tells whether there is a root key.
func (a *App) examineKept(ctx context.Context, f *doctor.Facts) {
	f.OwnRoot = len(a.trust.Roots) == 0
	path := a.queuePath()
	if path == queue.InMemory {
		return
	}
	c, err := queue.Examine(ctx, path)
	f.Database = doctor.See(doctor.Database{
		Path: path, Absent: c.Absent, Writable: c.Writable, InUse: c.InUse, Damage: c.Damage, Newer: c.Newer, Schema: c.Schema, Bytes: c.Bytes, Free: c.Free, Room: c.Room,
	}, err)
}

// SettingsProblems are the sentences of a settings error.
func SettingsProblems(err error) []string {
	var all *settings.Error
	if !errors.As(err, &all) {
		return []string{err.Error()}
	}
	var out []string
	for _, p := range all.Problems {
		out = append(out, strings.TrimPrefix(p.Variable+": "+p.Text, ": "))
	}
	return out
}

// examineApp makes the adapter to GitHub, and asks who the App is.
func (a *App) examineApp(ctx context.Context, f *doctor.Facts) doctor.Seen[forge.Registration] {
	if a.settings.GitHubAppID == 0 || a.settings.GitHubPrivateKey.Empty() {
		return doctor.Seen[forge.Registration]{} // the settings say so
	}
	if err := a.makeForge(); err != nil {
		f.Settings = append(f.Settings, "RUNG_GITHUB_PRIVATE_KEY: "+strings.TrimPrefix(err.Error(), "forge: ")+": set it, or RUNG_GITHUB_PRIVATE_KEY_FILE, to the key that the App's settings page made")
		return doctor.Seen[forge.Registration]{}
	}
	return a.askWhoItIs(ctx, f)
}

// askWhoItIs knocks at GitHub and asks who the App is.
func (a *App) askWhoItIs(ctx context.Context, f *doctor.Facts) doctor.Seen[forge.Registration] {
	if f.GitHub = doctor.See(a.forge.Knock(ctx)); f.GitHub.Problem != "" || !f.GitHub.Value.GitHub {
		return doctor.Seen[forge.Registration]{}
	}
	app, err := a.forge.Registration(ctx)
	var refused *forge.ForbiddenError
	f.NotTaken, f.NoApp = errors.As(err, &refused), errors.Is(err, forge.ErrNotFound)
	if refused != nil {
		return doctor.Blind[forge.Registration](refused.Message)
	}
	return doctor.See(app, err)
}

// examineInstallations looks at each installation and its requests left.
func (a *App) examineInstallations(ctx context.Context, f *doctor.Facts) {
	all, err := a.forge.Installations(ctx)
	if err != nil {
		f.Installations = doctor.Blind[[]doctor.Installation](err.Error())
		return
	}
	out := make([]doctor.Installation, len(all))
	for i, in := range all {
		out[i].Installation = in
		if !in.Suspended {
			out[i].Quota = doctor.See(a.forge.Installation(in.ID).Quota(ctx))
		}
	}
	f.Installations = doctor.Saw(out)
}

// examineHook looks at where webhooks go, and what came of the newest.
func (a *App) examineHook(ctx context.Context, f *doctor.Facts) {
	hook, err := a.forge.Hook(ctx)
	f.Hook, f.NoHook = doctor.See(hook, err), errors.Is(err, forge.ErrNotFound)
	if err == nil {
		f.Deliveries = doctor.See(a.forge.NewestDeliveries(ctx))
	}
}

// examineRepositories looks closely at the repositories that are named, or at those
// with a rung.yaml.
func (a *App) examineRepositories(ctx context.Context, f *doctor.Facts, names []string) {
	for _, build := range []func(context.Context) error{a.openForge, a.openSources, a.discover} {
		if err := build(ctx); err != nil {
			f.Unlooked = true
			f.Installations = doctor.Blind[[]doctor.Installation](err.Error())
			return
		}
	}
	all := a.routes.all()
	if len(names) > 0 {
		all, f.Missing = chosen(all, names)
	}
	looking := progress.Begin(ctx, "looking at repositories", "done", len(all))
	for i, repo := range all {
		if len(names) == 0 && i >= maxExamined {
			f.Left = append(f.Left, repo.FullName())
			continue
		}
		r := a.examineClosely(ctx, repo)
		looking.Add(1)
		if len(names) == 0 && r.Problem == "" && !r.Configured {
			f.Unconfigured = append(f.Unconfigured, repo.FullName())
			continue
		}
		f.Repositories = append(f.Repositories, r)
	}
}

// chosen are the named repositories, and the names that there are none for.
func chosen(all []promotion.Repository, names []string) (found []promotion.Repository, missing []string) {
	for _, name := range names {
		i := slices.IndexFunc(all, func(r promotion.Repository) bool { return strings.EqualFold(r.FullName(), name) })
		if i < 0 {
			missing = append(missing, name)
			continue
		}
		if !slices.ContainsFunc(found, func(r promotion.Repository) bool { return r.ID == all[i].ID }) {
			found = append(found, all[i])
		}
	}
	return found, missing
}

// examineClosely reads a repository as a pass would, its registries included.
func (a *App) examineClosely(ctx context.Context, repo promotion.Repository) doctor.Repository {
	out := doctor.Repository{Name: repo.FullName()}
	opened, err := a.open(ctx, queue.RepositoryKey(repo.ID))
	if err != nil {
		out.Problem = err.Error()
		return out
	}
	s, err := opened.Observer.Observe(ctx, nil)
	if err != nil {
		out.Problem = err.Error()
		return out
	}
	out.Held, out.Configured, out.Pipeline, out.Problems = s.Problem, s.Configured, s.Pipeline, s.Problems
	out.Tip, out.LedgerProblem, out.Registry = s.Ledger.Tip, s.Ledger.Problem, s.Available
	if s.Configured {
		a.examineRules(ctx, repo, &out)
		a.examineRollbacks(ctx, s, &out, opened.Observer.Git, opened.Observer.Ledger)
	}
	return out
}

// examineRules reads the rules of the base branch and of rung's own branches.
func (a *App) examineRules(ctx context.Context, repo promotion.Repository, out *doctor.Repository) {
	client := a.forge.Installation(repo.Installation)
	state, err := client.Read(ctx, forge.Query{Repository: repo})
	if err != nil {
		out.Problem = err.Error()
		return
	}
	out.Base, out.Methods = state.DefaultBranch, state.Rules.Methods
	if state.Archived {
		out.Held = "the repository is archived: nothing is written"
	}
	guards := func(branch string) doctor.Seen[forge.Guards] { return doctor.See(client.Guards(ctx, repo, branch)) }
	out.OnBase = guards(state.DefaultBranch)
	out.OnLedger = guards(strings.TrimPrefix(promotion.LedgerRef, "refs/heads/"))
	if p := out.Pipeline; len(p.Environments) > 0 && len(p.Artifacts) > 0 {
		pair := promotion.Pair{Environment: p.Environments[0].Name, Artifact: p.Artifacts[0].Name}
		out.OnPromotions = guards(strings.TrimPrefix(promotion.PromotionBranch(pair), "refs/heads/"))
	}
}

// maxLooked is how many earlier releases are looked through for a good one.
const maxLooked = 20

// examineRollbacks asks the registry for what a rollback would go back to.
func (a *App) examineRollbacks(ctx context.Context, s *promotion.Snapshot, out *doctor.Repository, git *gitrepo.Remote, reader *ledger.Reader) {
	out.Rollbacks = []doctor.Rollback{}
	for i := range s.Pipeline.Environments {
		for _, spec := range s.Pipeline.Artifacts {
			pair := promotion.Pair{Environment: s.Pipeline.Environments[i].Name, Artifact: spec.Name}
			live, ok := s.Ledger.Live[pair]
			if !ok || live.Land.Record.Artifact == nil {
				continue
			}
			b := doctor.Rollback{Pair: pair}
			history, err := reader.History(ctx, git, live, maxLooked, func(promotion.LiveEntry) bool { return false })
			if err != nil {
				b.Problem = fmt.Sprintf("the earlier releases of %s can't be read: %v", pair, err)
				out.Rollbacks = append(out.Rollbacks, b)
				continue
			}
			for _, e := range append([]promotion.LiveEntry{live}, history...) {
				if r := e.Land.Record; r.Kind == promotion.RecordLand && r.Restores != "" && r.IssuedAt.After(out.RolledBack) {
					out.RolledBack = r.IssuedAt
				}
			}
			if b.Last = lastGood(&s.Ledger, live.Land.Record.Artifact.Digest, history); b.Last.Digest != "" {
				if b.Served, err = a.registry.Exists(ctx, spec.Image, b.Last.Digest); err != nil {
					b.Problem = err.Error()
				}
			}
			out.Rollbacks = append(out.Rollbacks, b)
		}
	}
}

// lastGood is the newest earlier release that settled good and is not barred.
func lastGood(l *promotion.LedgerState, live promotion.Digest, history []promotion.LiveEntry) promotion.Value {
	for _, e := range history {
		a := e.Land.Record.Artifact
		if a == nil || a.Digest == "" || a.Digest == live || e.Settle == nil || e.Settle.Record.Outcome != promotion.SettledGood {
			continue
		}
		if _, barred := l.Barred(a.Digest); !barred {
			return promotion.Value{Version: a.Version, Digest: a.Digest}
		}
	}
	return promotion.Value{}
}
