package forge

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/google/go-github/v60/github"

	"github.com/rungbot/rung/internal/lazyregexp"
	"github.com/rungbot/rung/internal/promotion"
)

var errNoGraphQL = errors.New("the server has no GraphQL")

// The query's fragments. Fields between ‹› are optional: they are left out
// for servers that say that they don't know them.
const fragments = `
fragment Who on Actor { __typename login ... on User { databaseId } ... on Bot { databaseId } }
fragment Contexts on StatusCheckRollupContextConnection {
  pageInfo { hasNextPage endCursor }
  nodes {
    __typename
    ... on StatusContext { context state targetUrl createdAt }
    ... on CheckRun { databaseId name status conclusion detailsUrl startedAt completedAt externalId checkSuite { app { databaseId } } }
  }
}
fragment Reviews on PullRequestReviewConnection {
  pageInfo { hasPreviousPage startCursor }
  nodes { databaseId state submittedAt author { ...Who } commit { oid } }
}
fragment Pull on PullRequest {
  number title url state isDraft isCrossRepository merged mergedAt closedAt createdAt
  headRefName headRefOid baseRefName baseRefOid mergeable mergeCommit { oid }
  author { ...Who } mergedBy { ...Who }
  reviews(last: 100) { ...Reviews }
  timelineItems(last: 1, itemTypes: [CLOSED_EVENT]) { nodes { ... on ClosedEvent { actor { ...Who } } } }
  commits(last: 1) { nodes { commit { oid statusCheckRollup { contexts(first: 100) { ...Contexts } } } } }
}`

// baseFields reads the base branch and its rules.
const baseFields = `
ref(qualifiedName: $ref) {
  target { oid }
  ‹branchProtectionRule { requiresApprovingReviews requiredApprovingReviewCount requiresCommitSignatures requiresLinearHistory requiresStatusChecks requiredStatusChecks { context app { databaseId } } }›
  ‹refUpdateRule { requiredApprovingReviewCount requiredStatusCheckContexts requiresLinearHistory requiresSignatures }›
  ‹rules(first: 100) {
    pageInfo { hasNextPage }
    nodes { type parameters {
      __typename
      ... on RequiredStatusChecksParameters { requiredStatusChecks { context integrationId } }
      ... on PullRequestParameters { requiredApprovingReviewCount ‹allowedMergeMethods› }
    } }
  }›
}`

const repositoryFields = `databaseId nameWithOwner url isArchived isPrivate mergeCommitAllowed squashMergeAllowed rebaseMergeAllowed defaultBranchRef { name }`

// optionalFields are the fields in ‹› by the name that an error would give.
var optionalFields = []string{"branchProtectionRule", "refUpdateRule", "rules", "allowedMergeMethods"}

// without takes the optional fields that the server does not know out of a
// query, and the marks from the others.
func without(query string, unknown map[string]bool) string {
	for {
		open := strings.LastIndex(query, "‹")
		if open < 0 {
			return query
		}
		end := strings.Index(query[open:], "›") + open
		inner := query[open+len("‹") : end]
		name := strings.FieldsFunc(inner, func(r rune) bool { return r == ' ' || r == '(' })
		if len(name) > 0 && unknown[name[0]] {
			inner = ""
		}
		query = query[:open] + inner + query[end+len("›"):]
	}
}

// document builds a query with its variables as it goes: outside strings are
// only ever variables.
type document struct {
	declared []string
	body     strings.Builder
	vars     map[string]any
}

func newDocument(repo promotion.Repository) *document {
	d := &document{vars: map[string]any{}}
	d.variable("owner", "String!", repo.Owner)
	d.variable("name", "String!", repo.Name)
	return d
}

func (d *document) variable(name, kind string, value any) {
	d.declared = append(d.declared, "$"+name+": "+kind)
	d.vars[name] = value
}

func (d *document) field(format string, args ...any) { fmt.Fprintf(&d.body, "\n"+format, args...) }

// text is the whole query. Fragments that it does not use are left out:
// servers refuse them.
func (d *document) text(unknown map[string]bool) string {
	body := without(d.body.String(), unknown)
	text := "query Read(" + strings.Join(d.declared, ", ") + ") { repository(owner: $owner, name: $name) {" + body +
		"\n} rateLimit { cost limit remaining resetAt } }"
	for _, name := range []string{"Pull", "Reviews", "Contexts", "Who"} {
		if strings.Contains(text, "..."+name+" ") {
			start := strings.Index(fragments, "fragment "+name+" ")
			end := strings.Index(fragments[start+1:], "\nfragment ")
			if end < 0 {
				text += "\n" + fragments[start:]
			} else {
				text += "\n" + fragments[start:start+1+end]
			}
		}
	}
	return text
}

// base asks for the repository and, when a base is named, its rules.
func (d *document) base(base string) {
	d.field("%s", repositoryFields)
	if base != "" {
		d.variable("ref", "String!", "refs/heads/"+base)
		d.field("%s", baseFields)
	}
}

// open asks for the open pull requests after a cursor.
func (d *document) open(base string, after *string) {
	d.variable("base", "String!", base)
	d.variable("after", "String", after)
	d.field("open: pullRequests(first: %d, after: $after, states: [OPEN], baseRefName: $base, orderBy: {field: CREATED_AT, direction: DESC}) { pageInfo { hasNextPage endCursor } nodes { ...Pull } }", openPage)
}

func (d *document) head(i int, head string) {
	d.variable(fmt.Sprintf("h%d", i), "String!", head)
	d.field("h%d: pullRequests(first: %d, headRefName: $h%d, orderBy: {field: CREATED_AT, direction: DESC}) { nodes { ...Pull } }", i, perHead, i)
}

func (d *document) commit(i int, oid promotion.Hash, after *string) {
	d.variable(fmt.Sprintf("c%d", i), "GitObjectID!", string(oid))
	d.variable(fmt.Sprintf("c%dafter", i), "String", after)
	d.field("c%d: object(oid: $c%d) { ... on Commit { oid statusCheckRollup { contexts(first: 100, after: $c%dafter) { ...Contexts } } } }", i, i, i)
}

func (d *document) pull(i, number int) {
	d.variable(fmt.Sprintf("p%d", i), "Int!", number)
	d.field("p%d: pullRequest(number: $p%d) { ...Pull }", i, i)
}

// result is the answer to a document.
type result struct {
	repository map[string]json.RawMessage
	// unreadable are optional fields of the base branch that the App may not
	// see.
	unreadable map[string]bool
}

type graphQLError struct {
	Type       string `json:"type"`
	Message    string `json:"message"`
	Path       []any  `json:"path"`
	Extensions struct {
		Code string `json:"code"`
	} `json:"extensions"`
}

// ask sends a document. Optional fields that the server does not know are
// dropped for good and the document is sent again.
func (c *Client) ask(ctx context.Context, d *document) (*result, error) {
	for range len(optionalFields) + 1 {
		c.mu.Lock()
		query := d.text(c.without)
		c.mu.Unlock()
		header, body, err := c.post(ctx, query, d.vars)
		if err != nil {
			return nil, err
		}
		r, failures, err := decodeAnswer(body)
		if err != nil {
			return nil, err
		}
		if err := c.limitIn(header, failures); err != nil {
			return nil, err
		}
		if c.dropUnknown(failures) {
			continue
		}
		c.mu.Lock()
		r.unreadable["branchProtectionRule"] = c.without["branchProtectionRule"]
		c.mu.Unlock()
		return r, judgeErrors(r, failures)
	}
	return nil, &UnavailableError{Message: "GraphQL: the server does not know the fields that rung asks for"}
}

// post sends one GraphQL request and reads its answer.
func (c *Client) post(ctx context.Context, query string, vars map[string]any) (http.Header, []byte, error) {
	raw, err := json.Marshal(map[string]any{"query": query, "variables": vars})
	if err != nil {
		return nil, nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.app.graphql, bytes.NewReader(raw))
	if err != nil {
		return nil, nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", c.app.config.UserAgent)
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	if noGraphQL(resp.StatusCode) {
		return nil, nil, errNoGraphQL
	}
	if resp.StatusCode != http.StatusOK {
		return nil, nil, github.CheckResponse(resp)
	}
	body, err := io.ReadAll(resp.Body)
	return resp.Header, body, err
}

// decodeAnswer reads the envelope of an answer.
func decodeAnswer(body []byte) (*result, []graphQLError, error) {
	var answer struct {
		Data *struct {
			Repository map[string]json.RawMessage `json:"repository"`
		} `json:"data"`
		Errors []graphQLError `json:"errors"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, nil, &UnavailableError{Message: "GraphQL: the answer is not JSON of the expected shape"}
	}
	r := &result{unreadable: map[string]bool{}}
	if answer.Data != nil {
		r.repository = answer.Data.Repository
	}
	return r, answer.Errors, nil
}

// limitIn reads a rate limit from the errors of a 200.
func (c *Client) limitIn(header http.Header, failures []graphQLError) error {
	for _, e := range failures {
		text := strings.ToLower(e.Message)
		if strings.Contains(strings.ToUpper(e.Type), "RATE_LIMIT") || strings.Contains(text, "rate limit") {
			return c.limits.limitedInBody(header, strings.Contains(text, "secondary"))
		}
	}
	return nil
}

var unknownField = lazyregexp.New(`[Ff]ield ['"]([A-Za-z]+)['"] doesn't exist|Cannot query field ['"]([A-Za-z]+)['"]`)

// dropUnknown remembers the optional fields that the server does not know, if
// that is all it complains about.
func (c *Client) dropUnknown(failures []graphQLError) bool {
	var unknown []string
	for _, e := range failures {
		m := unknownField.FindStringSubmatch(e.Message)
		if m == nil || !slices.Contains(optionalFields, m[1]+m[2]) {
			return false
		}
		unknown = append(unknown, m[1]+m[2])
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	fresh := false
	for _, name := range unknown {
		fresh = fresh || !c.without[name]
		c.without[name] = true
	}
	return fresh
}

// judgeErrors refuses partial data, but for two things that are answers: a
// pull request that does not exist, and rules that the App may not see.
func judgeErrors(r *result, failures []graphQLError) error {
	for _, e := range failures {
		path := pathOf(e.Path)
		switch {
		case e.Type == "NOT_FOUND" && path == "repository":
			return ErrNotFound
		case e.Type == "NOT_FOUND" && aliasOfPull.MatchString(path):
			continue
		case e.Type == "FORBIDDEN" && strings.HasPrefix(path, "repository.ref."):
			field, _, _ := strings.Cut(strings.TrimPrefix(path, "repository.ref."), ".")
			if slices.Contains(optionalFields, field) {
				r.unreadable[field] = true
				continue
			}
		case e.Type == "FORBIDDEN":
			return &ForbiddenError{Message: redact(oneLine(cut(e.Message, 300)))}
		}
		return &UnavailableError{Message: "GraphQL: " + redact(oneLine(cut(e.Message, 300)))}
	}
	if r.repository == nil {
		return ErrNotFound
	}
	return nil
}

var aliasOfPull = lazyregexp.New(`^repository\.p[0-9]+$`)

func pathOf(path []any) string {
	parts := make([]string, 0, len(path))
	for _, p := range path {
		parts = append(parts, fmt.Sprint(p))
	}
	return strings.Join(parts, ".")
}
