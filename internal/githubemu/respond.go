package githubemu

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/rungbot/rung/internal/githubemu/gitstore"
)

// object is a JSON object as GitHub shapes it.
type object = map[string]any

// reply is what a handler answers.
type reply struct {
	status int
	body   any // nil for none; json.RawMessage as it is
	header http.Header
}

// Error is a refusal, worded as GitHub words it. The API renders it as JSON,
// the pages as a banner, and the methods of Server return it.
type Error struct {
	// Status is the HTTP status.
	Status int
	// Message is GitHub's message.
	Message string
	// Errors are the details of a 422, strings or objects.
	Errors []any
	// Header is added to the answer.
	Header http.Header
}

// Error is the message with its status and details.
func (e *Error) Error() string {
	msg := fmt.Sprintf("%d %s", e.Status, strings.TrimSpace(e.Message))
	for _, d := range e.Errors {
		if o, ok := d.(object); ok && o["message"] != nil {
			msg += fmt.Sprintf("; %v", o["message"])
		} else {
			msg += fmt.Sprintf("; %v", d)
		}
	}
	return msg
}

func fail(status int, format string, args ...any) *Error {
	return &Error{Status: status, Message: fmt.Sprintf(format, args...)}
}

// notFound is GitHub's answer to everything that the caller cannot see.
func notFound() *Error { return fail(http.StatusNotFound, "Not Found") }

// invalid is a 422 about one field.
func invalid(resource, field, code string) *Error {
	return &Error{
		Status: http.StatusUnprocessableEntity, Message: "Validation Failed",
		Errors: []any{object{"resource": resource, "field": field, "code": code}},
	}
}

// custom is a 422 with a sentence.
func custom(resource, format string, args ...any) *Error {
	return &Error{
		Status: http.StatusUnprocessableEntity, Message: "Validation Failed",
		Errors: []any{object{"resource": resource, "code": "custom", "message": fmt.Sprintf(format, args...)}},
	}
}

// asError turns any error into one that can be shown.
func asError(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	if errors.Is(err, gitstore.ErrNotFound) {
		return notFound()
	}
	if errors.Is(err, gitstore.ErrStale) {
		return fail(http.StatusConflict, "Reference cannot be updated")
	}
	return fail(http.StatusInternalServerError, "Server Error: %s", err)
}

func (e *Error) reply(doc string) reply {
	body := object{"message": e.Message, "documentation_url": doc, "status": strconv.Itoa(e.Status)}
	if len(e.Errors) > 0 {
		body["errors"] = e.Errors
	}
	return reply{status: e.Status, body: body, header: e.Header}
}

const documentation = "https://docs.github.com/rest"

func ok(body any) (reply, error)      { return reply{status: http.StatusOK, body: body}, nil }
func created(body any) (reply, error) { return reply{status: http.StatusCreated, body: body}, nil }
func noContent() (reply, error)       { return reply{status: http.StatusNoContent}, nil }

// encode renders a reply's body.
func (rp *reply) encode() ([]byte, error) {
	switch b := rp.body.(type) {
	case nil:
		return nil, nil
	case []byte:
		return b, nil
	}
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(rp.body); err != nil {
		return nil, err
	}
	return bytes.TrimRight(buf.Bytes(), "\n"), nil
}

// page cuts a list as ?page= and ?per_page= ask and says in Link where the
// others are.
func page[T any](c *call, all []T) ([]T, http.Header) {
	q := c.r.URL.Query()
	per, num := atoi(q.Get("per_page"), 30), atoi(q.Get("page"), 1)
	per, num = min(max(per, 1), 100), max(num, 1)
	last := max((len(all)+per-1)/per, 1)
	from, to := min((num-1)*per, len(all)), min(num*per, len(all))
	h := http.Header{}
	var links []string
	link := func(n int, rel string) {
		q := c.r.URL.Query()
		q.Set("page", strconv.Itoa(n))
		links = append(links, fmt.Sprintf(`<%s?%s>; rel=%q`, c.s.api("%s", c.path), q.Encode(), rel))
	}
	if num > 1 {
		link(num-1, "prev")
	}
	if num < last {
		link(num+1, "next")
		link(last, "last")
	}
	if num > 1 {
		link(1, "first")
	}
	if len(links) > 0 {
		h.Set("Link", strings.Join(links, ", "))
	}
	return all[from:to], h
}

// list answers one page of a list, each member rendered.
func list[T any](c *call, all []T, render func(T) object) (reply, error) {
	cut, h := page(c, all)
	out := make([]object, 0, len(cut))
	for _, v := range cut {
		out = append(out, render(v))
	}
	return reply{status: http.StatusOK, body: out, header: h}, nil
}

// listIn is list for the answers that wrap theirs in an object with a count.
func listIn[T any](c *call, key string, all []T, render func(T) object) (reply, error) {
	rp, err := list(c, all, render)
	rp.body = object{"total_count": len(all), key: rp.body}
	return rp, err
}

func atoi(s string, otherwise int) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		return otherwise
	}
	return n
}

// stamp is GitHub's way to write an instant; the zero time is null.
func stamp(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UTC().Format(time.RFC3339)
}

func stampPtr(t *time.Time) any {
	if t == nil {
		return nil
	}
	return stamp(*t)
}

// orNull renders the empty string as null.
func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// decode reads a JSON body into v. No body is an empty object.
func (c *call) decode(v any) error {
	if len(bytes.TrimSpace(c.body)) == 0 {
		return nil
	}
	if err := json.Unmarshal(c.body, v); err != nil {
		return fail(http.StatusBadRequest, "Problems parsing JSON")
	}
	return nil
}

func (c *call) number() (int, error) {
	n, err := strconv.Atoi(c.vars["number"])
	if err != nil || n < 1 {
		return 0, notFound()
	}
	return n, nil
}

func (c *call) id(name string) int64 {
	n, err := strconv.ParseInt(c.vars[name], 10, 64)
	if err != nil {
		return -1
	}
	return n
}

func (c *call) query(name string) string { return c.r.URL.Query().Get(name) }

// escapePath escapes each segment of a path but not its slashes.
func escapePath(p string) string {
	parts := strings.Split(p, "/")
	for i := range parts {
		parts[i] = url.PathEscape(parts[i])
	}
	return strings.Join(parts, "/")
}
