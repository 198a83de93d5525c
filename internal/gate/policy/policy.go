// Package policy judges promotions by kyverno-json policies that live in the
// GitOps repository, over the facts document (promotion.Facts as JSON).
//
// State: a Set is a handful of compiled files, never changed after Compile; it
// may be shared by goroutines. Invariants: a policy passes only when each of
// its rules was evaluated and passed. A failed rule fails; an error, a panic
// of the engine, a rule without an answer, a file that is bound but absent or
// did not compile is unknown, and holds. The same facts give the same verdict:
// whatever reads a clock, draws at random or depends on the order of a map is
// refused when the file is loaded, with its line; the time is $now, from the
// facts. Files, expressions, loops and the document are bounded.
//
// This is the only package that knows kyverno-json. The engine lets some
// mistakes pass without checking anything (another kind, no rules, `check:
// {}`, a misspelt field, != on a missing one): the loader refuses them.
//
// What it does not do: it does not read files (observe), nor decide which
// files bind to which environment (pipeline).
package policy

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/kyverno/kyverno-json/pkg/apis/policy/v1alpha1"
	jsonengine "github.com/kyverno/kyverno-json/pkg/json-engine"

	"github.com/rungbot/rung/internal/gate"
	"github.com/rungbot/rung/internal/promotion"
)

// ID is the gate's id.
const ID = "policy"

// Engine is the engine and its version, as records name it. A test holds it to
// go.mod.
const Engine = "kyverno-json v0.0.4-0.20240730143747-aade3d42fc0e"

// maxDocument is the largest facts document that is judged, in bytes of JSON.
const maxDocument = 256 << 10

// maxFiles is how many files one Set holds.
const maxFiles = 500

// lookAgain is how soon a policy that reads the time is judged again while it
// does not pass.
const lookAgain = time.Minute

// Set is compiled policies by path. The zero Set holds none.
type Set struct {
	policies map[string]*compiled
}

// compiled is one file: a policy, or what is wrong with it.
type compiled struct {
	digest   string
	policy   *v1alpha1.ValidatingPolicy
	problem  string
	readsNow bool
}

// engine is the policy engine; it keeps nothing between runs.
var engine = jsonengine.New()

// Compile reads policy files, by path from the repository's root. Problems
// come sorted by path and position; a file with a problem stays in the Set and
// holds the environments that bind it. Problems name no environments: only the
// caller knows who binds a file.
func Compile(files map[string][]byte) (Set, []promotion.ConfigProblem) {
	s := Set{policies: make(map[string]*compiled, len(files))}
	paths := make([]string, 0, len(files))
	for p := range files {
		paths = append(paths, p)
	}
	sort.Strings(paths)
	var problems []promotion.ConfigProblem
	for i, path := range paths {
		f := &file{path: path}
		if i >= maxFiles {
			f.problem(nil, "more than %d policy files", maxFiles)
			s.policies[path] = &compiled{problem: f.problems[0].String()}
			problems = append(problems, f.problems...)
			continue
		}
		sum := sha256.Sum256(files[path])
		c := &compiled{digest: "sha256:" + hex.EncodeToString(sum[:]), policy: f.load(files[path]), readsNow: f.readsNow}
		if c.policy == nil {
			c.problem = f.problems[0].String()
		} else {
			for i := range c.policy.Spec.Rules { // shown by nobody, and they cost time
				c.policy.Spec.Rules[i].Identifier, c.policy.Spec.Rules[i].Feedback = "", nil
			}
		}
		s.policies[path] = c
		problems = append(problems, f.problems...)
	}
	return s, problems
}

// ReadsNow reports whether any of the policies reads the time of the facts, so
// that its answer may change without any other fact.
func (s Set) ReadsNow(paths []string) bool {
	return slices.ContainsFunc(paths, func(p string) bool {
		c := s.policies[p]
		return c != nil && c.readsNow
	})
}

// Judge judges the facts by the policies at paths, those that are bound to the
// target environment, in that order. It returns the verdict, with the result of
// each rule, and what the ledger records of each file.
func (s Set) Judge(f *promotion.Facts, paths []string) (promotion.Verdict, []promotion.RecordPolicy) {
	v := promotion.Verdict{Gate: ID, Status: promotion.StatusPass}
	if len(paths) == 0 {
		v.Sentence = fmt.Sprintf("no policy is bound to %s", f.Environment.Name)
		return v, nil
	}
	document, err := Document(f)
	var records []promotion.RecordPolicy
	for i, path := range paths {
		if slices.Contains(paths[:i], path) {
			continue
		}
		record := promotion.RecordPolicy{Path: path, Engine: Engine}
		c, found := s.policies[path]
		switch {
		case !found:
			record.Rules = []promotion.RuleResult{unjudged(path, "the file is bound here but is not in the base branch")}
		case err != nil:
			record.Digest, record.Rules = c.digest, []promotion.RuleResult{unjudged(path, err.Error())}
		case c.policy == nil:
			record.Digest, record.Rules = c.digest, []promotion.RuleResult{unjudged(path, c.problem)}
		default:
			record.Digest, record.Rules = c.digest, c.judge(path, document, f.Now)
		}
		records = append(records, record)
		v.Rules = append(v.Rules, record.Rules...)
		v.Evidence = append(v.Evidence, promotion.Evidence{Name: path, Value: record.Digest})
	}
	v.Status, v.Sentence = summary(v.Rules, len(records))
	if v.Status != promotion.StatusPass && s.ReadsNow(paths) {
		v.Look = f.Now.Add(lookAgain)
	}
	return v, records
}

// Document is the facts as policies see them: what encoding/json makes of
// promotion.Facts.
func Document(f *promotion.Facts) (map[string]any, error) {
	data, err := json.Marshal(f)
	if err != nil {
		return nil, fmt.Errorf("the facts can't be written as JSON: %w", err)
	}
	if len(data) > maxDocument {
		return nil, fmt.Errorf("the facts are larger than %d bytes", maxDocument)
	}
	var out map[string]any
	if err := json.Unmarshal(data, &out); err != nil {
		return nil, fmt.Errorf("the facts can't be read back: %w", err)
	}
	return out, nil
}

func unjudged(path, why string) promotion.RuleResult {
	return promotion.RuleResult{Policy: path, Rule: "load", Status: promotion.StatusUnknown, Message: gate.Clip(why, maxMessage-8)}
}

// judge runs one policy; each of its rules gets exactly one result.
func (c *compiled) judge(path string, document map[string]any, now time.Time) []promotion.RuleResult {
	responses, err := run(c.policy, document, now)
	out := make([]promotion.RuleResult, 0, len(c.policy.Spec.Rules))
	for i := range c.policy.Spec.Rules {
		rule := &c.policy.Spec.Rules[i]
		r := promotion.RuleResult{Policy: path, Rule: rule.Name, Status: promotion.StatusUnknown}
		switch {
		case err != nil:
			r.Message = gate.Clip(err.Error(), maxMessage-8)
		case i >= len(responses) || responses[i].Rule.Name != rule.Name:
			r.Message = "the rule gave no answer"
		case responses[i].Error != nil:
			r.Message = gate.Clip(c.explain(i, responses[i].Error, document, now), maxMessage-8)
		case len(responses[i].Violations) > 0:
			r.Status, r.Message = promotion.StatusFail, violations(responses[i])
		default:
			r.Status = promotion.StatusPass
		}
		out = append(out, r)
	}
	return out
}

// run evaluates a policy. The engine panics on some operands; that is an
// answer too.
func run(p *v1alpha1.ValidatingPolicy, document map[string]any, now time.Time) (rules []jsonengine.RuleResponse, err error) {
	defer func() {
		if r := recover(); r != nil {
			rules, err = nil, errors.New("the engine broke while it evaluated the policy; simplify its expressions")
		}
	}()
	response := engine.Run(context.Background(), jsonengine.Request{
		Resource: document,
		Policies: []*v1alpha1.ValidatingPolicy{p},
		Bindings: map[string]any{"now": now.UTC().Format(time.RFC3339)},
	})
	if len(response.Policies) != 1 {
		return nil, errors.New("the engine gave no answer")
	}
	return response.Policies[0].Rules, nil
}

// violations is a failed rule's own messages, or what the engine says of it.
// The engine walks maps in any order, so its words are sorted.
func violations(r jsonengine.RuleResponse) string {
	var messages, details []string
	for _, v := range r.Violations {
		if v.Message != "" && !slices.Contains(messages, v.Message) {
			messages = append(messages, v.Message)
		}
		for _, e := range v.ErrorList {
			details = append(details, e.Error())
		}
	}
	if len(messages) > 0 {
		return gate.Clip(strings.Join(messages, "; "), maxMessage-8)
	}
	slices.Sort(details)
	details = slices.Compact(details)
	return gate.Clip(strings.Join(details[:min(len(details), 3)], "; "), maxMessage-8)
}

// summary is the verdict of all rules: the worst status and the first rule
// that has it.
func summary(rules []promotion.RuleResult, policies int) (promotion.Status, string) {
	worst := map[promotion.Status][]promotion.RuleResult{}
	for _, r := range rules {
		worst[r.Status] = append(worst[r.Status], r)
	}
	for _, s := range []promotion.Status{promotion.StatusFail, promotion.StatusUnknown} {
		if len(worst[s]) == 0 {
			continue
		}
		first := worst[s][0]
		verb := "denies it"
		if s == promotion.StatusUnknown {
			verb = "could not be judged"
		}
		text := fmt.Sprintf("%s (rule %s) %s: %s", first.Policy, gate.Clip(first.Rule, 63), verb, first.Message)
		if n := len(worst[s]) - 1; n > 0 {
			text += fmt.Sprintf("; and %d more", n)
		}
		return s, text
	}
	if len(worst[promotion.StatusPass]) == 0 {
		return promotion.StatusUnknown, "the policies gave no answer"
	}
	if policies == 1 {
		return promotion.StatusPass, rules[0].Policy + " allows it"
	}
	return promotion.StatusPass, fmt.Sprintf("all %d policies allow it", policies)
}
