package forge

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rungbot/rung/internal/promotion"
)

// bypassTTL is how long it is remembered which rules let the App pass.
const bypassTTL = time.Minute

// bypassEntries bounds what is remembered; a full memory is emptied.
const bypassEntries = 256

type bypassEntry struct {
	guards []Guard
	until  time.Time
}

// bypassable are the rules that the App's place in a bypass list lifts for rung. Of
// required checks it lifts none: rung waits for them all the same.
var bypassable = []string{RulePullRequest, RuleSignatures, RuleLinear, RuleMergeQueue}

// stops reports whether rules could keep rung from merging, where the repository
// allows so many methods.
func stops(r promotion.BranchRules, methods int) bool {
	return r.RequiredReviews > 0 || r.SignedCommits || r.LinearHistory || r.MergeQueue || len(r.Methods) < methods
}

// whoPasses reads which of a branch's rules let the App pass: neither GraphQL nor the
// list of a branch's rules says so. kinds are the rules that stand there, in the words of
// either. ok is false where what was read does not speak of just these: then every rule
// stands.
func (c *Client) whoPasses(ctx context.Context, repo promotion.Repository, base string, kinds []string) (guards []Guard, ok bool) {
	if len(kinds) == 0 {
		return nil, false
	}
	key, now := fmt.Sprintf("%d %s %s", repo.ID, repo.FullName(), base), c.app.config.Now()
	c.mu.Lock()
	known, found := c.bypass[key]
	c.mu.Unlock()
	if found && now.Before(known.until) && speakOf(known.guards, kinds) {
		return known.guards, true
	}
	guards, err := c.rulesetGuards(ctx, repo, base)
	if err != nil || !speakOf(guards, kinds) {
		return nil, false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.bypass) >= bypassEntries {
		clear(c.bypass)
	}
	c.bypass[key] = bypassEntry{guards, now.Add(bypassTTL)}
	return guards, true
}

// speakOf reports whether guards are of just these kinds, as far as they can be passed.
func speakOf(guards []Guard, kinds []string) bool {
	count := map[string]int{}
	for _, k := range kinds {
		count[strings.ToLower(k)]++
	}
	for i := range guards {
		count[guards[i].Rule]--
	}
	return !slices.ContainsFunc(bypassable, func(k string) bool { return count[k] != 0 })
}

// guards joins rules of rulesets that can be passed, less those that the App passes.
func (b *rulesBuilder) guards(all []Guard) {
	for i := range all {
		g := &all[i]
		if g.Passes() {
			continue
		}
		switch g.Rule {
		case RuleSignatures:
			b.rules.SignedCommits = true
		case RuleLinear:
			b.rules.LinearHistory = true
		case RuleMergeQueue:
			b.rules.MergeQueue = true
		case RulePullRequest:
			b.reviews(g.Reviews)
			b.limitMethods(g.Methods)
		}
	}
}
