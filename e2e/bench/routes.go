package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/rungbot/rung/internal/githubemu"
)

// where says in which figures a route has its place.
type where int

const (
	opening where = 1 << iota // event to pull request with its check
	step                      // the rest of an auto-merged step
	reading                   // what one GraphQL read is over REST alone
	talking                   // people: approvals, commands, pull requests
	start                     // once, when rung starts or begins with a repository
)

// route is a kind of request, as the emulator names it, with a short name and
// its place.
type route struct {
	route, short string
	in           where
}

// routes is the table of every request that rung makes.
var routes = []route{
	{"POST /repos/{owner}/{repo}/pulls", "POST pulls", opening},
	{"POST /repos/{owner}/{repo}/check-runs", "POST check-runs", opening},
	{"POST /repos/{owner}/{repo}/git/trees", "POST trees", opening},     // with commits: github
	{"POST /repos/{owner}/{repo}/git/commits", "POST commits", opening}, // likewise
	{"PATCH /repos/{owner}/{repo}/check-runs/{run}", "PATCH check-runs", step},
	{"PUT /repos/{owner}/{repo}/pulls/{number}/merge", "PUT merge", step},
	{"POST /graphql", "graphql", step},

	{"GET /repos/{owner}/{repo}", "GET repo", reading},
	{"GET /repos/{owner}/{repo}/branches/{branch...}", "GET branch", reading | start},
	{"GET /repos/{owner}/{repo}/branches/{branch...}/protection", "GET protection", reading | start},
	{"GET /repos/{owner}/{repo}/rules/branches/{branch...}", "GET rules", reading | start},
	{"GET /repos/{owner}/{repo}/pulls", "GET pulls", reading},
	{"GET /repos/{owner}/{repo}/pulls/{number}", "GET pull", reading},
	{"GET /repos/{owner}/{repo}/pulls/{number}/reviews", "GET reviews", reading},
	{"GET /repos/{owner}/{repo}/commits/{ref...}/check-runs", "GET check-runs", reading},
	{"GET /repos/{owner}/{repo}/commits/{ref...}/status", "GET status", reading},
	{"GET /repos/{owner}/{repo}/issues/{number}", "GET issue", reading},

	{"PATCH /repos/{owner}/{repo}/pulls/{number}", "PATCH pull", talking},
	{"GET /repos/{owner}/{repo}/issues/comments", "GET comments", talking},
	{"GET /repos/{owner}/{repo}/issues/{number}/comments", "GET comments of one", talking},
	{"POST /repos/{owner}/{repo}/issues/{number}/comments", "POST comment", talking},
	{"GET /repos/{owner}/{repo}/issues/comments/{comment}/reactions", "GET reactions", talking},
	{"POST /repos/{owner}/{repo}/issues/comments/{comment}/reactions", "POST reaction", talking},
	{"GET /repos/{owner}/{repo}/collaborators/{login}/permission", "GET permission", talking},

	{"GET /app", "GET app", start},
	{"GET /app/installations", "GET installations", start},
	{"GET /installation/repositories", "GET repositories", start},
	{"GET /users/{login}", "GET user", start},
	{"GET /app/hook/deliveries", "GET deliveries", start},
	{"GET /app/hook/deliveries/{delivery}", "GET delivery", start},
	{"GET /rate_limit", "GET rate limit", start},
	{"GET /app/hook/config", "GET hook", start},
	{"GET /repos/{owner}/{repo}/rulesets/{ruleset}", "GET ruleset", start},
	{"POST (no GraphQL)", "graphql refused", start},
}

// gitRoutes and mintRoutes are listed apart, and have their place everywhere.
var (
	gitRoutes = map[string]string{
		"GET info/refs?service=git-upload-pack":  "fetch capabilities",
		"POST git-upload-pack":                   "fetch",
		"GET info/refs?service=git-receive-pack": "push capabilities",
		pushRoute:                                "push",
	}
	mintRoutes = []string{"POST /app/installations/{installation}/access_tokens"}
)

const pushRoute = "POST git-receive-pack"

// perRoute says what was counted on each route, and names the routes that have
// no place in a figure.
func perRoute(c githubemu.Counts, in where) (text string, strangers []string) {
	var counted, apart []string
	for _, r := range c.Routes {
		switch {
		case r.Class == githubemu.Mint && slices.Contains(mintRoutes, r.Route):
			apart = append(apart, fmt.Sprintf("%d token mints", r.Count))
			continue
		case r.Class == githubemu.Git && gitRoutes[r.Route] != "":
			apart = append(apart, fmt.Sprintf("%d %s", r.Count, gitRoutes[r.Route]))
			continue
		}
		i := slices.IndexFunc(routes, func(known route) bool { return known.route == r.Route })
		switch {
		case i < 0 || routes[i].in&in == 0 && r.Class != githubemu.NotModified:
			strangers = append(strangers, fmt.Sprintf("%d %s", r.Count, r.Route))
		case r.Class == githubemu.NotModified:
			apart = append(apart, fmt.Sprintf("%d × 304 %s", r.Count, routes[i].short))
		default:
			counted = append(counted, fmt.Sprintf("%d %s", r.Count, routes[i].short))
		}
	}
	text = strings.Join(counted, ", ")
	if text == "" {
		text = "nothing"
	}
	if len(apart) > 0 {
		text += "; apart: " + strings.Join(apart, ", ")
	}
	return text, strangers
}

// counted makes the row of a figure that is a number of requests.
func counted(figure string, limit, got float64, c githubemu.Counts, in where) row {
	r := row{figure: figure, limit: limit, got: got}
	var strangers []string
	r.detail, strangers = perRoute(c, in)
	if len(strangers) > 0 {
		r.fault = "routes that are not in the table: " + strings.Join(strangers, ", ")
	}
	return r
}
