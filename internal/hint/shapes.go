package hint

import (
	"time"

	"github.com/rungbot/rung/internal/promotion"
)

// The kinds of hints, with the type of their data. Subjects are given in
// brackets.
const (
	KindRefs        = "refs"         // RefsMoved [the ref]
	KindPullRequest = "pull-request" // PullRequest [its number]
	KindReview      = "review"       // Review [the pull request's number]
	KindCommand     = "command"      // Command [the comment's id]
	KindCheck       = "check"        // Check [head]
	KindCheckSuite  = "check-suite"  // CheckSuite [head]
	KindStatus      = "status"       // Status [sha]
	KindDeployment  = "deployment"   // Deployment [sha]
	KindClick       = "click"        // Click [the check run's id]
	KindRerequest   = "rerequest"    // Rerequest [head]
	KindPublished   = "published"    // Published [artifact, image or publisher]
	KindWorkflow    = "workflow"     // Workflow [head]
	KindMergeGroup  = "merge-group"  // MergeGroup [head]
	KindAccess      = "access"       // Access [action]
	KindRepository  = "repository"   // RepositoryChange [action]
	KindRefused     = "refused"      // Refused [the delivery]
)

// RefsMoved says: a branch was created, moved or deleted.
type RefsMoved struct {
	// Ref is the full name, refs/heads/….
	Ref string `json:"ref"`
	// Before and After are empty where the branch did not exist.
	Before promotion.Hash `json:"before,omitempty"`
	After  promotion.Hash `json:"after,omitempty"`
	Forced bool           `json:"forced,omitempty"`
	// Own is true for rung's own push.
	Own    bool             `json:"own,omitempty"`
	Sender promotion.Person `json:"sender"`
}

// PullRequest says: somebody touched a pull request. rung's own touches make no
// hint.
type PullRequest struct {
	Number int            `json:"number"`
	Action string         `json:"action"`
	Head   promotion.Hash `json:"head"`
	// HeadRef and Base are branch names without refs/heads/.
	HeadRef string           `json:"headRef,omitempty"`
	Base    string           `json:"base,omitempty"`
	Sender  promotion.Person `json:"sender"`
}

// Review says: a review was submitted, edited or dismissed.
type Review struct {
	Number int    `json:"number"`
	Action string `json:"action"`
	// Head is the pull request's head at the time of the event.
	Head   promotion.Hash   `json:"head"`
	Sender promotion.Person `json:"sender"`
}

// Command says: a new comment that begins with a slash and a letter, by a person.
// The head it speaks of is not in the event: it is the one seen when the
// delivery came in.
type Command struct {
	// Comment is the comment's id on the forge.
	Comment int64 `json:"comment"`
	// Number is the pull request's, or the issue's if Issue is true.
	Number    int              `json:"number"`
	Issue     bool             `json:"issue,omitempty"`
	Author    promotion.Person `json:"author"`
	CreatedAt time.Time        `json:"createdAt"`
	// Line is the comment's first line without its end, at most 1 KiB; of a
	// longer one a little more than 1 KiB is kept, so that it can be answered.
	Line string `json:"line"`
}

// Check says: a check run of another App completed.
type Check struct {
	Head promotion.Hash `json:"head"`
	Name string         `json:"name"`
	// App is the number of the App that posted it.
	App int64 `json:"app"`
}

// CheckSuite says: all check runs of another App on a commit completed. More may
// follow.
type CheckSuite struct {
	Head promotion.Hash `json:"head"`
	App  int64          `json:"app"`
}

// Status says: a commit status was set by somebody else.
type Status struct {
	SHA     promotion.Hash `json:"sha"`
	Context string         `json:"context"`
	State   string         `json:"state"`
}

// Deployment says: a deployment got a status.
type Deployment struct {
	SHA promotion.Hash `json:"sha"`
	ID  int64          `json:"id"`
	// Environment is GitHub's name for it, free text.
	Environment string `json:"environment"`
	State       string `json:"state"`
}

// Click says: a person pressed a button on one of our check runs. Whether they may
// is for the reader to ask.
type Click struct {
	CheckRun   int64            `json:"checkRun"`
	Identifier string           `json:"identifier"`
	Head       promotion.Hash   `json:"head"`
	Sender     promotion.Person `json:"sender"`
	// Delivery is the delivery's GUID: the click's identity.
	Delivery string `json:"delivery"`
}

// Rerequest says: somebody asked for one of our check runs, or all of them, again.
type Rerequest struct {
	// CheckRun is 0 when the whole suite is asked for.
	CheckRun int64            `json:"checkRun,omitempty"`
	Head     promotion.Hash   `json:"head"`
	Sender   promotion.Person `json:"sender"`
}

// Published says: an artifact may have a new version. Artifact or Image names it;
// with neither, it is some artifact that Publisher publishes. An empty Version
// means says: look at the registry.
type Published struct {
	Artifact promotion.Artifact `json:"artifact,omitempty"`
	// Image is an OCI repository in lower case, without tag or digest.
	Image   string            `json:"image,omitempty"`
	Version promotion.Version `json:"version,omitempty"`
	// Digest is the sender's word only; the registry's counts.
	Digest promotion.Digest `json:"digest,omitempty"`
	// Publisher and PublisherID are the repository in which the event
	// happened, as GitHub says: what an allow-list of publishers is held
	// against. Empty and 0 for a package of an organisation.
	Publisher   string `json:"publisher,omitempty"`
	PublisherID int64  `json:"publisherID,omitempty"`
	// Source is what the sender claims that it was built from.
	Source Source `json:"source,omitzero"`
	// Sender is who made the event happen: a causer of the promotion.
	Sender promotion.Person `json:"sender"`
	// Event is GitHub's name of the event, Delivery its GUID.
	Event    string `json:"event"`
	Delivery string `json:"delivery"`
}

// Source is a repository ("owner/name") and a commit in it.
type Source struct {
	Repository string         `json:"repository,omitempty"`
	Commit     promotion.Hash `json:"commit,omitempty"`
}

// Workflow says: a workflow run completed.
type Workflow struct {
	Head promotion.Hash `json:"head"`
	Run  int64          `json:"run"`
}

// MergeGroup says: a merge queue wants checks on a group, or dropped it.
type MergeGroup struct {
	Action  string         `json:"action"`
	Head    promotion.Hash `json:"head"`
	HeadRef string         `json:"headRef"`
	Base    promotion.Hash `json:"base"`
	BaseRef string         `json:"baseRef"`
}

// Access says: what the installation may reach has changed.
type Access struct {
	// Event is installation, installation_repositories or
	// installation_target.
	Event string `json:"event"`
	// Action is created, deleted, suspend, unsuspend,
	// new_permissions_accepted, added, removed or renamed.
	Action       string `json:"action"`
	Installation int64  `json:"installation"`
}

// RepositoryChange says: the repository was renamed, transferred, archived, …, or
// its default branch changed.
type RepositoryChange struct {
	Action     string     `json:"action"`
	Repository Repository `json:"repository"`
}

// Refused says: an event was authentic, and something in it can't be used.
type Refused struct {
	Event    string `json:"event"`
	Delivery string `json:"delivery"`
	// Repository ("owner/name") is where it happened, or empty.
	Repository string           `json:"repository,omitempty"`
	Sender     promotion.Person `json:"sender"`
	// Reason is a sentence for people. It may quote text from outside, so it
	// has to be neutralised like any other where it is shown.
	Reason string `json:"reason"`
}

// Repository is a repository as an event described it: fresh, not proven.
type Repository struct {
	promotion.Repository
	// DefaultBranch is without refs/heads/; empty in events that describe a
	// repository in part.
	DefaultBranch string `json:"defaultBranch,omitempty"`
}
