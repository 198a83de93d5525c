package githubemu

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

func (s *Server) hookRoutes() []*route {
	return []*route{
		by(authApp, get("/app/hook/config", "", s.getHookConfig)),
		by(authApp, get("/app/hook/deliveries", "", s.listDeliveries)),
		by(authApp, get("/app/hook/deliveries/{delivery}", "", s.getDelivery)),
		by(authApp, post("/app/hook/deliveries/{delivery}/attempts", "", s.redeliver)),
	}
}

func (s *Server) getHookConfig(c *call) (reply, error) {
	a := c.who.app
	o := object{"content_type": "json", "insecure_ssl": "0", "url": a.WebhookURL}
	if a.HookType != "" {
		o["content_type"] = a.HookType
	}
	if a.HookInsecure {
		o["insecure_ssl"] = "1"
	}
	if a.WebhookSecret != "" {
		o["secret"] = "********"
	}
	return ok(o)
}

// redeliverable is how long a delivery is listed.
const redeliverable = 3 * 24 * time.Hour

// listDeliveries pages by cursor, newest first. A cursor is the id of the
// delivery to begin with.
func (s *Server) listDeliveries(c *call) (reply, error) {
	per := min(max(atoi(c.query("per_page"), 30), 1), 100)
	start := int64(atoi(strings.TrimPrefix(c.query("cursor"), "v1_"), 1<<62))
	rows, next := []object{}, int64(0)
	for _, d := range slices.Backward(s.w.Deliveries) {
		if d.AppID != c.who.app.ID || d.Hidden || d.DeliveredAt.IsZero() || d.ID > start || s.now().Sub(d.DeliveredAt) > redeliverable {
			continue
		}
		if want := c.query("status"); want == "success" && d.StatusCode/100 != 2 || want == "failure" && d.StatusCode/100 == 2 {
			continue
		}
		if len(rows) == per {
			next = d.ID
			break
		}
		rows = append(rows, deliveryJSON(d))
	}
	rp := reply{status: http.StatusOK, body: rows}
	if next > 0 {
		rp.header = http.Header{"Link": {fmt.Sprintf(`<%s?per_page=%d&cursor=v1_%d>; rel="next"`, s.api("/app/hook/deliveries"), per, next)}}
	}
	return rp, nil
}

func (s *Server) ownDelivery(c *call) (*delivery, error) {
	id := c.id("delivery")
	for _, d := range s.w.Deliveries {
		if d.ID == id && d.AppID == c.who.app.ID && !d.Hidden && s.now().Sub(d.CreatedAt) <= redeliverable {
			return d, nil
		}
	}
	return nil, notFound()
}

func (s *Server) getDelivery(c *call) (reply, error) {
	d, err := s.ownDelivery(c)
	if err != nil {
		return reply{}, err
	}
	o := deliveryJSON(d)
	headers := object{}
	for k, v := range hookHeaders(d, c.who.app.WebhookSecret) {
		headers[k] = v
	}
	o["url"] = d.URL
	o["request"] = object{"headers": headers, "payload": d.Payload}
	o["response"] = object{"headers": object{}, "payload": orNull(d.Response)}
	return ok(o)
}

// redeliver sends an event again, under the same GUID and a new id.
func (s *Server) redeliver(c *call) (reply, error) {
	d, err := s.ownDelivery(c)
	if err != nil {
		return reply{}, err
	}
	again := &delivery{
		GUID: d.GUID, AppID: d.AppID, Installation: d.Installation, Repo: d.Repo, Event: d.Event, Action: d.Action,
		Redelivery: true, Payload: d.Payload, CreatedAt: s.now(), URL: d.URL,
	}
	s.record(again)
	s.hooks.waiting = append(s.hooks.waiting, again)
	s.hooks.wake()
	return reply{status: http.StatusAccepted, body: json.RawMessage("{}")}, nil
}

func deliveryJSON(d *delivery) object {
	secs, _ := strconv.ParseFloat(strconv.FormatFloat(d.Duration.Seconds(), 'f', 2, 64), 64)
	o := object{
		"id": d.ID, "guid": d.GUID, "delivered_at": stamp(d.DeliveredAt), "redelivery": d.Redelivery, "duration": secs,
		"status": d.Status, "status_code": d.StatusCode, "event": d.Event, "action": orNull(d.Action), "installation_id": nil,
		"repository_id": nil, "throttled_at": nil,
	}
	if d.Installation != 0 {
		o["installation_id"] = d.Installation
	}
	if d.Repo != 0 {
		o["repository_id"] = d.Repo
	}
	return o
}
