//go:build conformance

package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/getkin/kin-openapi/openapi3"
)

// The conformance run plays every story once more, and looks at each request that
// rung sends, each answer of the emulator and each webhook with GitHub's own
// descriptions. They are npm packages, installed by make conformance; see
// conformance/package.json.

// packages is where npm put them.
var packages = filepath.Join("conformance", "node_modules", "@octokit")

// exceptions are findings that are GitHub's, not ours: each with its reason. A key
// is the beginning of a finding.
var exceptions = map[string]string{
	`GET /app/installations answer 200: doesn't match schema due to: Error at "/name"`:          "the description wants an account to be a user and an enterprise at once",
	"GET /repos/acme/environments/contents is not described":                                    "it is described with a path alone, and answers without one too",
	"GET /repos/octokit-fixture-org/hello-world/contents/ is not described":                     "likewise",
	"GET /repos/acme/environments/statuses/":                                                    "the older name of commits/{ref}/statuses, which answers still",
	"POST /app/installations/{installation_id}/access_tokens request: /: Value is not nullable": "ghinstallation sends null for no options, and GitHub takes it",
	"webhook check-suite-completed: /check_suite/app/events/":                                   "its list of events is older than repository_ruleset",
	`webhook issue-comment-created: doesn't match schema due to: Error at "/performed_via_`:     "likewise",
	`webhook issue-comment-edited: doesn't match schema due to: Error at "/performed_via_`:      "likewise",
}

// asAnswer is how answers are held to a schema.
var asAnswer = openapi3.VisitAsResponse()

// inspection collects what was seen and found by all tests.
type inspection struct {
	api      *description
	schema   *graph
	webhooks map[string]webhook // by "event" or "event-action"

	mu       sync.Mutex
	findings map[string]int
	excused  map[string]int
	seen     map[string]int // by "METHOD /pattern", "graphql" or "webhook NAME"
}

var inspect = sync.OnceValues(func() (*inspection, error) {
	api, hooks, err := readDescription(filepath.Join(packages, "openapi", "generated", "api.github.com.json"))
	if err != nil {
		return nil, fmt.Errorf("%w; run make conformance, which installs it", err)
	}
	schema, err := readGraph(filepath.Join(packages, "graphql-schema", "schema.graphql"))
	if err != nil {
		return nil, err
	}
	return &inspection{api: api, schema: schema, webhooks: hooks, findings: map[string]int{}, excused: map[string]int{}, seen: map[string]int{}}, nil
})

func init() {
	in, err := inspect()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	aroundGitHub = func(h http.Handler) http.Handler { return &watched{in, h} }
	aroundWebhooks = &watchedHooks{in}
	afterAll = in.sum
}

// find takes a finding, unless it is excused.
func (in *inspection) find(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	in.mu.Lock()
	defer in.mu.Unlock()
	for prefix := range exceptions {
		if strings.HasPrefix(text, prefix) {
			in.excused[prefix]++
			return
		}
	}
	in.findings[text]++
}

func (in *inspection) saw(what string) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.seen[what]++
}

// sum prints what was seen and found.
func (in *inspection) sum() int {
	in.mu.Lock()
	defer in.mu.Unlock()
	requests, routes, hooks, kinds := 0, 0, 0, 0
	for what, n := range in.seen {
		if strings.HasPrefix(what, "webhook ") {
			hooks, kinds = hooks+n, kinds+1
		} else {
			requests, routes = requests+n, routes+1
		}
	}
	fmt.Printf("conformance: %d requests on %d routes, %d webhooks of %d kinds, %d findings, %d kinds of exceptions\n", requests, routes, hooks, kinds, len(in.findings), len(in.excused))
	for prefix := range exceptions {
		if in.excused[prefix] == 0 {
			fmt.Printf("an exception that nothing needs: %s\n", prefix)
		}
	}
	for _, text := range sortedKeys(in.findings) {
		fmt.Printf("%5d× %s\n", in.findings[text], text)
	}
	return min(1, len(in.findings))
}

func sortedKeys[V any](m map[string]V) []string {
	all := make([]string, 0, len(m))
	for k := range m {
		all = append(all, k)
	}
	slices.Sort(all)
	return all
}

// watched looks at a request and at its answer.
type watched struct {
	in   *inspection
	next http.Handler
}

// ServeHTTP passes everything on as it is.
func (x *watched) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path, isAPI := strings.CutPrefix(r.URL.EscapedPath(), "/api/v3")
	isGraph := r.URL.Path == "/api/graphql"
	if !isAPI && !isGraph {
		x.next.ServeHTTP(w, r)
		return
	}
	sent, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(sent))
	rec := httptest.NewRecorder()
	x.next.ServeHTTP(rec, r) // a fault that cuts the connection panics through
	for k, v := range rec.Header() {
		w.Header()[k] = v
	}
	w.WriteHeader(rec.Code)
	_, _ = w.Write(rec.Body.Bytes())
	if rec.Code >= 500 {
		return // a fault that a story asked for
	}
	if isGraph {
		x.in.graph(sent, rec.Code, rec.Body.Bytes())
		return
	}
	x.in.rest(r, path, sent, rec)
}

// webhook is the name of a payload's schema, and whether Apps get it.
type webhook struct {
	schema string
	app    bool
}

// description is GitHub's description of its REST API.
type description struct {
	doc *openapi3.T
	// exact and wide match a path; in wide some parameters hold slashes.
	exact, wide []template
}

type template struct {
	pattern string
	item    *openapi3.PathItem
	match   *regexp.Regexp
	literal int
}

var parameter = regexp.MustCompile(`\\\{([a-z_]+)\\\}`)

// readDescription loads the file, and the names of the webhooks' schemas in it.
func readDescription(path string) (*description, map[string]webhook, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, nil, err
	}
	doc, err := openapi3.NewLoader().LoadFromData(data)
	if err != nil {
		return nil, nil, err
	}
	d := &description{doc: doc}
	for pattern, item := range doc.Paths.Map() {
		quoted := regexp.QuoteMeta(pattern)
		literal := len(parameter.ReplaceAllString(quoted, ""))
		d.exact = append(d.exact, template{pattern, item, regexp.MustCompile("^" + parameter.ReplaceAllString(quoted, "[^/]+") + "$"), literal})
		d.wide = append(d.wide, template{pattern, item, regexp.MustCompile("^" + parameter.ReplaceAllStringFunc(quoted, func(p string) string {
			switch name := parameter.FindStringSubmatch(p)[1]; name {
			case "ref", "path", "basehead", "branch", "tag", "tree_sha":
				return ".+"
			default:
				return "[^/]+"
			}
		}) + "$"), literal})
	}
	longest := func(a, b template) int { return b.literal - a.literal }
	slices.SortFunc(d.exact, longest)
	slices.SortFunc(d.wide, longest)
	var raw struct {
		Hooks map[string]struct {
			Post struct {
				GitHub struct {
					Types []string `json:"supported-webhook-types"`
				} `json:"x-github"`
				RequestBody struct {
					Content map[string]struct {
						Schema struct {
							Ref string `json:"$ref"`
						} `json:"schema"`
					} `json:"content"`
				} `json:"requestBody"`
			} `json:"post"`
		} `json:"x-webhooks"`
	}
	if err := json.Unmarshal(data, &raw); err != nil {
		return nil, nil, err
	}
	hooks := map[string]webhook{}
	for name, h := range raw.Hooks {
		ref := strings.TrimPrefix(h.Post.RequestBody.Content["application/json"].Schema.Ref, "#/components/schemas/")
		hooks[name] = webhook{ref, slices.Contains(h.Post.GitHub.Types, "app")}
	}
	return d, hooks, nil
}

// byNumber is a repository as the redirect from a name that it had names it. GitHub
// serves each route of it there as well; its description has them by the name alone.
var byNumber = regexp.MustCompile(`^/repositories/\d+`)

// operation is what the description says of a request.
func (d *description) operation(method, path string) (string, *openapi3.Operation) {
	path = byNumber.ReplaceAllString(path, "/repos/renamed/since")
	for _, all := range [][]template{d.exact, d.wide} {
		for _, t := range all {
			if t.match.MatchString(path) {
				if op := t.item.GetOperation(method); op != nil {
					return method + " " + t.pattern, op
				}
			}
		}
	}
	return "", nil
}

// rest holds a request and its answer to the description.
func (in *inspection) rest(r *http.Request, path string, sent []byte, rec *httptest.ResponseRecorder) {
	name, op := in.api.operation(r.Method, strings.TrimSuffix("/"+strings.Trim(path, "/"), "?"))
	if op == nil {
		if rec.Code != http.StatusNotFound {
			in.find("%s %s is not described, and was answered with %d", r.Method, path, rec.Code)
		}
		return
	}
	in.saw(name)
	for key := range r.URL.Query() {
		if !slices.ContainsFunc(op.Parameters, func(p *openapi3.ParameterRef) bool { return p.Value.In == "query" && p.Value.Name == key }) {
			in.find("%s: the query's %s is not described", name, key)
		}
	}
	if rec.Code < 400 && len(sent) > 0 && op.RequestBody != nil {
		in.body(name+" request", op.RequestBody.Value.Content, sent, openapi3.VisitAsRequest())
	}
	if rec.Code == http.StatusNotModified {
		return
	}
	if moved(r.Method, rec) {
		in.value(fmt.Sprintf("%s answer %d", name, rec.Code), in.api.doc.Components.Schemas["basic-error"].Value, rec.Body.Bytes(), asAnswer)
		return
	}
	answer := op.Responses.Status(rec.Code)
	switch {
	case answer == nil && rec.Code < 400:
		in.find("%s: %d is not described", name, rec.Code)
	case answer == nil || rec.Code >= 400 && answer.Value.Content == nil:
		in.value(fmt.Sprintf("%s answer %d", name, rec.Code), in.api.doc.Components.Schemas["basic-error"].Value, rec.Body.Bytes(), asAnswer)
	case answer.Value.Content == nil:
		if rec.Body.Len() > 0 {
			in.find("%s answer %d: a body where none is described", name, rec.Code)
		}
	default:
		in.body(fmt.Sprintf("%s answer %d", name, rec.Code), answer.Value.Content, rec.Body.Bytes(), asAnswer)
	}
}

// moved reports whether an answer sends on to where a renamed repository is now:
// GitHub's guide says so of every route ("Follow redirects"), its descriptions only
// of some.
func moved(method string, rec *httptest.ResponseRecorder) bool {
	status := http.StatusTemporaryRedirect
	if method == http.MethodGet || method == http.MethodHead {
		status = http.StatusMovedPermanently
	}
	return rec.Code == status && strings.Contains(rec.Header().Get("Location"), "/repositories/")
}

func (in *inspection) body(what string, content openapi3.Content, data []byte, as openapi3.SchemaValidationOption) {
	media := content.Get("application/json")
	if media == nil || media.Schema == nil {
		return // text, such as /zen
	}
	in.value(what, media.Schema.Value, data, as)
}

// indices take the numbers out of a finding's place, so that the same is found
// once.
var indices = regexp.MustCompile(`/\d+(/|$)`)

// value holds a document to a schema.
func (in *inspection) value(what string, schema *openapi3.Schema, data []byte, as openapi3.SchemaValidationOption) {
	for _, text := range nonconforming(schema, data, as) {
		in.find("%s: %s", what, text)
	}
}

// nonconforming says where a document is not as its schema says.
func nonconforming(schema *openapi3.Schema, data []byte, as openapi3.SchemaValidationOption) []string {
	var v any
	if err := json.Unmarshal(data, &v); err != nil {
		return []string{"no JSON: " + err.Error()}
	}
	err := schema.VisitJSON(v, as, openapi3.MultiErrors())
	var found []string
	var walk func(err error, at string)
	walk = func(err error, at string) {
		switch e := err.(type) {
		case openapi3.MultiError:
			for _, inner := range e {
				walk(inner, at)
			}
		case *openapi3.SchemaError:
			here := at + indices.ReplaceAllString("/"+strings.Join(e.JSONPointer(), "/"), "/#$1")
			if e.Origin != nil {
				walk(e.Origin, here)
				return
			}
			found = append(found, fmt.Sprintf("%s: %s (%s)", here, clipped(e.Reason), e.SchemaField))
		default:
			found = append(found, clipped(err.Error()))
		}
	}
	if err != nil {
		walk(err, "")
	}
	return found
}

func clipped(s string) string {
	s, _, _ = strings.Cut(s, "\n")
	if len(s) > 200 {
		return s[:200] + "…"
	}
	return s
}

// watchedHooks sends webhooks as net/http does and looks at each.
type watchedHooks struct{ in *inspection }

// RoundTrip implements http.RoundTripper.
func (x *watchedHooks) RoundTrip(r *http.Request) (*http.Response, error) {
	data, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	r.Body = io.NopCloser(bytes.NewReader(data))
	x.in.hook(r.Header, data)
	return http.DefaultTransport.RoundTrip(r)
}

// hook holds a webhook to the description.
func (in *inspection) hook(header http.Header, data []byte) {
	event := header.Get("X-GitHub-Event")
	var body struct {
		Action string `json:"action"`
	}
	if err := json.Unmarshal(data, &body); err != nil {
		in.find("webhook %s: %v", event, err)
		return
	}
	name := strings.ReplaceAll(event+"-"+body.Action, "_", "-")
	if body.Action == "" {
		name = strings.ReplaceAll(event, "_", "-")
	}
	if event == "repository_dispatch" {
		name = "repository-dispatch-sample.collected" // its action is whatever somebody dispatched
	}
	in.saw("webhook " + name)
	described := in.webhooks[name]
	schema := in.api.doc.Components.Schemas[described.schema]
	if schema == nil {
		in.find("webhook %s is not described", name)
		return
	}
	if !described.app {
		in.find("webhook %s is never sent to an App", name)
	}
	in.value("webhook "+name, schema.Value, data, openapi3.VisitAsRequest())
	for _, key := range []string{"X-GitHub-Delivery", "X-GitHub-Hook-ID", "X-GitHub-Hook-Installation-Target-ID", "X-GitHub-Hook-Installation-Target-Type", "X-Hub-Signature-256", "User-Agent"} {
		if header.Get(key) == "" {
			in.find("webhook %s: no header %s", name, key)
		}
	}
}
