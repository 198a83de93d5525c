package observe

import (
	"context"
	"errors"
	"fmt"

	"github.com/rungbot/rung/internal/gitrepo"
	"github.com/rungbot/rung/internal/promotion"
)

// begin says what the first commit of a ledger begins with. Where the base branch
// cites a ledger that is not there none is begun, unless rung.yaml says that it is
// over, and with which commit it ended.
func (p *pass) begin(ctx context.Context) error {
	cited, err := p.cited(ctx, true)
	if err != nil {
		return err
	}
	switch over := p.s.Pipeline.LedgerBefore; {
	case over != "":
		if err := p.ended(ctx, over, cited); err != nil || p.s.Ledger.Problem != "" {
			return err
		}
	case cited != "":
		p.s.Ledger.Problem = fmt.Sprintf("the ledger is lost: the base branch cites its commit %s, and there is no branch rung/ledger%s", cited.Short(), restore)
		return nil
	}
	begin, err := p.Ledger.Begin()
	if problem, fault := ledgerFault(err); fault {
		p.s.Ledger.Problem = problem
		return nil
	}
	p.s.Ledger.Pending = begin
	return err
}

// ended reads the last state of the ledger that rung.yaml says is over. It must be
// kept in the repository, and be the one that the base branch cites.
func (p *pass) ended(ctx context.Context, over, cited promotion.Hash) error {
	st, err := p.Ledger.ReadEnded(ctx, p.Git, over)
	if errors.Is(err, gitrepo.ErrMissing) {
		p.s.Ledger.Problem = fmt.Sprintf("no ledger is begun: rung.yaml says that the ledger before ended with %s, which is not in this repository; push it to a branch of another name, such as rung/ledger-1", over.Short())
		return nil
	}
	if problem, fault := ledgerFault(err); fault {
		p.s.Ledger.Problem = fmt.Sprintf("no ledger is begun: with %s, which rung.yaml names as the end of the ledger before: %s", over.Short(), problem)
		return nil
	}
	if err != nil {
		return err
	}
	before, err := p.endedBefore(ctx, cited, &p.s.Ledger)
	if err == nil && cited != "" && !before {
		p.s.Ledger.Problem = fmt.Sprintf("no ledger is begun: the base branch cites ledger commit %s, which is not before %s, with which rung.yaml says that the ledger before ended: name its last commit", cited.Short(), over.Short())
	}
	p.s.Before = &st
	return err
}

// endedBefore reports whether a ledger commit belongs to the ledger that rung.yaml
// says is over, and not to the present one, st.
func (p *pass) endedBefore(ctx context.Context, cited promotion.Hash, st *promotion.LedgerState) (bool, error) {
	over := p.s.Pipeline.LedgerBefore
	if over == "" || cited == "" {
		return false, nil
	}
	if st.First != "" {
		before, err := p.Ledger.ReadEnded(ctx, p.Git, over)
		if err != nil || before.First == st.First {
			return false, missingIsNone(err)
		}
	}
	_, relation, err := p.Git.CatchUp(ctx, cited, over)
	if err != nil {
		return false, missingIsNone(err)
	}
	return relation == gitrepo.Ahead || relation == gitrepo.Same || relation == gitrepo.TooFar, nil
}

// missingIsNone passes on what is wrong with the server, not with what it has.
func missingIsNone(err error) error {
	if _, fault := ledgerFault(err); fault || errors.Is(err, gitrepo.ErrMissing) {
		return nil
	}
	return err
}
