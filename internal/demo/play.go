package demo

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/rungbot/rung/internal/githubemu"
	"github.com/rungbot/rung/internal/lazyregexp"
	"github.com/rungbot/rung/internal/promotion"
)

// play is the people's part. It acts through the emulator alone, as people do
// with their browsers, and waits by what the world shows.
type play struct {
	*stage
	world *World
}

var rungs = []promotion.Environment{"dev", "staging", "canary", "prod-eu", "prod-us"}

// expected is what main names in every environment when the play has been
// played: 1.1.0 and 1.3.0 climbed all five rungs, 1.2.0 and cart 2.1.0 three,
// which they came down again.
var expected = map[promotion.Artifact]promotion.Version{"checkout": "1.3.0", "cart": "2.0.0", "worker": "0.3.0"}

const playedPromotions, playedRollbacks = 5 + 3 + 5 + 3, 3 + 3

func (p *play) run(ctx context.Context) error {
	for _, act := range []func(context.Context) error{p.onboarding, p.climb, p.badRelease, p.sameAgain, p.together, p.quiet} {
		if err := act(ctx); err != nil {
			return err
		}
	}
	return nil
}

// onboarding merges the pull request that names the ledger.
func (p *play) onboarding(ctx context.Context) error {
	p.teller.say("rung asks to be told which ledger is its own.")
	n, err := p.find(ctx, "the onboarding pull request", func(pr *githubemu.PullState) bool {
		return "refs/heads/"+pr.Head == promotion.OnboardRef && pr.State == "open"
	})
	if err != nil {
		return err
	}
	// GitHub's button stays grey until the check is green.
	var refused error
	err = p.world.WaitFor(ctx, "the onboarding pull request to be mergeable", func(ctx context.Context) (bool, error) {
		_, refused = p.world.emulator.Merge(ctx, Repository, n, Alice, "")
		return refused == nil, nil
	})
	if err != nil {
		return errors.Join(err, refused)
	}
	return nil
}

// climb lets a version climb to production.
func (p *play) climb(ctx context.Context) error {
	p.teller.say("A version climbs: dev, staging, canary, and with bob's approval production.")
	if err := publish(ctx, p.world, p.teller, "checkout", "1.1.0", false); err != nil {
		return err
	}
	return p.climbed(ctx, "checkout", "1.1.0")
}

// climbed approves in prod-eu and waits until a version has settled good in
// every environment.
func (p *play) climbed(ctx context.Context, artifact promotion.Artifact, version promotion.Version) error {
	if err := p.approve(ctx, promotion.Pair{Environment: "prod-eu", Artifact: artifact}, version); err != nil {
		return err
	}
	for _, e := range rungs {
		if _, err := p.settled(ctx, promotion.Pair{Environment: e, Artifact: artifact}, version, promotion.SettledGood); err != nil {
			return err
		}
	}
	return nil
}

// badRelease lets a bad version climb, fail, and come back down.
func (p *play) badRelease(ctx context.Context) error {
	p.teller.say("A bad version climbs as far as canary, where it fails its probes.")
	if err := publish(ctx, p.world, p.teller, "checkout", "1.2.0", true); err != nil {
		return err
	}
	failed, err := p.settled(ctx, promotion.Pair{Environment: "canary", Artifact: "checkout"}, "1.2.0", promotion.SettledBad)
	if err != nil {
		return err
	}
	p.teller.say("bob sends it back, rung says where else it runs, and bob sends it back there too.")
	return p.comeBack(ctx, failed, Bob, "1.1.0")
}

// comeBack comments /rollback on the pull request of a landed release, follows
// the commands that rung answers with, and waits until all has settled.
func (p *play) comeBack(ctx context.Context, landed Entry, person string, to promotion.Version) error {
	pair := promotion.Pair{Environment: landed.Record.Environment, Artifact: landed.Record.Artifact.Name}
	number := landed.Record.PullRequest.Number
	answer, err := p.ask(ctx, number, person, "/rollback")
	if err != nil {
		return err
	}
	pairs := []promotion.Pair{pair}
	for _, m := range offered.FindAllStringSubmatch(answer, -1) {
		if _, err := p.world.emulator.Comment(ctx, Repository, number, person, m[1]); err != nil {
			return err
		}
		pairs = append(pairs, promotion.Pair{Environment: promotion.Environment(m[2]), Artifact: pair.Artifact})
	}
	for _, pair := range pairs {
		if _, err := p.settled(ctx, pair, to, promotion.SettledGood); err != nil {
			return err
		}
	}
	return nil
}

// offered finds the commands in rung's answer.
var offered = lazyregexp.New("`(/rollback [a-z0-9-]+ in ([a-z0-9-]+))`")

// sameAgain offers the quarantined digest under another tag.
func (p *play) sameAgain(ctx context.Context) error {
	p.teller.say("The same bytes are offered under another name.")
	digest, err := p.world.Push(ctx, "checkout", "1.2.1", "1.2.0")
	if err != nil {
		return err
	}
	if err := p.world.Announce("checkout", "1.2.1", digest); err != nil {
		return err
	}
	tellPublished(p.teller, "checkout", "1.2.1", digest)
	state, err := p.world.emulator.State(ctx, Repository)
	if err != nil {
		return err
	}
	last := state.Pulls[len(state.Pulls)-1].Number
	return p.world.WaitFor(ctx, "the refusal of checkout 1.2.1", func(ctx context.Context) (bool, error) {
		answer, err := p.ask(ctx, last, Carol, "/why checkout in dev")
		if err != nil {
			return false, err
		}
		return strings.Contains(answer, "1.2.1 is quarantined"), nil
	})
}

// together publishes the fixed version, and another artifact that stands in the
// same file. checkout climbs all the way; cart is taken back from canary.
func (p *play) together(ctx context.Context) error {
	p.teller.say("The fixed version climbs, and cart with it, whose version stands in the same file.")
	if err := publish(ctx, p.world, p.teller, "checkout", "1.3.0", false); err != nil {
		return err
	}
	if err := publish(ctx, p.world, p.teller, "cart", "2.1.0", false); err != nil {
		return err
	}
	both := make(chan error, 2)
	go func() { both <- p.climbed(ctx, "checkout", "1.3.0") }()
	go func() { both <- p.oneOfTwo(ctx) }()
	return errors.Join(<-both, <-both)
}

// oneOfTwo takes cart back while its promotion to prod-eu waits for approval,
// which revokes that; somebody who may not is refused first.
func (p *play) oneOfTwo(ctx context.Context) error {
	landed, err := p.settled(ctx, promotion.Pair{Environment: "canary", Artifact: "cart"}, "2.1.0", promotion.SettledGood)
	if err != nil {
		return err
	}
	ahead := promotion.Pair{Environment: "prod-eu", Artifact: "cart"}
	open, err := p.find(ctx, "the promotion of cart 2.1.0 to prod-eu", func(pr *githubemu.PullState) bool {
		pair, _ := pairOf(pr)
		return pair == ahead && pr.State == "open"
	})
	if err != nil {
		return err
	}
	p.teller.say("cart goes back, checkout stays. mallory, who may only sort issues, is refused first.")
	answer, err := p.ask(ctx, landed.Record.PullRequest.Number, Mallory, "/rollback")
	if err != nil {
		return err
	}
	if !strings.Contains(answer, "needs write access") {
		return fmt.Errorf("mallory's /rollback was answered with %q", answer)
	}
	if err := p.comeBack(ctx, landed, Alice, "2.0.0"); err != nil {
		return err
	}
	_, err = p.find(ctx, "rung to take its promotion to prod-eu back", func(pr *githubemu.PullState) bool {
		return pr.Number == open && pr.State == "closed"
	})
	return err
}

// quiet waits until nothing is under way.
func (p *play) quiet(ctx context.Context) error {
	return p.world.WaitFor(ctx, "everything to come to rest", p.world.AtRest)
}

// find waits for a pull request and returns its number.
func (p *play) find(ctx context.Context, what string, is func(*githubemu.PullState) bool) (number int, err error) {
	err = p.world.WaitFor(ctx, what, func(ctx context.Context) (bool, error) {
		state, err := p.world.emulator.State(ctx, Repository)
		if err != nil {
			return false, err
		}
		i := slices.IndexFunc(state.Pulls, func(pr githubemu.PullState) bool { return is(&pr) })
		if i >= 0 {
			number = state.Pulls[i].Number
		}
		return i >= 0, nil
	})
	return number, err
}

// approve is bob, who approves a promotion's head once the check asks for it,
// and again should the head change, until it has landed.
func (p *play) approve(ctx context.Context, pair promotion.Pair, version promotion.Version) error {
	return p.world.WaitFor(ctx, fmt.Sprintf("%s %s to be approved", pair, version), func(ctx context.Context) (bool, error) {
		state, err := p.world.emulator.State(ctx, Repository)
		if err != nil {
			return false, err
		}
		for i := range state.Pulls {
			pr := &state.Pulls[i]
			if at, v := pairOf(pr); at != pair || v != version || strings.HasPrefix(pr.Title, "Roll") {
				continue
			}
			if pr.State == "merged" {
				return true, nil
			}
			approved := slices.ContainsFunc(pr.Reviews, func(rv githubemu.ReviewState) bool { return rv.SHA == pr.HeadSHA && rv.State == "APPROVED" })
			asked := slices.ContainsFunc(state.Checks[pr.HeadSHA], func(c githubemu.CheckState) bool {
				return c.App == "rung" && strings.Contains(c.Title, "approval")
			})
			if pr.State == "open" && asked && !approved {
				_, err = p.world.emulator.Review(ctx, Repository, pr.Number, Bob, "APPROVE", "I have looked at canary.")
			}
			return false, err
		}
		return false, nil
	})
}

// ask comments and waits for rung's answer.
func (p *play) ask(ctx context.Context, number int, person, text string) (answer string, err error) {
	id, err := p.world.emulator.Comment(ctx, Repository, number, person, text)
	if err != nil {
		return "", err
	}
	err = p.world.WaitFor(ctx, fmt.Sprintf("an answer to %s's %s on #%d", person, text, number), func(ctx context.Context) (bool, error) {
		state, err := p.world.emulator.State(ctx, Repository)
		if err != nil {
			return false, err
		}
		for _, pr := range state.Pulls {
			for _, c := range pr.Comments {
				if pr.Number == number && c.ID > id && c.Author == "rung[bot]" {
					answer = c.Body
					return true, nil
				}
			}
		}
		return false, nil
	})
	return answer, err
}

// settled waits for the settle of a version in an environment, of the landing
// that stands there now, and returns that land record. Another outcome is an
// error.
func (p *play) settled(ctx context.Context, pair promotion.Pair, version promotion.Version, outcome string) (landed Entry, err error) {
	err = p.world.WaitFor(ctx, fmt.Sprintf("%s %s to settle %s", pair, version, outcome), func(ctx context.Context) (bool, error) {
		entries, err := p.world.Records(ctx)
		if err != nil {
			return false, err
		}
		at := currents(entries)[pair]
		if at.land.Record.Artifact == nil || at.land.Record.Artifact.Version != version || at.settle == nil {
			return false, nil
		}
		landed = at.land
		if got := at.settle.Record; got.Outcome != outcome {
			return false, fmt.Errorf("it settled %s: %s", got.Outcome, got.Reason)
		}
		return true, nil
	})
	return landed, err
}
