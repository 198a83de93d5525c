package githubemu

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// delivery is one attempt to deliver one event.
type delivery struct {
	ID           int64
	GUID         string
	AppID        int64
	Installation int64
	Repo         int64
	Event        string
	Action       string
	Redelivery   bool
	Payload      json.RawMessage
	CreatedAt    time.Time
	DeliveredAt  time.Time // zero while it waits
	Duration     time.Duration
	StatusCode   int
	Status       string
	URL          string
	Response     string
	Due          time.Time
	Hidden       bool // lost: not listed
	Held         bool // waits for the next one to go first
}

// maxPayload is the size beyond which GitHub does not send an event at all.
const maxPayload = 25 << 20

// maxDeliveries bounds how many past deliveries are kept.
const maxDeliveries = 8000

// hookQueue holds what is to be sent, oldest first, and what wakes the sender.
// Its fields are guarded by Server.mu except done and cancel.
type hookQueue struct {
	waiting []*delivery
	flying  int
	changed chan struct{} // closed and replaced when anything changes
	cancel  context.CancelFunc
	done    chan struct{}
}

// Delivery describes a webhook delivery to tests and to the control API.
type Delivery struct {
	ID         int64           `json:"id"`
	GUID       string          `json:"guid"`
	App        int64           `json:"app_id"`
	Event      string          `json:"event"`
	Action     string          `json:"action"`
	Repository int64           `json:"repository_id"`
	StatusCode int             `json:"status_code"`
	Status     string          `json:"status"`
	Redelivery bool            `json:"redelivery"`
	Created    time.Time       `json:"created_at"`
	Delivered  time.Time       `json:"delivered_at"`
	Payload    json.RawMessage `json:"payload,omitempty"`
}

func (d *delivery) public() Delivery {
	return Delivery{
		ID: d.ID, GUID: d.GUID, App: d.AppID, Event: d.Event, Action: d.Action, Repository: d.Repo,
		StatusCode: d.StatusCode, Status: d.Status, Redelivery: d.Redelivery, Created: d.CreatedAt, Delivered: d.DeliveredAt,
		Payload: d.Payload,
	}
}

func (q *hookQueue) start(s *Server) {
	q.changed = make(chan struct{})
	if s.cfg.Manual {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	q.cancel, q.done = cancel, make(chan struct{})
	go s.sendAll(ctx, q.done)
}

// stop ends the sender. It needs no lock and may be called twice.
func (q *hookQueue) stop() {
	if q.cancel != nil {
		q.cancel()
		<-q.done
	}
}

// wake tells whoever waits that something has changed.
func (q *hookQueue) wake() {
	close(q.changed)
	q.changed = make(chan struct{})
}

// release lets held and delayed deliveries go.
func (q *hookQueue) release() {
	for _, d := range q.waiting {
		d.Held, d.Due = false, time.Time{}
	}
	q.wake()
}

// guid makes the next delivery id, in the form of a UUID.
func (s *Server) guid() string {
	s.w.Seq["guid"]++
	sum := sha256.Sum256(fmt.Appendf(nil, "guid %d %d", s.cfg.Seed, s.w.Seq["guid"]))
	h := hex.EncodeToString(sum[:16])
	return h[:8] + "-" + h[8:12] + "-11ef-" + h[16:20] + "-" + h[20:]
}

// enqueue queues an event for one App and lets the faults have their say.
func (s *Server) enqueue(a *app, in *installation, r *repo, event, action string, payload []byte) {
	if a.WebhookURL == "" && !s.cfg.Manual || len(payload) > maxPayload {
		return
	}
	d := &delivery{GUID: s.guid(), AppID: a.ID, Event: event, Action: action, Payload: payload, CreatedAt: s.now(), URL: a.WebhookURL}
	if in != nil {
		d.Installation = in.ID
	}
	if r != nil {
		d.Repo = r.ID
	}
	copies := 1
	for _, f := range s.faults.armed {
		if !f.forHooks() || f.Event != "" && f.Event != event || !s.strikes(f) {
			continue
		}
		switch f.Kind {
		case HookDuplicate:
			copies++
		case HookReorder:
			d.Held = true
		case HookDelay:
			d.Due = s.now().Add(f.Delay)
		case HookDrop, HookLose:
			d.Hidden = f.Kind == HookLose
			copies = 0
		}
		break
	}
	if copies == 0 {
		s.record(d)
		d.Status, d.DeliveredAt, d.StatusCode = "failed to connect to host", s.now(), http.StatusBadGateway
		return
	}
	for n := range copies {
		one := *d
		one.Redelivery = n > 0
		s.record(&one)
		s.hooks.waiting = append(s.hooks.waiting, &one)
	}
	s.hooks.wake()
}

func (s *Server) record(d *delivery) {
	d.ID = s.w.next("delivery")
	d.Status = "queued"
	s.w.Deliveries = append(s.w.Deliveries, d)
	if n := len(s.w.Deliveries); n > maxDeliveries {
		s.w.Deliveries = slices.Clone(s.w.Deliveries[n-maxDeliveries/2:])
	}
}

// nextDue takes the first delivery that may go now out of the queue, or tells
// how long until one may. Zero and nil mean that none is waiting.
func (s *Server) nextDue() (*delivery, time.Duration) {
	var wait time.Duration
	now := s.now()
	for i, d := range s.hooks.waiting {
		if d.Held {
			continue // let go by the next one that is sent
		}
		if d.Due.After(now) {
			if left := d.Due.Sub(now); wait == 0 || left < wait {
				wait = left
			}
			continue
		}
		s.take(i)
		return d, 0
	}
	return nil, wait
}

func (s *Server) take(i int) *delivery {
	d := s.hooks.waiting[i]
	s.hooks.waiting = slices.Delete(s.hooks.waiting, i, i+1)
	s.hooks.flying++
	for _, other := range s.hooks.waiting[:i] {
		other.Held = false
	}
	return d
}

// sendAll is the sender: one delivery after the other until ctx ends.
func (s *Server) sendAll(ctx context.Context, done chan struct{}) {
	defer close(done)
	for ctx.Err() == nil {
		s.mu.Lock()
		d, wait := s.nextDue()
		changed := s.hooks.changed
		s.mu.Unlock()
		if d != nil {
			s.send(ctx, d)
			continue
		}
		var timer <-chan time.Time
		if wait > 0 {
			t := time.NewTimer(wait)
			defer t.Stop()
			timer = t.C
		}
		select {
		case <-ctx.Done():
		case <-changed:
		case <-timer:
		}
	}
}

// send puts one delivery on the wire and notes what came back. It runs without
// the lock.
func (s *Server) send(ctx context.Context, d *delivery) {
	s.mu.Lock()
	a := s.w.Apps[d.AppID]
	secret, url := a.WebhookSecret, a.WebhookURL
	s.mu.Unlock()
	began := s.now()
	code, status, text := s.transmit(ctx, d, url, secret)
	s.mu.Lock()
	defer s.mu.Unlock()
	d.DeliveredAt, d.Duration = s.now(), s.now().Sub(began)
	d.StatusCode, d.Status, d.Response, d.URL = code, status, text, url
	s.hooks.flying--
	s.hooks.wake()
}

func (s *Server) transmit(ctx context.Context, d *delivery, url, secret string) (int, string, string) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.WebhookTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(d.Payload))
	if err != nil {
		return 0, "invalid URL", ""
	}
	for k, v := range hookHeaders(d, secret) {
		req.Header.Set(k, v)
	}
	res, err := s.cfg.Transport.RoundTrip(req)
	if err != nil {
		if ctx.Err() != nil {
			return http.StatusGatewayTimeout, "timed out", ""
		}
		return http.StatusBadGateway, "failed to connect to host", ""
	}
	defer func() { _ = res.Body.Close() }()
	text, _ := io.ReadAll(io.LimitReader(res.Body, 10<<10)) // for people to read; a cut-off one will do
	if res.StatusCode/100 == 2 {
		return res.StatusCode, "OK", string(text)
	}
	return res.StatusCode, "Invalid HTTP Response: " + strconv.Itoa(res.StatusCode), string(text)
}

func hookHeaders(d *delivery, secret string) map[string]string {
	h := map[string]string{
		"Content-Type": "application/json", "Accept": "*/*", "User-Agent": "GitHub-Hookshot/7c1d5e2",
		"X-GitHub-Event": d.Event, "X-GitHub-Delivery": d.GUID, "X-GitHub-Hook-ID": strconv.FormatInt(d.AppID*10+1, 10),
		"X-GitHub-Hook-Installation-Target-ID":   strconv.FormatInt(d.AppID, 10),
		"X-GitHub-Hook-Installation-Target-Type": "integration", "X-GitHub-Enterprise-Version": "3.18.0",
		"X-GitHub-Enterprise-Host": "localhost",
	}
	if secret != "" {
		mac := hmac.New(sha256.New, []byte(secret))
		_, _ = mac.Write(d.Payload)
		h["X-Hub-Signature-256"] = "sha256=" + hex.EncodeToString(mac.Sum(nil))
	}
	return h
}

// Pending lists the webhooks that wait, in the order in which they would go.
func (s *Server) Pending() []Delivery {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]Delivery, 0, len(s.hooks.waiting))
	for _, d := range s.hooks.waiting {
		out = append(out, d.public())
	}
	return out
}

// DeliverNext sends the first webhook that may go now and waits for the
// answer. It tells whether there was one. With Config.Manual only.
func (s *Server) DeliverNext(ctx context.Context) bool {
	s.mu.Lock()
	d, _ := s.nextDue()
	if d == nil && len(s.hooks.waiting) > 0 && !slices.ContainsFunc(s.hooks.waiting, func(d *delivery) bool { return !d.Held }) {
		d = s.take(0) // only held ones are left: nothing will come to pass them
	}
	s.mu.Unlock()
	if d == nil {
		return false
	}
	s.send(ctx, d)
	return true
}

// Deliver sends one waiting webhook out of turn, by Delivery.ID, due or not.
func (s *Server) Deliver(ctx context.Context, id int64) error {
	s.mu.Lock()
	i := slices.IndexFunc(s.hooks.waiting, func(d *delivery) bool { return d.ID == id })
	if i < 0 {
		s.mu.Unlock()
		return fail(http.StatusNotFound, "No delivery %d is waiting", id)
	}
	d := s.take(i)
	s.mu.Unlock()
	s.send(ctx, d)
	return nil
}

// ForgetDeliveries takes what was delivered so far off the list of deliveries, as
// GitHub does after three days.
func (s *Server) ForgetDeliveries() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range s.w.Deliveries {
		d.Hidden = d.Hidden || !d.DeliveredAt.IsZero()
	}
}

// Discard drops a waiting webhook, by Delivery.ID, as if it had been lost. The
// delivery list shows a failure unless unlisted is set.
func (s *Server) Discard(id int64, unlisted bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.hooks.waiting, func(d *delivery) bool { return d.ID == id })
	if i < 0 {
		return fail(http.StatusNotFound, "No delivery %d is waiting", id)
	}
	d := s.take(i)
	s.hooks.flying--
	d.Hidden, d.Status, d.StatusCode, d.DeliveredAt = unlisted, "failed to connect to host", http.StatusBadGateway, s.now()
	s.hooks.wake()
	return nil
}

// Flush waits until no webhook is waiting or on the wire. One that a fault holds
// back until the next is let go when there is no next. With Config.Manual it
// sends them itself.
func (s *Server) Flush(ctx context.Context) error {
	for {
		idle, changed := s.idle()
		if idle {
			return nil
		}
		if s.cfg.Manual && s.DeliverNext(ctx) {
			continue
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("githubemu: webhooks are still waiting: %w", ctx.Err())
		}
	}
}

// idle tells whether nothing is left to send, and what will be closed when
// that may have changed.
func (s *Server) idle() (bool, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q := &s.hooks
	if q.flying == 0 && len(q.waiting) > 0 && !slices.ContainsFunc(q.waiting, func(d *delivery) bool { return !d.Held }) {
		q.release()
	}
	return len(q.waiting) == 0 && q.flying == 0, q.changed
}

// Deliveries lists the deliveries made and waiting, oldest first.
func (s *Server) Deliveries() []Delivery {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]Delivery, 0, len(s.w.Deliveries))
	for _, d := range s.w.Deliveries {
		out = append(out, d.public())
	}
	return out
}
