package forge

import (
	"context"
	"fmt"
	"unicode/utf8"

	"github.com/google/go-github/v60/github"

	"github.com/rungbot/rung/internal/promotion"
)

// Limits of a check run: GitHub's own.
const (
	summaryLimit     = 65535
	actionsLimit     = 3
	labelLimit       = 20
	descriptionLimit = 40
	identifierLimit  = 20
)

// Check is a check run as it shall be.
type Check struct {
	Name string
	Head promotion.Hash
	// ExternalID is rung's own key of the run; it is how a run is found again
	// whose creation was not confirmed.
	ExternalID string
	// Status is queued, in_progress or completed; empty with a Conclusion is
	// completed.
	Status string
	// Conclusion is success, failure, action_required …; required when it is
	// completed.
	Conclusion string
	Title      string
	// Summary is Markdown; more than 65,535 bytes are cut with a note.
	Summary    string
	DetailsURL string
	// Actions are at most three buttons. Labels over 20 and descriptions over
	// 40 characters are cut; an identifier over 20 is an error.
	Actions []promotion.Button
	// Maybe is true when an earlier creation may have gone through: it is
	// looked up before another one is made.
	Maybe bool
}

// SetCheck makes the check run say what c says: run id, or a new one when id
// is 0. It returns the run's number.
func (c *Client) SetCheck(ctx context.Context, repo promotion.Repository, check Check, id int64) (int64, error) {
	op := fmt.Sprintf("set check %q on %s in %s", check.Name, check.Head.Short(), repo.FullName())
	if _, err := promotion.ParseHash(string(check.Head)); err != nil {
		return 0, fmt.Errorf("forge: %s: %w", op, err)
	}
	actions, err := buttons(check.Actions)
	if err != nil {
		return 0, fmt.Errorf("forge: %s: %w", op, err)
	}
	if id == 0 && check.Maybe {
		if id, err = c.findCheck(ctx, repo, check); err != nil {
			return 0, translate(op, false, repo, err)
		}
	}
	status := check.Status
	if status == "" && check.Conclusion != "" {
		status = "completed"
	}
	output := &github.CheckRunOutput{
		Title: github.String(cutRunes(oneLine(check.Title), titleLimit)), Summary: github.String(cutNote(check.Summary, summaryLimit)),
	}
	var run *github.CheckRun
	if id != 0 {
		run, _, err = c.rest.Checks.UpdateCheckRun(ctx, repo.Owner, repo.Name, id, github.UpdateCheckRunOptions{
			Name: check.Name, DetailsURL: optional(check.DetailsURL), ExternalID: optional(check.ExternalID),
			Status: optional(status), Conclusion: optional(check.Conclusion), Output: output, Actions: actions,
		})
	} else {
		run, _, err = c.rest.Checks.CreateCheckRun(ctx, repo.Owner, repo.Name, github.CreateCheckRunOptions{
			Name: check.Name, HeadSHA: string(check.Head), DetailsURL: optional(check.DetailsURL), ExternalID: optional(check.ExternalID),
			Status: optional(status), Conclusion: optional(check.Conclusion), Output: output, Actions: actions,
		})
	}
	if err != nil {
		return 0, translate(op, true, repo, err)
	}
	if run.GetID() <= 0 {
		return 0, fmt.Errorf("forge: %s: %w: GitHub's answer has no number", op, ErrUnknownOutcome)
	}
	return run.GetID(), nil
}

// findCheck looks for a run of this App that an earlier call may have made:
// the one with the same external id, or the newest of the same name.
func (c *Client) findCheck(ctx context.Context, repo promotion.Repository, check Check) (int64, error) {
	runs, _, err := c.rest.Checks.ListCheckRunsForRef(ctx, repo.Owner, repo.Name, string(check.Head), &github.ListCheckRunsOptions{
		CheckName: github.String(check.Name), AppID: github.Int64(c.app.config.AppID), Filter: github.String("latest"),
		ListOptions: github.ListOptions{PerPage: pageSize},
	})
	if err != nil {
		return 0, err
	}
	var newest int64
	for _, run := range runs.CheckRuns {
		if run.GetName() != check.Name || run.GetHeadSHA() != string(check.Head) || run.GetApp().GetID() != c.app.config.AppID {
			continue
		}
		if check.ExternalID != "" && run.GetExternalID() == check.ExternalID {
			return run.GetID(), nil
		}
		newest = max(newest, run.GetID())
	}
	return newest, nil
}

func buttons(in []promotion.Button) ([]*github.CheckRunAction, error) {
	if len(in) > actionsLimit {
		return nil, fmt.Errorf("%d buttons: GitHub shows at most %d", len(in), actionsLimit)
	}
	var out []*github.CheckRunAction
	for _, b := range in {
		if n := utf8.RuneCountInString(b.Identifier); n == 0 || n > identifierLimit {
			return nil, fmt.Errorf("button %q: its identifier must have 1 to %d characters", b.Label, identifierLimit)
		}
		out = append(out, &github.CheckRunAction{
			Label: cutRunes(b.Label, labelLimit), Description: cutRunes(b.Description, descriptionLimit), Identifier: b.Identifier,
		})
	}
	return out, nil
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
