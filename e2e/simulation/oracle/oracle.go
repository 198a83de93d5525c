package oracle

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/rungbot/rung/internal/githubemu"
	"github.com/rungbot/rung/internal/githubemu/gitstore"
)

// Names of the branches that rung may write.
const (
	ledgerRef   = "refs/heads/rung/ledger"
	onboardRef  = "refs/heads/rung/onboard"
	promotions  = "refs/heads/rung/p/"
	ownCheck    = "rung"
	defaultBase = "refs/heads/main"
)

// World is what the oracle may look at.
type World struct {
	Emulator   *githubemu.Server
	Repository string // OWNER/NAME
	Git        gitstore.Repository
	// Bot is rung's login; Key checks its records.
	Bot string
	Key ed25519.PublicKey
	// Role is what a person may do on the repository now.
	Role func(login string) string
	// Sick tells since when a digest in an environment can't have answered that
	// it is well; ok is false while it can.
	Sick func(environment, digest string) (since time.Time, ok bool)
	// Images are the artifacts' image names.
	Images map[string]string
}

// Oracle watches one repository. Make one with New.
type Oracle struct {
	World
	ctx        context.Context
	book       *book
	violations []string
	told       int // records that decide something
	// The write under way: what was there before it.
	refs  map[string]string
	state githubemu.RepositoryState
	last  string
}

// New makes an Oracle that has seen nothing.
func New(w World) *Oracle {
	return &Oracle{World: w, ctx: context.Background(), book: newBook()}
}

// Told is how many records decided something: all but proposals that were written
// again with one more causer.
func (o *Oracle) Told() int { return o.told }

// Violations are what was found, oldest first.
func (o *Oracle) Violations() []string { return o.violations }

// Report adds a violation; its rule begins with the number of an invariant.
func (o *Oracle) Report(rule, format string, args ...any) {
	text := rule + ": " + fmt.Sprintf(format, args...)
	for _, v := range o.violations {
		if v == text {
			return
		}
	}
	o.violations = append(o.violations, text)
}

// Last says in a few words what the last write did, for a trace.
func (o *Oracle) Last() string { return o.last }

// Before is called before a write reaches the emulator. Kind is push, merge, or
// another word.
func (o *Oracle) Before(kind string, _ *http.Request) {
	o.last = ""
	switch kind {
	case "push":
		o.refs = o.allRefs()
	case "merge":
		o.refs = o.allRefs()
		o.state = o.look()
	}
}

var pullNumber = regexp.MustCompile(`/pulls/(\d+)/merge$`)

// After is called once the write has had its effect, or none.
func (o *Oracle) After(kind string, r *http.Request) {
	switch kind {
	case "push":
		o.pushed(o.refs, o.allRefs())
	case "merge":
		if m := pullNumber.FindStringSubmatch(r.URL.Path); m != nil {
			n, _ := strconv.Atoi(m[1])
			o.merged(n)
		}
	case "open":
		o.onePullAPair()
	case "comment":
		o.oneReplyEach()
	}
}

func (o *Oracle) look() githubemu.RepositoryState {
	s, err := o.Emulator.State(o.ctx, o.Repository)
	if err != nil {
		panic(err)
	}
	return s
}

func (o *Oracle) allRefs() map[string]string {
	refs, err := o.Git.Refs(o.ctx, "refs/heads/")
	if err != nil {
		panic(err)
	}
	return refs
}

// pushed judges what a push of rung's did to the branches.
func (o *Oracle) pushed(before, after map[string]string) {
	var words []string
	if before[ledgerRef] != after[ledgerRef] {
		words = o.ledgerMoved(before[ledgerRef], after[ledgerRef])
	}
	for ref, now := range after {
		was := before[ref]
		if was == now {
			continue
		}
		switch {
		case ref == ledgerRef:
		case ref == onboardRef:
			o.onboarded(now)
		case strings.HasPrefix(ref, promotions):
			words = append(words, strings.TrimPrefix(ref, promotions)+"="+now[:10])
			o.built(ref, now, after[ledgerRef])
		default:
			o.Report("4 scope", "rung pushed %s from %.10s to %.10s", ref, was, now)
		}
	}
	for ref, was := range before {
		if after[ref] != "" {
			continue
		}
		words = append(words, "-"+strings.TrimPrefix(ref, promotions))
		if !strings.HasPrefix(ref, promotions) {
			o.Report("4 scope", "rung deleted %s, which was at %.10s", ref, was)
		}
	}
	if len(words) > 0 {
		o.last = " [" + strings.Join(words, ", ") + "]"
	}
}

// onePullAPair checks that no promotion branch has two open pull requests.
func (o *Oracle) onePullAPair() {
	open := map[string]int{}
	for _, p := range o.look().Pulls {
		if p.State != "open" || p.Author != o.Bot {
			continue
		}
		if other := open[p.Head]; other != 0 {
			o.Report("2 once", "#%d and #%d are both open for %s", other, p.Number, p.Head)
		}
		open[p.Head] = p.Number
	}
}

var replyKey = regexp.MustCompile(`<!-- rung (\S+) -->`)

// oneReplyEach checks that nothing is answered twice.
func (o *Oracle) oneReplyEach() {
	for _, p := range o.look().Pulls {
		said := map[string]bool{}
		for _, c := range p.Comments {
			if c.Author != o.Bot {
				continue
			}
			m := replyKey.FindStringSubmatch(c.Body)
			if m == nil {
				o.Report("2 once", "a comment of rung's on #%d carries no key", p.Number)
				continue
			}
			if said[m[1]] {
				o.Report("2 once", "rung answers %s twice on #%d", m[1], p.Number)
			}
			said[m[1]] = true
		}
	}
}
