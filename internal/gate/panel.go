package gate

import "github.com/rungbot/rung/internal/promotion"

// Judgement is what all gates say of one promotion.
type Judgement struct {
	Verdicts  []promotion.Verdict
	Approvals []promotion.RecordApproval
	Policies  []promotion.RecordPolicy
}

// Panel composes the gates, for whoever judges: a pass, or an audit that judges
// what was kept of it again. Its functions are pure, and so is it.
type Panel struct {
	// Policy is the gate policy, over the files at paths.
	Policy func(f *promotion.Facts, paths []string) (promotion.Verdict, []promotion.RecordPolicy)
	// Approval is the gate approval.
	Approval func(f *promotion.Facts) (promotion.Verdict, []promotion.RecordApproval)
	// App is the number of rung's own App, see Checks.
	App int64
}

// Judge judges by every gate that applies, in the order in which people read
// them: hold, predecessor, quarantine, freeze, policy, approval, head, checks,
// rules. A rollback has neither predecessor, freeze nor approval.
func (p Panel) Judge(f *promotion.Facts) Judgement {
	var j Judgement
	verdict, records := p.Policy(f, f.Environment.Policies)
	j.Policies = records
	for _, v := range Judge(f, p.App) {
		if v.Gate == IDHead {
			j.Verdicts = append(j.Verdicts, verdict)
			if f.Kind != promotion.KindRollback {
				approved, approvals := p.Approval(f)
				j.Verdicts = append(j.Verdicts, approved)
				j.Approvals = approvals
			}
		}
		j.Verdicts = append(j.Verdicts, v)
	}
	return j
}
