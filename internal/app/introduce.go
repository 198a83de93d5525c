package app

import (
	"context"
	"errors"
	"fmt"
	"maps"

	"github.com/rungbot/rung/internal/act"
	"github.com/rungbot/rung/internal/progress"
	"github.com/rungbot/rung/internal/settings"
	"github.com/rungbot/rung/internal/survey"
)

// Introduction is what rung init proposes in a repository.
type Introduction struct {
	// Under and Mark are those of the command.
	Under []string
	Mark  bool
	// Schema is what is written beside rung.yaml.
	Schema []byte
}

// Introduced is what came of it.
type Introduced struct {
	Survey *survey.Survey
	// Number and URL are the pull request's; 0 where there is nothing to propose.
	Number int
	URL    string
	// Marked are the files with marks.
	Marked []string
}

// Introduce surveys the base head of a repository ("owner/name") and opens a pull
// request with a rung.yaml, if it has none. An existing one is left alone.
func Introduce(ctx context.Context, s settings.Settings, fullName string, o Options, in Introduction) (Introduced, error) {
	a := &App{settings: s, options: o.filled(), log: o.Log, routes: newRoutes()}
	progress.Begin(ctx, "reading "+fullName+" at GitHub", "", 0)
	r, err := a.named(ctx, fullName)
	if err != nil {
		return Introduced{}, err
	}
	tree, base, err := r.Observer.Tree(ctx, in.Under)
	if err != nil {
		return Introduced{}, err
	}
	found, edits, err := survey.LookAndMark(tree, in.Mark)
	if err != nil || found.State != survey.New {
		return Introduced{Survey: found}, err
	}
	branch, err := r.Observer.Introduced(ctx)
	if err != nil {
		return Introduced{}, err
	}
	files := map[string][]byte{"rung.yaml": []byte(found.Configuration), survey.SchemaFile: in.Schema}
	maps.Copy(files, edits)
	number, err := r.Actor.Introduce(ctx, &act.Introduction{
		Repository: r.Repository, Base: base, Branch: branch, Files: files, Title: "Let rung know this repository", Body: found.Body(len(edits) > 0), Now: a.options.Now(),
	})
	if errors.Is(err, act.ErrOtherBranch) {
		err = &survey.Refusal{Sentence: fmt.Sprintf("%v in %s: merge or close its pull request, delete the branch, and run rung init again", err, fullName)}
	}
	if err != nil {
		return Introduced{}, err
	}
	out := Introduced{Survey: found, Number: number, URL: fmt.Sprintf("%s/pull/%d", r.Repository.URL, number)}
	for path := range edits {
		out.Marked = append(out.Marked, path)
	}
	return out, nil
}
