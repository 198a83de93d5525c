package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"sort"
	"strings"

	"go.yaml.in/yaml/v3"
	sigsyaml "sigs.k8s.io/yaml"

	"github.com/rungbot/rung/internal/promotion"
)

// caseSuffix is the end of the name of a file of cases, before its extension:
// policies/digest_test.yaml holds those of policies/digest.yaml.
const caseSuffix = "_test"

// maxWalk is how many files and directories RunCases looks at.
const maxWalk = 100_000

// Report is what RunCases found.
type Report struct {
	// Files are the files of cases, sorted.
	Files []string `json:"files"`
	// Cases is how many cases were run.
	Cases int `json:"cases"`
	// Failures are the cases that came out otherwise than they say, and
	// policies and files of cases that can't be read, each at its position.
	Failures []promotion.ConfigProblem `json:"failures,omitempty"`
	// Untested are policies without a file of cases, sorted.
	Untested []string `json:"untested,omitempty"`
}

// OK reports whether at least one case was run and nothing failed.
func (r Report) OK() bool { return r.Cases > 0 && len(r.Failures) == 0 }

// caseFile is a file of cases beside a policy.
type caseFile struct {
	// Facts is the document that all cases start from.
	Facts map[string]any `json:"facts"`
	Cases []testCase     `json:"cases"`
}

// testCase is one document and what the policy must say of it.
type testCase struct {
	Name string `json:"name"`
	// Change is merged into the facts as by RFC 7396: null takes a field away.
	Change map[string]any `json:"change,omitempty"`
	// Expect is pass, fail or unknown.
	Expect promotion.Status `json:"expect"`
	// Rules are results that single rules must have.
	Rules map[string]promotion.Status `json:"rules,omitempty"`
	// Message is a text that the verdict's sentence must contain.
	Message string `json:"message,omitempty"`
}

// RunCases runs every file of cases under fsys (*_test.yaml and *_test.yml,
// directories with a leading dot left out) against the policy beside it. The
// error is for a file system that can't be read; everything else is in the
// report.
func RunCases(fsys fs.FS) (Report, error) {
	var report Report
	seen := 0
	err := fs.WalkDir(fsys, ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if seen++; seen > maxWalk {
			return fmt.Errorf("more than %d files: run it on the directory of the policies", maxWalk)
		}
		if d.IsDir() {
			if strings.HasPrefix(d.Name(), ".") && p != "." {
				return fs.SkipDir
			}
			return nil
		}
		return report.visit(fsys, p, d)
	})
	if err != nil {
		return report, fmt.Errorf("read policies: %w", err)
	}
	sort.Strings(report.Untested)
	return report, nil
}

// visit runs a file of cases, or notes a policy that has none.
func (r *Report) visit(fsys fs.FS, p string, d fs.DirEntry) error {
	ext := path.Ext(p)
	if ext != ".yaml" && ext != ".yml" || !d.Type().IsRegular() {
		return nil
	}
	stem := strings.TrimSuffix(p, ext)
	if subject, isCases := strings.CutSuffix(stem, caseSuffix); isCases {
		data, err := read(fsys, p)
		if err != nil {
			return err
		}
		policy, err := read(fsys, subject+ext)
		if errors.Is(err, fs.ErrNotExist) {
			r.fail(p, nil, "there is no policy %s beside it", subject+ext)
			return nil
		}
		if err != nil {
			return err
		}
		r.run(p, data, subject+ext, policy)
		return nil
	}
	if _, err := fs.Stat(fsys, stem+caseSuffix+ext); err == nil {
		return nil
	}
	data, err := read(fsys, p)
	if err == nil && bytes.Contains(data, []byte("kind: "+policyKind)) {
		r.Untested = append(r.Untested, p)
	}
	return err
}

// read reads a file up to just beyond what a policy may have, so that a larger
// one is refused by its loader.
func read(fsys fs.FS, p string) ([]byte, error) {
	info, err := fs.Stat(fsys, p)
	if err != nil {
		return nil, err
	}
	if info.Size() > 16*maxFile {
		return make([]byte, maxFile+1), nil
	}
	return fs.ReadFile(fsys, p)
}

func (r *Report) fail(p string, n *yaml.Node, format string, args ...any) {
	f := &file{path: p}
	f.problem(n, format, args...)
	r.Failures = append(r.Failures, f.problems...)
}

// run runs one file of cases against its policy.
func (r *Report) run(p string, data []byte, subject string, policy []byte) {
	r.Files = append(r.Files, p)
	set, problems := Compile(map[string][]byte{subject: policy})
	if len(problems) > 0 {
		r.Failures = append(r.Failures, problems...)
		return
	}
	f := &file{path: p}
	var cases caseFile
	var nodes *yaml.Node
	if len(data) > 4*maxFile {
		f.problem(nil, "the file is larger than %d bytes", 4*maxFile)
	} else if root := f.document(data); root != nil {
		_, nodes = member(root, "cases")
		if err := sigsyaml.UnmarshalStrict(data, &cases); err != nil {
			f.decodeProblem(err)
		}
	}
	if len(f.problems) > 0 {
		r.Failures = append(r.Failures, f.problems...)
		return
	}
	passes, denies := false, false
	for i, c := range cases.Cases {
		r.Cases++
		passes, denies = passes || c.Expect == promotion.StatusPass, denies || c.Expect == promotion.StatusFail
		if text := c.run(set, subject, cases.Facts); text != "" {
			r.fail(p, element(nodes, i), "%s: %s", shorten(c.Name), text)
		}
	}
	if !passes || !denies {
		r.fail(p, nodes, "cases need at least one that passes and one that fails, or they show nothing of the policy")
	}
}

// run judges one case and says what is wrong with it, or nothing.
func (c testCase) run(set Set, subject string, facts map[string]any) string {
	if !slices.Contains([]promotion.Status{promotion.StatusPass, promotion.StatusFail, promotion.StatusUnknown}, c.Expect) {
		return "expect must be pass, fail or unknown"
	}
	f, err := decodeFacts(merge(facts, c.Change))
	if err != nil {
		return err.Error()
	}
	v, _ := set.Judge(f, []string{subject})
	if v.Status != c.Expect {
		return fmt.Sprintf("expected %s, got %s: %s", c.Expect, v.Status, v.Sentence)
	}
	if !strings.Contains(v.Sentence, c.Message) {
		return fmt.Sprintf("expected a sentence with %q, got %q", c.Message, v.Sentence)
	}
	got := map[string]promotion.Status{}
	for _, rule := range v.Rules {
		got[rule.Rule] = rule.Status
	}
	names := make([]string, 0, len(c.Rules))
	for name := range c.Rules {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		if got[name] != c.Rules[name] {
			if got[name] == "" {
				return fmt.Sprintf("the policy has no rule %s", shorten(name))
			}
			return fmt.Sprintf("rule %s: expected %s, got %s", name, c.Rules[name], got[name])
		}
	}
	return ""
}

// decodeFacts turns a document into facts; a field that facts don't have is an
// error. A document without a version is of this one.
func decodeFacts(document map[string]any) (*promotion.Facts, error) {
	data, err := json.Marshal(document)
	if err != nil {
		return nil, fmt.Errorf("the facts can't be read: %w", err)
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	f := &promotion.Facts{Version: promotion.FactsVersion}
	if err := decoder.Decode(f); err != nil {
		return nil, fmt.Errorf("the facts are not right: %w", err)
	}
	return f, nil
}

// merge applies a JSON merge patch (RFC 7396) to a document and leaves the
// document as it was.
func merge(document, change map[string]any) map[string]any {
	out := make(map[string]any, len(document)+len(change))
	for k, v := range document {
		out[k] = v
	}
	for k, v := range change {
		switch patch := v.(type) {
		case nil:
			delete(out, k)
		case map[string]any:
			below, _ := out[k].(map[string]any)
			out[k] = merge(below, patch)
		default:
			out[k] = v
		}
	}
	return out
}
