package local

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/rungbot/rung/internal/decide"
	"github.com/rungbot/rung/internal/forge"
	"github.com/rungbot/rung/internal/gate"
	"github.com/rungbot/rung/internal/promotion"
)

// errUnseen is what a clone says of registries and health sources.
var errUnseen = errors.New("it is not asked where a clone alone is read")

// unseen stands where a pass asks the forge, registries and health sources: it knows
// nothing but that the open promotions of the ledger have pull requests.
type unseen struct {
	repository promotion.Repository
	base       string
	pulls      []forge.PullRequest
}

// nameless is from where on the numbers of pull requests are made up: a propose
// record is written before its pull request has a number.
const nameless = 1 << 40

// pulls are the pull requests that the open promotions must have.
func pulls(st *promotion.LedgerState, refs map[string]promotion.Hash) []forge.PullRequest {
	var all []forge.PullRequest
	for pair, e := range st.Open {
		branch := promotion.PromotionBranch(pair)
		if r := e.Record; r.Kind != promotion.RecordPropose && r.Kind != promotion.RecordAuthorize || refs[branch] == "" {
			continue
		}
		number := nameless + len(all)
		if pr := e.Record.PullRequest; pr != nil && pr.Number != 0 {
			number = pr.Number
		}
		all = append(all, forge.PullRequest{
			Number: number, State: forge.StateOpen, HeadRef: strings.TrimPrefix(branch, "refs/heads/"), Head: refs[branch], Mergeable: forge.MergeClean,
		})
	}
	return all
}

// Read implements observe.Forge.
func (u *unseen) Read(context.Context, forge.Query) (forge.State, error) {
	return forge.State{Repository: u.repository, DefaultBranch: u.base, PullRequests: u.pulls, OpenComplete: true}, nil
}

// Access implements observe.Forge.
func (u *unseen) Access(context.Context, promotion.Repository, promotion.Person, []string) promotion.Access {
	return promotion.Access{}
}

// Comments implements observe.Forge.
func (u *unseen) Comments(context.Context, promotion.Repository, time.Time) ([]forge.Comment, error) {
	return nil, nil
}

// Reacted implements observe.Forge.
func (u *unseen) Reacted(context.Context, promotion.Repository, int64) (bool, error) {
	return true, nil
}

// Origins implements observe.Forge.
func (u *unseen) Origins(context.Context, promotion.Repository, string, []promotion.Hash) (map[promotion.Hash]forge.Origin, error) {
	return nil, nil
}

// Versions implements observe.Registry. That no version is known holds nothing: what
// is not seen is said for the whole clone.
func (u *unseen) Versions(context.Context, string, int) ([]promotion.Version, error) {
	return nil, nil
}

// Resolve implements observe.Registry.
func (u *unseen) Resolve(context.Context, string, promotion.Version) (promotion.Digest, []promotion.Digest, error) {
	return "", nil, errUnseen
}

// Exists implements observe.Registry.
func (u *unseen) Exists(context.Context, string, promotion.Digest) (bool, error) {
	return false, errUnseen
}

// probe is an observe.Probe.
func (u *unseen) probe(_ context.Context, source promotion.HealthSource, _ promotion.Pair, _ promotion.Value) promotion.HealthReading {
	return promotion.HealthReading{Source: source, Status: promotion.StatusUnknown, Detail: errUnseen.Error()}
}

// blindly are the gates where the forge is not seen: those that stand on it know
// nothing.
func blindly(j decide.Judges) decide.Judges {
	judge, by := j.Promotion, j.By
	j.Promotion = func(f *promotion.Facts) decide.Judgement {
		out := judge(f)
		out.Approvals = nil
		for i := range out.Verdicts {
			out.Verdicts[i] = blind(out.Verdicts[i], f)
		}
		return out
	}
	j.By = func(s *promotion.Snapshot) decide.Judges { return blindly(by(s)) }
	return j
}

// blind is a verdict less what it can't know in a clone.
func blind(v promotion.Verdict, f *promotion.Facts) promotion.Verdict {
	text := ""
	switch v.Gate {
	case "approval":
		if f.Environment.Approvals.Required == 0 {
			return v
		}
		text = fmt.Sprintf("needs %d, and a clone does not show the reviews", f.Environment.Approvals.Required)
	case gate.IDChecks:
		text = "a clone shows neither the required checks nor how they ended"
	case gate.IDRules:
		text = "a clone does not show the base branch's rules"
	case gate.IDHead:
		pr := f.PullRequest
		if pr == nil || pr.Head.Zero() || v.Status != promotion.StatusPass {
			return v
		}
		text = fmt.Sprintf("head %s is what rung made; a clone does not show whether it can be merged", pr.Head.Short())
	case "policy":
		if len(f.Environment.Policies) == 0 {
			return v
		}
		text = "policies see reviews and checks as well, which a clone does not show"
	default:
		return v
	}
	return promotion.Verdict{Gate: v.Gate, Status: promotion.StatusUnknown, Sentence: text}
}

// forget takes the numbers away that pulls made up.
func forget(st *promotion.PairState) {
	number := st.PullRequest
	if f := st.Facts; f != nil && f.PullRequest != nil && f.PullRequest.Number >= nameless {
		number, f.PullRequest.Number = f.PullRequest.Number, 0
	}
	if number < nameless {
		return
	}
	st.PullRequest, st.URL = 0, ""
	name := fmt.Sprintf("#%d", number)
	st.Sentence = strings.ReplaceAll(st.Sentence, name, "its pull request")
	for i := range st.Verdicts {
		st.Verdicts[i].Sentence = strings.ReplaceAll(st.Verdicts[i].Sentence, name, "its pull request")
	}
}
