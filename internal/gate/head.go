package gate

import (
	"fmt"
	"time"

	"github.com/rungbot/rung/internal/promotion"
)

// mergeableSoon is how soon GitHub is asked again whether a pull request can
// be merged: it works that out in the background, mostly within seconds, and
// begins anew whenever the base moves.
const mergeableSoon = 2 * time.Second

// Head passes when the pull request's head is the one rung made, or its clean
// merge with the base, is no draft, and can be merged.
func Head(f *promotion.Facts) promotion.Verdict {
	v := promotion.Verdict{Gate: IDHead, Status: promotion.StatusPending}
	pr := f.PullRequest
	if pr == nil {
		v.Sentence = "the pull request is not open yet"
		return v
	}
	v.Evidence = []promotion.Evidence{{Name: "head", Value: string(pr.Head)}, {Name: "mergeable", Value: Clip(pr.Mergeable, 40)}}
	switch {
	case pr.Head.Zero() && pr.Ours:
		v.Sentence = "the head is being pushed and is judged right after"
		v.Look = f.Now.Add(mergeableSoon)
	case pr.Head.Zero():
		v.Status, v.Sentence = promotion.StatusUnknown, fmt.Sprintf("the head of #%d is not known", pr.Number)
		v.Look = f.Now.Add(mergeableSoon)
	case !pr.Ours:
		why := "somebody else committed to it"
		if pr.HeadProblem != "" {
			why = Clip(pr.HeadProblem, 200)
		}
		v.Status = promotion.StatusFail
		v.Sentence = fmt.Sprintf("head %s is not what rung made: %s; take the commits off the branch, or close #%d and let rung open a new one", pr.Head.Short(), why, pr.Number)
	case pr.Draft:
		v.Sentence = fmt.Sprintf("#%d is a draft; mark it ready for review", pr.Number)
	case pr.Mergeable == "mergeable":
		v.Status, v.Sentence = promotion.StatusPass, fmt.Sprintf("head %s is what rung made and can be merged", pr.Head.Short())
	case pr.Mergeable == "conflicting":
		v.Sentence = fmt.Sprintf("head %s conflicts with the base branch; rung rebuilds it", pr.Head.Short())
	default:
		v.Sentence = fmt.Sprintf("GitHub has not said yet whether #%d can be merged", pr.Number)
		v.Look = f.Now.Add(mergeableSoon)
	}
	return v
}
