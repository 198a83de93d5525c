package doctor

import (
	"time"

	"github.com/rungbot/rung/internal/forge"
	"github.com/rungbot/rung/internal/promotion"
)

// Facts is everything that was seen.
type Facts struct {
	// Now is this machine's clock.
	Now time.Time
	// Brief and Production are what was asked for; see Report.Brief.
	Brief, Production bool

	// Settings are the problems of the settings, none where they hold.
	Settings []string
	// Fingerprint is the release key's.
	Fingerprint Seen[string]
	// OwnRoot is true where no root key is named.
	OwnRoot bool
	// Database is the queue's file.
	Database Seen[Database]

	// GitHubURL and AppID are the settings.
	GitHubURL string
	AppID     int64
	// Served is true where webhooks are to be taken; false for reconcile --once.
	Served bool
	// GitHub is how the server answered, App what it knows of the App.
	GitHub Seen[forge.Answer]
	App    Seen[forge.Registration]
	// NotTaken is true where GitHub did not take the App's credentials, NoApp where it
	// knows no such App.
	NotTaken, NoApp bool
	Installations   Seen[[]Installation]
	// Missing are repositories that were named and that the App is not installed on.
	Missing []string
	// Hook is where webhooks go; NoHook is true where the App has none.
	Hook       Seen[forge.Hook]
	NoHook     bool
	Deliveries Seen[[]forge.Delivery]

	Repositories []Repository
	// Unlooked is true where no repository could be looked at, as the lines say.
	Unlooked bool
	// Unconfigured are repositories without a rung.yaml that nobody asked about.
	Unconfigured []string
	// Left are repositories that were not looked at.
	Left []string
}

// Installation is one account with the App.
type Installation struct {
	forge.Installation
	Quota Seen[forge.Quota]
}

// Database is the queue's file and the disk that it lies on.
type Database struct {
	Path string
	// Absent is true where there is none yet; Writable tells that it, or its directory,
	// can be written.
	Absent, Writable bool
	// InUse is true where a running rung has it open.
	InUse bool
	// Damage says what is wrong inside; empty where it is whole.
	Damage string
	// Newer says why this rung refuses it, a newer rung's; Schema is what it has where a
	// newer rung wrote it and this one may use it.
	Newer  string
	Schema int
	// Bytes is its size, Free what is left on its disk; Free is only known where Room is
	// true.
	Bytes, Free uint64
	Room        bool
}

// Repository is one GitOps repository.
type Repository struct {
	Name string
	// Problem says why it could not be looked at.
	Problem string
	// Held says what holds everything there, such as that it is archived.
	Held       string
	Configured bool
	Pipeline   promotion.Pipeline
	Problems   []promotion.ConfigProblem
	Base       string
	// Tip is the ledger's head, LedgerProblem why it can't be used.
	Tip           promotion.Hash
	LedgerProblem string
	// Methods are the merge methods that the repository allows; nil: not known.
	Methods []string
	// OnBase, OnLedger and OnPromotions are the rules of those branches.
	OnBase, OnLedger, OnPromotions Seen[forge.Guards]
	// Registry is what each artifact's registry answered, Rollbacks what could be gone
	// back to. Both only where it was looked closely.
	Registry  map[promotion.Artifact]promotion.Availability
	Rollbacks []Rollback
	// RolledBack is when the newest known rollback landed; zero: none is known.
	RolledBack time.Time
}

// Rollback is what a rollback of a pair would find.
type Rollback struct {
	Pair promotion.Pair
	// Last is the last good release before the present one; zero: there is none.
	Last promotion.Value
	// Served tells whether the registry still has it; Problem why that is not known.
	Served  bool
	Problem string
}
