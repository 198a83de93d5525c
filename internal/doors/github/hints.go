package github

import "github.com/rungbot/rung/internal/hint"

// Shapes and kinds of hints, under the names that this door uses for them.
type (
	RefsMoved        = hint.RefsMoved
	PullRequest      = hint.PullRequest
	Review           = hint.Review
	Command          = hint.Command
	Check            = hint.Check
	CheckSuite       = hint.CheckSuite
	Status           = hint.Status
	Deployment       = hint.Deployment
	Click            = hint.Click
	Rerequest        = hint.Rerequest
	Published        = hint.Published
	Source           = hint.Source
	Workflow         = hint.Workflow
	MergeGroup       = hint.MergeGroup
	Access           = hint.Access
	RepositoryChange = hint.RepositoryChange
	Refused          = hint.Refused
	Repository       = hint.Repository
)

// Kinds of hints; see package hint.
const (
	KindRefs        = hint.KindRefs
	KindPullRequest = hint.KindPullRequest
	KindReview      = hint.KindReview
	KindCommand     = hint.KindCommand
	KindCheck       = hint.KindCheck
	KindCheckSuite  = hint.KindCheckSuite
	KindStatus      = hint.KindStatus
	KindDeployment  = hint.KindDeployment
	KindClick       = hint.KindClick
	KindRerequest   = hint.KindRerequest
	KindPublished   = hint.KindPublished
	KindWorkflow    = hint.KindWorkflow
	KindMergeGroup  = hint.KindMergeGroup
	KindAccess      = hint.KindAccess
	KindRepository  = hint.KindRepository
	KindRefused     = hint.KindRefused
)
