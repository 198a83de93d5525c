package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rungbot/rung/internal/promotion"
	"github.com/rungbot/rung/internal/prose"
)

const (
	// defaultReleases and maxReleases are how many releases of an environment a
	// history has.
	defaultReleases = 20
	maxReleases     = 100
	// maxReading is how many histories are read at a time, historyTime how long one
	// may take.
	maxReading  = 2
	historyTime = 20 * time.Second
)

// Question asks for what landed of an artifact.
type Question struct {
	// Repository is its number on the forge.
	Repository  int64
	Artifact    promotion.Artifact
	Environment promotion.Environment // empty: all
	// Limit is how many releases of each environment are wanted.
	Limit int
}

// Past answers with the newest releases as rung history --json prints them, and
// whether there are earlier ones. It reads the ledger in git.
type Past func(ctx context.Context, q Question) (history any, more bool, err error)

// ErrNoLedger is for a repository of which nothing is recorded.
var ErrNoLedger = errors.New("there is no ledger yet: in mode observe nothing is recorded")

// strictly refuses what it does not know: a mistyped parameter would be an answer to
// another question.
func strictly(parameters []string, answer http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		query, err := url.ParseQuery(r.URL.RawQuery)
		if err != nil {
			badRequest(w, "The query can't be read: it is name=value, joined by &, with %XX for what is special.")
			return
		}
		for name, values := range query {
			switch {
			case !slices.Contains(parameters, name) && len(parameters) == 0:
				badRequest(w, fmt.Sprintf("There is no parameter %.40q: this address takes none.", name))
				return
			case !slices.Contains(parameters, name):
				badRequest(w, fmt.Sprintf("There is no parameter %.40q; there are: %s.", name, strings.Join(parameters, ", ")))
				return
			case len(values) > 1:
				badRequest(w, fmt.Sprintf("The parameter %s is there %d times: give it once.", name, len(values)))
				return
			}
		}
		answer(w, r)
	}
}

func badRequest(w http.ResponseWriter, sentence string) {
	fail(w, http.StatusBadRequest, "bad-request", sentence)
}

// pairAsked reads which artifact, and in which environment, is asked about.
func pairAsked(r *http.Request, environmentToo bool) (promotion.Pair, error) {
	q := r.URL.Query()
	var pair promotion.Pair
	var err error
	if pair.Artifact, err = promotion.ParseArtifact(q.Get("artifact")); err != nil {
		return pair, fmt.Errorf("artifact: %w", err)
	}
	if !environmentToo && !q.Has("environment") {
		return pair, nil
	}
	if pair.Environment, err = promotion.ParseEnvironment(q.Get("environment")); err != nil {
		return pair, fmt.Errorf("environment: %w", err)
	}
	return pair, nil
}

// why explains one pair.
func (h *Handler) why(w http.ResponseWriter, r *http.Request) {
	pair, err := pairAsked(r, true)
	if err != nil {
		badRequest(w, err.Error()+"; ask with ?artifact=NAME&environment=NAME")
		return
	}
	found := h.named(w, r)
	if found == nil {
		return
	}
	answer, err := found.explain(h.c.Version, pair)
	if err != nil {
		fail(w, http.StatusNotFound, "not-found", err.Error())
		return
	}
	h.send(w, r, answer)
}

// explain is what is said of a pair. The error says which there are.
func (v *view) explain(version string, pair promotion.Pair) (Why, error) {
	for i := range v.Pairs {
		if st := &v.Pairs[i]; st.Pair == pair {
			return Why{
				Version: Version, Rung: version, Repository: headerOf(v), Pair: pairOf(v, st), Text: prose.WhyPlain(*st), Markdown: prose.Why(*st),
			}, nil
		}
	}
	if err := v.knows(pair.Artifact, pair.Environment); err != nil {
		return Why{}, err
	}
	return Why{}, fmt.Errorf("%s does not name %s, or was not looked at yet", pair.Environment, pair.Artifact)
}

// knows says that the repository has no such artifact or environment (empty: any),
// and which it has.
func (v *view) knows(a promotion.Artifact, e promotion.Environment) error {
	switch {
	case v.Pipeline == nil && v.Error != "":
		return fmt.Errorf("rung could not look at %s yet: %s", v.Repository.FullName(), v.Error)
	case v.Pipeline == nil || !v.Configured:
		return fmt.Errorf("%s is not configured: it has no rung.yaml, or none that can be read", v.Repository.FullName())
	}
	artifacts, environments := []string{}, []string{}
	for _, is := range v.Pipeline.Artifacts {
		artifacts = append(artifacts, string(is.Name))
	}
	for _, is := range v.Pipeline.Environments {
		environments = append(environments, string(is.Name))
	}
	switch {
	case !slices.Contains(artifacts, string(a)):
		return fmt.Errorf("there is no artifact %s; there are: %s", a, strings.Join(artifacts, ", "))
	case e != "" && !slices.Contains(environments, string(e)):
		return fmt.Errorf("there is no environment %s; there are: %s", e, strings.Join(environments, ", "))
	}
	return nil
}

// history tells what landed.
func (h *Handler) history(w http.ResponseWriter, r *http.Request) {
	pair, err := pairAsked(r, false)
	if err != nil {
		badRequest(w, err.Error()+"; ask with ?artifact=NAME, and &environment=NAME for one environment")
		return
	}
	q := Question{Artifact: pair.Artifact, Environment: pair.Environment, Limit: defaultReleases}
	if limit := r.URL.Query().Get("limit"); r.URL.Query().Has("limit") {
		if q.Limit, err = strconv.Atoi(limit); err != nil || q.Limit < 1 || q.Limit > maxReleases {
			badRequest(w, fmt.Sprintf("limit must be a number from 1 to %d, not %.20q.", maxReleases, limit))
			return
		}
	}
	found := h.named(w, r)
	if found == nil {
		return
	}
	if err := found.knows(q.Artifact, q.Environment); err != nil {
		fail(w, http.StatusNotFound, "not-found", err.Error())
		return
	}
	q.Repository = found.Repository.ID
	h.tell(w, r, found, q)
}

// tell reads a history, some at a time.
func (h *Handler) tell(w http.ResponseWriter, r *http.Request, v *view, q Question) {
	select {
	case h.reading <- struct{}{}:
		defer func() { <-h.reading }()
	default:
		unavailable(w, "Other histories are being read: ask again in some seconds.")
		return
	}
	if h.c.Past == nil {
		unavailable(w, "This process reads no history.")
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), historyTime)
	defer cancel()
	past, more, err := h.c.Past(ctx, q)
	switch {
	case errors.Is(err, ErrNoLedger):
		fail(w, http.StatusNotFound, "not-found", err.Error())
		return
	case err != nil:
		h.c.Log.Warn().Err(err).Str("repository", v.Repository.FullName()).Msg("a history could not be read")
		unavailable(w, "The ledger could not be read just now; rung's log says why. rung history --local reads it in a clone.")
		return
	}
	data, err := json.Marshal(past)
	if err != nil {
		h.unreadable(w, err)
		return
	}
	h.send(w, r, History{Version: Version, Rung: h.c.Version, Repository: headerOf(v), History: data, More: more})
}

func unavailable(w http.ResponseWriter, sentence string) {
	w.Header().Set("Retry-After", "5")
	fail(w, http.StatusServiceUnavailable, "unavailable", sentence)
}

// Describe is the document of a repository that no service looked at: what a dry run
// or a reading of a clone saw.
func Describe(rung string, v promotion.View) One {
	return One{Version: Version, Rung: rung, Repository: repositoryOf(&view{v, v.At})}
}

// Explain is the same for one pair. The error says which there are.
func Explain(rung string, v promotion.View, pair promotion.Pair) (Why, error) {
	return (&view{v, v.At}).explain(rung, pair)
}
