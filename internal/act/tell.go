package act

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/rungbot/rung/internal/forge"
	"github.com/rungbot/rung/internal/gitrepo"
	"github.com/rungbot/rung/internal/promotion"
)

// subject is a promotion's open pull request.
type subject struct {
	pair   promotion.Pair
	number int
	head   promotion.Hash
}

// missing finds out whether an error is for lack of a permission. A push says only
// that it was refused.
func (a *Actor) missing(ctx context.Context, err error) *forge.ForbiddenError {
	var denied *forge.ForbiddenError
	switch {
	case errors.As(err, &denied) && len(denied.Missing) > 0:
		return denied
	case errors.Is(err, gitrepo.ErrAuthentication):
		return a.Forge.Lacking(ctx, "contents", "write")
	}
	return nil
}

// tell says on the open promotions that a permission is missing which they need: in
// the check, or, where checks are what is missing, in a comment. Each is said once; what
// can't be said is logged, for the pass has failed already.
func (d *doing) tell(ctx context.Context, err error) {
	denied := d.missing(ctx, err)
	if denied == nil {
		return
	}
	for _, s := range d.subjects() {
		if slices.Contains(denied.Missing, "checks: write") {
			d.tellComment(ctx, s, denied)
			continue
		}
		d.tellCheck(ctx, s, denied)
	}
}

// subjects are the promotions whose pull requests are open now.
func (d *doing) subjects() []subject {
	var all []subject
	for pair, number := range d.res.Opened {
		if head := d.res.Heads[pair]; head != "" {
			all = append(all, subject{pair, number, head})
		}
	}
	for _, pr := range d.s.PullRequests {
		pair, ours := strings.CutPrefix("refs/heads/"+pr.HeadRef, promotion.PromotionBranches)
		if pr.State != forge.StateOpen || pr.Fork || !ours || slices.ContainsFunc(all, func(s subject) bool { return s.number == pr.Number }) {
			continue
		}
		s := subject{number: pr.Number, head: pr.Head}
		if s.pair.UnmarshalText([]byte(pair)) == nil {
			all = append(all, s)
		}
	}
	return all
}

// saidBefore reports whether this was said by this Actor, and keep remembers that it
// was, or that it can't be.
func (d *doing) saidBefore(what string) bool { return d.said[answer{reaction: what}] }

func (d *doing) keep(what string, err error) {
	if err != nil && later(err) {
		return
	}
	if d.said == nil || len(d.said) >= maxSaid {
		d.said = map[answer]bool{}
	}
	d.said[answer{reaction: what}] = true
}

// granted forgets what was said about permissions: whatever was missing is there.
func (d *doing) granted() {
	maps.DeleteFunc(d.said, func(a answer, _ bool) bool { return strings.HasPrefix(a.reaction, permissionKey) })
}

// permissionKey begins the keys of what is said about permissions.
const permissionKey = "permission/"

// tellCheck says it in the check run, which is not green then.
func (d *doing) tellCheck(ctx context.Context, s subject, denied *forge.ForbiddenError) {
	key := permissionKey + strings.Join(denied.Missing, "+")
	what := key + "/" + string(s.head)
	if d.saidBefore(what) {
		return
	}
	id, err := d.Forge.SetCheck(ctx, d.s.Repository, forge.Check{
		Name: promotion.CheckName, Head: s.head, ExternalID: key, Conclusion: "action_required", Title: "GitHub does not let rung go on: a permission is missing",
		Summary: denied.Sentence() + ". rung goes on by itself then.", DetailsURL: d.BoardURL, Maybe: true,
	}, 0)
	d.keep(what, err)
	if err != nil {
		d.log.Warn().Err(err).Int("pull", s.number).Msg("could not say in the check that a permission is missing")
		d.tellComment(ctx, s, denied)
		return
	}
	d.res.Checks = append(d.res.Checks, promotion.WrittenCheck{
		PullRequest: s.number, Pair: s.pair, Check: promotion.OwnCheck{ID: id, Head: s.head, Conclusion: "action_required", Fingerprint: key},
	})
}

// tellComment says it in a comment, once for all times.
func (d *doing) tellComment(ctx context.Context, s subject, denied *forge.ForbiddenError) {
	key := permissionKey + strings.NewReplacer(": ", "-", "_", "-").Replace(strings.Join(denied.Missing, "."))
	what := fmt.Sprintf("%s/%d", key, s.number)
	if d.saidBefore(what) {
		return
	}
	body := "GitHub does not let rung go on with this promotion: " + denied.Sentence() + ". rung goes on by itself then."
	_, err := d.Forge.AddComment(ctx, d.s.Repository, s.number, forge.NewComment{Body: body, Key: key, Maybe: true})
	d.keep(what, err)
	if err != nil {
		d.log.Warn().Err(err).Int("pull", s.number).Msg("could not say that a permission is missing")
	}
}
