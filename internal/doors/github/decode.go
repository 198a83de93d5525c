package github

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/rungbot/rung/internal/promotion"
	"github.com/rungbot/rung/internal/queue"
)

// ErrMalformed says that the payload is not what GitHub sends for its event. The
// error's text names a field and never quotes the payload.
var ErrMalformed = errors.New("malformed payload")

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrMalformed}, args...)...)
}

// Reason says why an authentic event marks nothing. The set is closed, so it
// can label a metric.
type Reason string

// The reasons.
const (
	ReasonUnknownEvent   Reason = "unknown event"
	ReasonPing           Reason = "ping"
	ReasonAction         Reason = "action without use"
	ReasonOwn            Reason = "own event"
	ReasonBot            Reason = "sent by a bot"
	ReasonNoCommand      Reason = "no command"
	ReasonNotABranch     Reason = "not a branch"
	ReasonNotAnImage     Reason = "not a container image"
	ReasonUntagged       Reason = "image without a tag"
	ReasonNoInstallation Reason = "no installation"
	ReasonNoRepository   Reason = "no repository"
	ReasonNotConfigured  Reason = "repository not configured"
	ReasonUnrouted       Reason = "nothing names the artifact"
)

// Self is how rung recognises what it did itself.
type Self struct {
	// AppID is the App's number.
	AppID int64
	// BotID is the number of the App's bot account, and BotLogin its name
	// ("rung[bot]"). The number counts if it is known.
	BotID    int64
	BotLogin string
}

// is reports whether the account is the App's own.
func (s Self) is(a account) bool {
	if s.BotID != 0 {
		return a.ID == s.BotID
	}
	return s.BotLogin != "" && strings.EqualFold(a.Login, s.BotLogin)
}

// Raw is a delivery as it came in, authenticated.
type Raw struct {
	// GUID and Event are GitHub's headers.
	GUID, Event string
	ReceivedAt  time.Time
	Payload     []byte
}

// Notice is what one delivery says.
type Notice struct {
	// Action is the payload's, "" if it has none that can be shown.
	Action       string
	Installation int64
	// Repository is where it happened; ID 0 if the event has none.
	Repository Repository
	// Hints concern Repository. They count although it is not configured if
	// Always is true.
	Hints  []queue.Hint
	Always bool
	// Routed concern whichever repositories name what they are about.
	Routed []Routed
	// Affected are repositories whose access changed, with the hint for each
	// of them; WholeInstallation adds all that are known of it.
	Affected          []Repository
	AccessHint        queue.Hint
	WholeInstallation bool
	// Ignored says why there is nothing above, or is empty.
	Ignored Reason
	// RefusedValues counts the Refused hints above.
	RefusedValues int
}

// Routed is a hint for every GitOps repository that names what it is About.
type Routed struct {
	About Published
	Hint  queue.Hint
}

// Decode reads a delivery's payload. It is pure, never panics, and keeps only
// what passed a grammar. An unknown event is ignored; an error wraps
// ErrMalformed.
func Decode(self Self, raw Raw) (Notice, error) {
	decode, known := decoders[raw.Event]
	if !known {
		return Notice{Ignored: ReasonUnknownEvent}, nil
	}
	return decode(&decoding{self: self, raw: raw})
}

var decoders = map[string]func(*decoding) (Notice, error){
	"ping":                      func(*decoding) (Notice, error) { return Notice{Ignored: ReasonPing}, nil },
	"push":                      (*decoding).push,
	"pull_request":              (*decoding).pullRequest,
	"pull_request_review":       (*decoding).review,
	"issue_comment":             (*decoding).comment,
	"check_run":                 (*decoding).checkRun,
	"check_suite":               (*decoding).checkSuite,
	"status":                    (*decoding).status,
	"deployment_status":         (*decoding).deploymentStatus,
	"merge_group":               (*decoding).mergeGroup,
	"workflow_run":              (*decoding).workflowRun,
	"release":                   (*decoding).release,
	"registry_package":          (*decoding).registryPackage,
	"package":                   (*decoding).registryPackage,
	"repository_dispatch":       (*decoding).dispatch,
	"installation":              (*decoding).installation,
	"installation_repositories": (*decoding).installation,
	"installation_target":       (*decoding).installation,
	"repository":                (*decoding).repository,
}

// envelope is what every payload has, as far as rung needs it.
type envelope struct {
	Action       string `json:"action"`
	Installation struct {
		ID int64 `json:"id"`
	} `json:"installation"`
	Repository *repository `json:"repository"`
	Sender     account     `json:"sender"`
}

type account struct {
	ID    int64  `json:"id"`
	Login string `json:"login"`
	Type  string `json:"type"`
}

// bot reports whether the account is a machine's.
func (a account) bot() bool { return a.Type == "Bot" || strings.HasSuffix(a.Login, "[bot]") }

// person is the account as the vocabulary has it; a login outside the grammar
// is left out, the number stays.
func (a account) person() promotion.Person {
	p := promotion.Person{ID: a.ID, Bot: a.bot()}
	if loginGrammar.MatchString(a.Login) {
		p.Login = a.Login
	}
	return p
}

type repository struct {
	ID            int64  `json:"id"`
	FullName      string `json:"full_name"`
	HTMLURL       string `json:"html_url"`
	DefaultBranch string `json:"default_branch"`
}

func (r *repository) checked(installation int64) (Repository, error) {
	owner, name, ok := parseFullName(r.FullName)
	if !ok || r.ID <= 0 {
		return Repository{}, malformed("repository needs a positive id and a full_name of the form owner/name")
	}
	out := Repository{Repository: promotion.Repository{
		ID: r.ID, Installation: installation, Owner: owner, Name: name, URL: webAddress(r.HTMLURL),
	}}
	if branch(r.DefaultBranch) {
		out.DefaultBranch = r.DefaultBranch
	}
	return out, nil
}

// decoding is one delivery on its way to a Notice.
type decoding struct {
	self   Self
	raw    Raw
	env    envelope
	notice Notice
	err    error
}

// parse reads the payload into event, whose embedded envelope is env. It
// reports whether the decoder should go on: if not, done gives its answer.
func (d *decoding) parse(event any, env *envelope) bool {
	if err := json.Unmarshal(d.raw.Payload, event); err != nil {
		var typed *json.UnmarshalTypeError
		if errors.As(err, &typed) && typed.Field != "" {
			d.err = malformed("field %s has the wrong type", textOr(typed.Field, 100))
		} else {
			d.err = malformed("not the JSON object that GitHub sends for %s", d.raw.Event)
		}
		return false
	}
	d.env = *env
	d.notice = Notice{Action: textOr(env.Action, 100), Installation: env.Installation.ID}
	if env.Repository != nil {
		d.notice.Repository, d.err = env.Repository.checked(env.Installation.ID)
	}
	if d.err == nil && env.Installation.ID <= 0 {
		d.ignore(ReasonNoInstallation)
	}
	return d.err == nil && d.notice.Ignored == ""
}

// needRepository ends the decoding of an event that has no repository.
func (d *decoding) needRepository() bool {
	if d.notice.Repository.ID == 0 {
		d.ignore(ReasonNoRepository)
		return false
	}
	return true
}

func (d *decoding) ignore(reason Reason) { d.notice.Ignored = reason }

// own ends the decoding of an event that rung itself caused.
func (d *decoding) own() bool {
	if d.self.is(d.env.Sender) {
		d.ignore(ReasonOwn)
		return true
	}
	return false
}

// hint makes a hint; at is the event's own time, or zero for when it came in.
func (d *decoding) hint(kind, subject string, at time.Time, data any) queue.Hint {
	if at.IsZero() {
		at = d.raw.ReceivedAt
	}
	encoded, err := json.Marshal(data)
	if err != nil {
		d.err = errors.Join(d.err, malformed("%s can't be kept", kind))
	}
	return queue.Hint{Kind: kind, Subject: subject, At: at.UTC(), Data: encoded}
}

func (d *decoding) add(kind, subject string, at time.Time, data any) {
	d.notice.Hints = append(d.notice.Hints, d.hint(kind, subject, at, data))
}

// refuse keeps a sentence about something in the event that can't be used.
func (d *decoding) refuse(format string, args ...any) queue.Hint {
	refused := Refused{Event: d.raw.Event, Delivery: d.raw.GUID, Sender: d.env.Sender.person(), Reason: fmt.Sprintf(format, args...)}
	if d.notice.Repository.ID != 0 {
		refused.Repository = d.notice.Repository.FullName()
	}
	d.notice.RefusedValues++
	return d.hint(KindRefused, d.raw.GUID, time.Time{}, refused)
}

func (d *decoding) done() (Notice, error) {
	if d.err != nil {
		return Notice{}, d.err
	}
	return d.notice, nil
}
