package github

import "github.com/rungbot/rung/internal/hint"

// The shapes of hints under the names that this door uses for them; package hint
// says what each is.
type (
	// RefsMoved is hint.RefsMoved.
	RefsMoved = hint.RefsMoved
	// PullRequest is hint.PullRequest.
	PullRequest = hint.PullRequest
	// Review is hint.Review.
	Review = hint.Review
	// Command is hint.Command.
	Command = hint.Command
	// Check is hint.Check.
	Check = hint.Check
	// CheckSuite is hint.CheckSuite.
	CheckSuite = hint.CheckSuite
	// Status is hint.Status.
	Status = hint.Status
	// Deployment is hint.Deployment.
	Deployment = hint.Deployment
	// Click is hint.Click.
	Click = hint.Click
	// Rerequest is hint.Rerequest.
	Rerequest = hint.Rerequest
	// Published is hint.Published.
	Published = hint.Published
	// Source is hint.Source.
	Source = hint.Source
	// Workflow is hint.Workflow.
	Workflow = hint.Workflow
	// MergeGroup is hint.MergeGroup.
	MergeGroup = hint.MergeGroup
	// Access is hint.Access.
	Access = hint.Access
	// RepositoryChange is hint.RepositoryChange.
	RepositoryChange = hint.RepositoryChange
	// Refused is hint.Refused.
	Refused = hint.Refused
	// Repository is hint.Repository.
	Repository = hint.Repository
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
