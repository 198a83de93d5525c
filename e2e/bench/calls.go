package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/rungbot/rung/internal/demo"
	"github.com/rungbot/rung/internal/githubemu"
	"github.com/rungbot/rung/internal/promotion"
)

// continuous is the continuous integration whose status the base branch
// requires.
const continuous = "ci"

// callFiles are a repository in which checkout climbs by itself, and cart waits
// for an approval.
func callFiles(host string) map[string]string {
	return map[string]string{
		"rung.yaml": fmt.Sprintf(`version: 1
mode: merge
artifacts:
  checkout: {image: %[1]s/acme/checkout, publishers: [acme/checkout]}
  cart: {image: %[1]s/acme/cart, publishers: [acme/cart]}
environments:
  dev: {}
  guarded: {approvals: {required: 1}}
`, host),
		"README.md":                               "# environments\n",
		"environments/dev/kustomization.yaml":     fmt.Sprintf("images:\n  - name: %s/acme/checkout\n    newTag: 1.0.0\n", host),
		"environments/guarded/kustomization.yaml": fmt.Sprintf("images:\n  - name: %s/acme/cart\n    newTag: 2.0.0\n", host),
	}
}

// caller measures one site's requests.
type caller struct {
	*site
	rest bool
	rows []row
}

// calls counts requests per event and step, with GraphQL or over REST alone.
func calls(ctx context.Context, binary string, rest bool) (rows []row, err error) {
	s, err := openSite(ctx, binary, rest, callFiles)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	c := &caller{site: s, rest: rest}
	for _, part := range []struct {
		name string
		do   func(context.Context) error
	}{
		{"warming up", c.warm},
		{"opening", c.opening},
		{"approval", c.approval},
		{"ungated step", c.ungated},
		{"gated step", c.gated},
		{"events that concern nothing", c.strangers},
		{"intake", c.intake},
	} {
		if err := part.do(ctx); err != nil {
			return c.rows, fmt.Errorf("%s (%s): %w\n%s", part.name, c.how(), err, s.rung.said())
		}
	}
	return c.rows, nil
}

func (c *caller) how() string {
	if c.rest {
		return "REST only"
	}
	return "GraphQL"
}

// in are the routes that have their place beside a figure's own.
func (c *caller) in(w where) where {
	if c.rest {
		w |= reading
	}
	return w
}

// count adds the row of a figure that counts requests.
func (c *caller) count(figure string, graphQL, rest float64, got int, t tally, in where) {
	limit := graphQL
	if c.rest {
		figure, limit = figure+", REST only", rest
	}
	c.rows = append(c.rows, counted(figure, limit, float64(got), t.Counts, c.in(in)))
}

// part adds the row of a part of the figure before it.
func (c *caller) part(figure string, limit float64, got int) {
	if c.rest {
		figure += ", REST only"
	}
	c.rows = append(c.rows, row{figure: figure, limit: limit, got: float64(got)})
}

func (c *caller) inform(figure, unit string, got float64, detail string) {
	if !c.rest {
		c.rows = append(c.rows, row{figure: figure, unit: unit, got: got, limit: informative, detail: detail})
	}
}

// warm lets everything happen once that is measured later.
func (c *caller) warm(ctx context.Context) error {
	if err := c.onboard(ctx); err != nil {
		return err
	}
	if err := c.publish(ctx, "checkout", "1.1.0"); err != nil {
		return err
	}
	if err := c.landed(ctx, "checkout", "1.1.0", 1); err != nil {
		return err
	}
	if err := c.publish(ctx, "cart", "2.1.0"); err != nil {
		return err
	}
	return c.approve(ctx, "2.1.0")
}

// approve approves cart's open pull request and waits until it has landed.
func (c *caller) approve(ctx context.Context, version promotion.Version) error {
	pr, err := c.opened(ctx, "cart", version, "Waits for approval")
	if err != nil {
		return err
	}
	if _, err := c.Emulator().Review(ctx, demo.Repository, pr.Number, demo.Bob, "APPROVE", ""); err != nil {
		return err
	}
	return c.landed(ctx, "cart", version, 1)
}

// opening counts from a version's event to its pull request with the check.
func (c *caller) opening(ctx context.Context) error {
	t, err := c.during(ctx, func(ctx context.Context) error {
		if err := c.publish(ctx, "cart", "2.2.0"); err != nil {
			return err
		}
		_, err := c.opened(ctx, "cart", "2.2.0", "")
		return err
	})
	if err != nil {
		return err
	}
	c.count("API calls, event → pull request open with its check", 2, 3, t.Total, t, opening)
	c.part("git pushes per opening", 1, t.pushes())
	c.inform("time, event → pull request open with its check", "ms", float64(t.took.Milliseconds()), "seen at intervals of 50 ms")
	c.inform("git requests per opening", "", float64(t.ByClass[githubemu.Git]), t.git())
	return nil
}

// approval counts from the approving review to rest.
func (c *caller) approval(ctx context.Context) error {
	t, err := c.during(ctx, func(ctx context.Context) error { return c.approve(ctx, "2.2.0") })
	if err != nil {
		return err
	}
	c.count("API calls, approval → merged and landed", 3, informative, t.Total, t, opening|step|talking)
	return nil
}

// ungated counts a whole step that nothing gates.
func (c *caller) ungated(ctx context.Context) error {
	t, err := c.during(ctx, func(ctx context.Context) error {
		if err := c.publish(ctx, "checkout", "1.2.0"); err != nil {
			return err
		}
		return c.landed(ctx, "checkout", "1.2.0", 1)
	})
	if err != nil {
		return err
	}
	c.count("API calls per ungated auto-merged step, own events included", 4, 11, t.Total, t, opening|step)
	c.inform("git requests per ungated step, alone", "", float64(t.ByClass[githubemu.Git]), t.git())
	return nil
}

// gated counts a whole step with one required status.
func (c *caller) gated(ctx context.Context) error {
	if err := c.Emulator().SetRules(demo.Repository, githubemu.Ruleset{
		Name: "main", RequirePull: true,
		RequiredChecks: []githubemu.RequiredCheck{{Context: "tests"}, {Context: "rung", AppID: demo.AppID}},
	}); err != nil {
		return err
	}
	if _, err := c.required(ctx, "1.3.0", c.status); err != nil { // the rules are learned
		return err
	}
	t, err := c.required(ctx, "1.4.0", c.status)
	if err != nil {
		return err
	}
	const figure = "per auto-merged step with one required status"
	c.count("API calls "+figure, 5, 11, t.Total, t, opening|step)
	c.part("… of them writes", 4, t.Writes)
	c.part("… of them content-creating", 2, t.Content)
	c.inform("git requests "+figure+", alone", "", float64(t.ByClass[githubemu.Git]), t.git())
	if t, err = c.required(ctx, "1.5.0", c.checkRun); err != nil {
		return err
	}
	c.count("API calls per auto-merged step with one required check run", 5, 11, t.Total, t, opening|step)
	return nil
}

// required lets checkout land where a check is required. It is reported by
// report, once rung waits for it.
func (c *caller) required(ctx context.Context, version promotion.Version, report func(context.Context, string) error) (tally, error) {
	return c.during(ctx, func(ctx context.Context) error {
		if err := c.publish(ctx, "checkout", version); err != nil {
			return err
		}
		pr, err := c.opened(ctx, "checkout", version, "Waits for checks")
		if err != nil {
			return err
		}
		if err := report(ctx, pr.HeadSHA); err != nil {
			return err
		}
		return c.landed(ctx, "checkout", version, 1)
	})
}

func (c *caller) status(ctx context.Context, head string) error {
	return c.Emulator().ReportStatus(ctx, githubemu.CheckReport{Repository: demo.Repository, App: continuous, SHA: head, Name: "tests", State: "success"})
}

// checkRun reports as continuous integrations do: it runs, then it is done.
func (c *caller) checkRun(ctx context.Context, head string) error {
	report := githubemu.CheckReport{Repository: demo.Repository, App: continuous, SHA: head, Name: "tests"}
	if _, err := c.Emulator().ReportCheck(ctx, report); err != nil {
		return err
	}
	report.Conclusion = "success"
	_, err := c.Emulator().ReportCheck(ctx, report)
	return err
}

// strangers counts what other people's events cost.
func (c *caller) strangers(ctx context.Context) error {
	push := func(repository, branch, text string) func(context.Context) error {
		return func(ctx context.Context) error {
			_, err := c.Emulator().PushFiles(ctx, githubemu.Push{
				Repository: repository, Person: demo.Alice, Branch: branch, Message: "Say more", Files: map[string]string{"README.md": text},
			})
			return err
		}
	}
	const other = "acme/worker"
	if _, err := c.during(ctx, push(other, "", "once\n")); err != nil {
		return err
	}
	t, err := c.during(ctx, push(other, "", "twice\n"))
	if err != nil {
		return err
	}
	c.count("API calls per event of a repository without rung.yaml", 0, 0, t.Total, t, 0)
	t, err = c.during(ctx, func(ctx context.Context) error {
		if err := push(demo.Repository, "words", "# words\n")(ctx); err != nil {
			return err
		}
		number, err := c.Emulator().OpenPull(ctx, demo.Repository, demo.Carol, "words", "main", "Say more", "")
		if err != nil {
			return err
		}
		_, err = c.pull(ctx, "an ordinary pull request", func(pr *githubemu.PullState) bool { return pr.Number == number })
		return err
	})
	if err != nil {
		return err
	}
	c.count("writes per head of an ordinary pull request", 1, 1, t.Writes, t, opening|step)
	t, err = c.during(ctx, func(ctx context.Context) error {
		return c.Emulator().ReportStatus(ctx, githubemu.CheckReport{Repository: demo.Repository, App: continuous, SHA: "words", Name: "other", State: "success"})
	})
	if err != nil {
		return err
	}
	c.count("API calls per status that nothing requires", 0, 0, t.Total, t, 0)
	return nil
}
