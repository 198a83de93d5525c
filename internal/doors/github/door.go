package github

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/rs/zerolog"

	"github.com/rungbot/rung/internal/queue"
)

// Inbox keeps deliveries durably. *queue.Queue is one.
type Inbox interface {
	// Accept returns once the delivery and its marks are on disk; fresh is
	// false for a GUID seen before.
	Accept(ctx context.Context, delivery queue.Delivery, marks []queue.Mark) (fresh bool, err error)
}

// Routes knows which repositories there are and what they name. Its methods
// answer from memory, at once, and may be called concurrently.
type Routes interface {
	// RepositoriesFor returns the numbers of the installation's GitOps
	// repositories that want to hear of it. An error means that the index is
	// not ready: the sender is asked to come back.
	RepositoriesFor(installation int64, about Published) ([]int64, error)
	// Configured is false only for a repository that is known to have no
	// rung.yaml at its base head.
	Configured(repository int64) bool
	// RepositoriesOf returns the installation's repositories that rung works
	// on.
	RepositoriesOf(installation int64) []int64
	// Seen is told how a repository is called at present, with each event
	// that says so.
	Seen(Repository)
}

// Config is what a Door needs.
type Config struct {
	// Secrets are the webhook's one or two secrets; two while one replaces
	// the other.
	Secrets [][]byte
	// Self must know the App's number, and its bot account by number or name.
	Self   Self
	Inbox  Inbox
	Routes Routes
	// Now is the clock; default time.Now.
	Now func() time.Time
	// Log gets one line a delivery; the zero Logger is silent.
	Log zerolog.Logger
	// MaxBody is the largest body, in bytes; default 25 MiB, GitHub's own
	// limit.
	MaxBody int64
	// MaxInFlight bounds the bytes of all bodies at one moment; default twice
	// MaxBody.
	MaxInFlight int64
	// ReadTimeout is how long a body may take to come in, AcceptTimeout how
	// long it may take to keep it; defaults 10 s and 8 s. GitHub hangs up
	// after 10 s.
	ReadTimeout, AcceptTimeout time.Duration
}

// Door serves POST /github/webhook. Make one with New.
type Door struct {
	config  Config
	allowed allowance
	counts  counters
	// strangers thins the log of what is not authentic.
	strangers zerolog.Sampler
}

// New checks the configuration and makes the door. Without a secret there is
// none.
func New(config Config) (*Door, error) {
	if n := len(config.Secrets); n < 1 || n > 2 {
		return nil, fmt.Errorf("github webhook: %d secrets are set, and it takes one, or two during a rotation: set RUNG_GITHUB_WEBHOOK_SECRETS", n)
	}
	secrets := make([][]byte, 0, len(config.Secrets))
	for i, secret := range config.Secrets {
		if len(bytes.TrimSpace(secret)) == 0 {
			return nil, fmt.Errorf("github webhook: secret %d is empty: an unsigned webhook is never taken", i+1)
		}
		secrets = append(secrets, bytes.Clone(secret))
	}
	config.Secrets = secrets
	switch {
	case config.Self.AppID <= 0:
		return nil, errors.New("github webhook: the App's number is missing: set RUNG_GITHUB_APP_ID")
	case config.Self.BotID == 0 && config.Self.BotLogin == "":
		return nil, errors.New("github webhook: the App's bot account is not known, so rung could not recognise its own events")
	case config.Inbox == nil || config.Routes == nil:
		return nil, errors.New("github webhook: it needs an inbox and routes")
	}
	if config.Now == nil {
		config.Now = time.Now
	}
	if config.MaxBody <= 0 {
		config.MaxBody = 25 << 20
	}
	if config.MaxInFlight <= 0 {
		config.MaxInFlight = 2 * config.MaxBody
	}
	if config.ReadTimeout <= 0 {
		config.ReadTimeout = 10 * time.Second
	}
	if config.AcceptTimeout <= 0 {
		config.AcceptTimeout = 8 * time.Second
	}
	d := &Door{
		config: config, allowed: allowance{limit: config.MaxInFlight},
		strangers: &zerolog.BurstSampler{Burst: 5, Period: time.Minute},
	}
	d.counts.counts = Counts{Ignored: map[Reason]uint64{}, Refused: map[int]uint64{}, Secrets: make([]uint64, len(secrets))}
	return d, nil
}

// Counts returns what the door did so far.
func (d *Door) Counts() Counts {
	counts := d.counts.snapshot()
	counts.BytesInFlight = d.allowed.used.Load()
	return counts
}

// answer is what the sender gets: a status and a short sentence of our own
// words.
type answer struct {
	status int
	text   string
}

// ServeHTTP takes one delivery: 202 once it is durable or ignored on purpose;
// 400 malformed, 401 unsigned or signed wrongly, 403 of another App, 405, 408,
// 413 and 415 as HTTP has them, 500 for a bug here, 503 when it can't be kept
// now.
func (d *Door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	result := d.serve(w, r)
	header := w.Header()
	header.Set("Content-Type", "text/plain; charset=utf-8")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Cache-Control", "no-store")
	switch result.status {
	case http.StatusMethodNotAllowed:
		header.Set("Allow", http.MethodPost)
	case http.StatusServiceUnavailable:
		header.Set("Retry-After", "60")
	}
	w.WriteHeader(result.status)
	_, _ = w.Write([]byte(result.text + "\n")) // whoever hung up doesn't read it
}

// serve finds the answer, and counts and logs it.
func (d *Door) serve(w http.ResponseWriter, r *http.Request) (result answer) {
	log := d.config.Log
	authentic := false
	limitReading(w, d.config.ReadTimeout)
	if r.Method != http.MethodPost {
		result = answer{http.StatusMethodNotAllowed, "only POST is taken here"}
	} else if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || media != "application/json" {
		result = answer{http.StatusUnsupportedMediaType, "set the webhook's content type to application/json"}
	} else if sum, ok := signature(r.Header); !ok {
		result = answer{http.StatusUnauthorized, "the header X-Hub-Signature-256 is missing or not a sha256 signature"}
	} else {
		result, authentic = d.receive(w, r, sum, &log)
	}
	if result.status >= 400 {
		d.counts.change(func(c *Counts) { c.Refused[result.status]++ })
		if !authentic {
			log = log.Sample(d.strangers) // anybody can make these
		}
		log.Warn().Int("status", result.status).Msg("github webhook refused: " + result.text)
	}
	return result
}

// receive reads and authenticates the body, and takes it. Only then is any
// header logged.
func (d *Door) receive(w http.ResponseWriter, r *http.Request, sum []byte, log *zerolog.Logger) (result answer, authentic bool) {
	body, release, err := readBody(w, r, d.config.MaxBody, &d.allowed)
	defer release()
	if err != nil {
		return readError(err), false
	}
	noMoreToRead(w)
	secret := matching(d.config.Secrets, body, sum)
	if secret < 0 {
		return answer{http.StatusUnauthorized, "the signature does not match: check the webhook's secret"}, false
	}
	now := d.config.Now()
	d.counts.change(func(c *Counts) {
		c.Secrets[secret]++
		c.LastAuthentic = now
	})
	raw := Raw{GUID: r.Header.Get("X-GitHub-Delivery"), Event: r.Header.Get("X-GitHub-Event"), ReceivedAt: now, Payload: body}
	if !guidGrammar.MatchString(raw.GUID) || !eventGrammar.MatchString(raw.Event) {
		return answer{http.StatusBadRequest, "malformed: X-GitHub-Delivery and X-GitHub-Event must be GitHub's own"}, true
	}
	*log = log.With().Str("delivery", raw.GUID).Str("event", raw.Event).Int("secret", secret).Logger()
	if !d.meantForUs(r.Header) {
		return answer{http.StatusForbidden, "this delivery is of another GitHub App's webhook: check the webhook URL of that App"}, true
	}
	ctx, cancel := context.WithTimeout(log.WithContext(r.Context()), d.config.AcceptTimeout)
	defer cancel()
	return d.take(ctx, raw, true), true
}

// meantForUs holds the header that names the hook's App against ours. The
// header is not signed: this finds a wrong setting, not an attacker.
func (d *Door) meantForUs(header http.Header) bool {
	if kind := header.Get("X-GitHub-Hook-Installation-Target-Type"); kind != "" && kind != "integration" {
		return false
	}
	target := header.Get("X-GitHub-Hook-Installation-Target-ID")
	return target == "" || target == strconv.FormatInt(d.config.Self.AppID, 10)
}

// Replay takes a delivery that was read back from GitHub's delivery list with
// the App's own key, so it needs no signature. It does what a delivery does,
// but what repositories are called is not learned from it. An error means that
// it was not taken; ErrMalformed that it never will be.
func (d *Door) Replay(ctx context.Context, raw Raw) error {
	if !guidGrammar.MatchString(raw.GUID) || !eventGrammar.MatchString(raw.Event) {
		return malformed("the delivery's guid or event is not GitHub's own")
	}
	if int64(len(raw.Payload)) > d.config.MaxBody {
		return malformed("the payload has more than %d bytes", d.config.MaxBody)
	}
	result := d.take(ctx, raw, false)
	switch {
	case result.status < 400:
		return nil
	case result.status == http.StatusBadRequest:
		return fmt.Errorf("%w: %s", ErrMalformed, result.text)
	default:
		return fmt.Errorf("replay delivery %s: %s", raw.GUID, result.text)
	}
}

// take decodes, routes and keeps an authentic delivery. A panic on the way is
// a bug: it is counted, and the delivery is not taken, so it can come again.
func (d *Door) take(ctx context.Context, raw Raw, live bool) (result answer) {
	log := zerolog.Ctx(ctx)
	defer func() {
		if recovered := recover(); recovered != nil {
			d.counts.change(func(c *Counts) { c.Panics++ })
			log.Error().Str("panic", quote(fmt.Sprint(recovered))).Bytes("stack", debug.Stack()).Msg("github webhook panicked: this is a bug in rung")
			result = answer{http.StatusInternalServerError, "an error in rung: the delivery was not taken"}
		}
	}()
	notice, err := Decode(d.config.Self, raw)
	if err != nil {
		return answer{http.StatusBadRequest, err.Error()}
	}
	if live {
		d.tellNames(&notice)
	}
	if notice.RefusedValues > 0 {
		d.counts.change(func(c *Counts) { c.RefusedValues += uint64(notice.RefusedValues) }) // #nosec G115 -- a small count
		log.Warn().Int64("repository", notice.Repository.ID).Msg("github webhook holds something that can't be used")
	}
	marks, err := d.marks(&notice)
	if err != nil {
		log.Error().Err(err).Msg("github webhook can't be routed yet")
		return answer{http.StatusServiceUnavailable, "not ready, deliver again later"}
	}
	if len(marks) == 0 {
		d.counts.change(func(c *Counts) { c.Ignored[notice.Ignored]++ })
		log.Debug().Str("action", notice.Action).Str("reason", string(notice.Ignored)).Msg("github webhook ignored")
		return answer{http.StatusAccepted, "ignored: " + string(notice.Ignored)}
	}
	return d.keep(ctx, raw, &notice, marks)
}

// tellNames passes on how repositories are called at present.
func (d *Door) tellNames(notice *Notice) {
	if notice.Repository.ID != 0 && notice.Installation > 0 {
		d.config.Routes.Seen(notice.Repository)
	}
	if notice.Action == "deleted" || notice.Action == "removed" {
		return
	}
	for _, r := range notice.Affected {
		d.config.Routes.Seen(r)
	}
}

// keep has the delivery written.
func (d *Door) keep(ctx context.Context, raw Raw, notice *Notice, marks []queue.Mark) answer {
	log := zerolog.Ctx(ctx)
	fresh, err := d.config.Inbox.Accept(ctx, queue.Delivery{
		GUID: raw.GUID, Event: raw.Event, Action: notice.Action, RepositoryID: notice.Repository.ID,
		InstallationID: notice.Installation, ReceivedAt: raw.ReceivedAt, Payload: raw.Payload,
	}, marks)
	if errors.Is(err, queue.ErrInvalid) {
		log.Error().Err(err).Msg("github webhook breaks a limit of the queue")
		return answer{http.StatusBadRequest, "malformed: it is larger than rung keeps"}
	}
	if err != nil {
		log.Error().Err(err).Msg("github webhook can't be kept")
		return answer{http.StatusServiceUnavailable, "it can't be kept now, deliver again later"}
	}
	d.counts.change(func(c *Counts) {
		if fresh {
			c.Accepted++
		} else {
			c.Duplicates++
		}
	})
	log.Info().Str("action", notice.Action).Int64("repository", notice.Repository.ID).Int("keys", len(marks)).Bool("fresh", fresh).Msg("github webhook accepted")
	if !fresh {
		return answer{http.StatusAccepted, "accepted: delivered before"}
	}
	return answer{http.StatusAccepted, "accepted"}
}

// marks finds the keys that the notice concerns. If there are none, it says
// why in notice.Ignored.
func (d *Door) marks(notice *Notice) ([]queue.Mark, error) {
	if notice.Ignored != "" {
		return nil, nil
	}
	routes := d.config.Routes
	var marks []queue.Mark
	own := notice.Repository.ID
	if len(notice.Hints) > 0 {
		if notice.Always || routes.Configured(own) {
			for _, hint := range notice.Hints {
				marks = append(marks, queue.Mark{Key: queue.RepositoryKey(own), Hint: hint})
			}
		}
		notice.Ignored = ReasonNotConfigured
	}
	for _, routed := range notice.Routed {
		ids, err := routes.RepositoriesFor(notice.Installation, routed.About)
		if err != nil {
			return nil, err
		}
		for _, id := range ids {
			marks = append(marks, queue.Mark{Key: queue.RepositoryKey(id), Hint: routed.Hint})
		}
		if len(notice.Hints) == 0 {
			notice.Ignored = ReasonUnrouted
		}
	}
	if notice.AccessHint.Kind != "" {
		marks = append(marks, d.accessMarks(notice)...)
		notice.Ignored = ReasonNoRepository
	}
	if len(marks) > queue.MaxMarks {
		marks = marks[:queue.MaxMarks] // the sweep finds the others
	}
	if len(marks) > 0 {
		notice.Ignored = ""
	}
	return marks, nil
}

// accessMarks are one for each repository whose access changed.
func (d *Door) accessMarks(notice *Notice) []queue.Mark {
	var ids []int64
	for _, r := range notice.Affected {
		ids = append(ids, r.ID)
	}
	if notice.WholeInstallation {
		ids = append(ids, d.config.Routes.RepositoriesOf(notice.Installation)...)
	}
	seen := map[int64]bool{}
	var marks []queue.Mark
	for _, id := range ids {
		if !seen[id] {
			seen[id] = true
			marks = append(marks, queue.Mark{Key: queue.RepositoryKey(id), Hint: notice.AccessHint})
		}
	}
	return marks
}
