package metrics

import (
	"bytes"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/rungbot/rung/internal/promotion"
)

const alertsFile = "../../deploy/prometheus/rung.rules.yaml"

// ruleFile is a file of rules as Prometheus reads it, with what rung uses of it.
type ruleFile struct {
	Groups []struct {
		Name  string
		Rules []struct {
			Alert, Expr, For    string
			Labels, Annotations map[string]string
		}
	}
}

// TestAlerts: each alert asks for metrics that rung serves, by labels that they have,
// says something to people, and leads to a heading of the operations document, which
// lists it.
func TestAlerts(t *testing.T) {
	data, err := os.ReadFile(alertsFile)
	if err != nil {
		t.Fatal(err)
	}
	var file ruleFile
	dec := yaml.NewDecoder(bytes.NewReader(data))
	dec.KnownFields(true)
	if err := dec.Decode(&file); err != nil {
		t.Fatal(err)
	}
	docs, err := os.ReadFile(docsFile)
	if err != nil {
		t.Fatal(err)
	}
	phases := []string{
		promotion.PhaseIdle, promotion.PhaseVerifying, promotion.PhaseWaiting, promotion.PhaseOpen, promotion.PhaseReady, promotion.PhaseHeld,
		promotion.PhaseUnhealthy, promotion.PhaseRolledBack,
	}
	alerts := 0
	for _, group := range file.Groups {
		for _, rule := range group.Rules {
			alerts++
			names := regexp.MustCompile(`\brung_[a-z_]+`).FindAllString(rule.Expr, -1)
			if len(names) == 0 || rule.For == "" || rule.Labels["severity"] == "" {
				t.Errorf("%s: %q, for %q, severity %q", rule.Alert, rule.Expr, rule.For, rule.Labels["severity"])
			}
			labels := []string{}
			for _, name := range names {
				i := slices.IndexFunc(all, func(m *metric) bool { return m.name == name })
				if i < 0 {
					t.Errorf("%s: there is no metric %s", rule.Alert, name)
					continue
				}
				labels = append(labels, all[i].labels...)
			}
			said := rule.Annotations["summary"] + rule.Annotations["description"]
			for _, m := range regexp.MustCompile(`\$labels\.(\w+)`).FindAllStringSubmatch(said, -1) {
				if !slices.Contains(labels, m[1]) {
					t.Errorf("%s: its metrics have no label %s", rule.Alert, m[1])
				}
			}
			for _, m := range regexp.MustCompile(`(\w+)(=~?)"([^"]*)"`).FindAllStringSubmatch(rule.Expr, -1) {
				if !slices.Contains(labels, m[1]) {
					t.Errorf("%s: its metrics have no label %s", rule.Alert, m[1])
				}
				for _, value := range strings.Split(m[3], "|") {
					if m[1] == "phase" && !slices.Contains(phases, value) {
						t.Errorf("%s: there is no phase %q", rule.Alert, value)
					}
				}
			}
			heading, ok := strings.CutPrefix(rule.Annotations["runbook"], "docs/operations.md#")
			if !ok || !slices.Contains(headings(string(docs)), heading) {
				t.Errorf("%s: its runbook is %q", rule.Alert, rule.Annotations["runbook"])
			}
			if !strings.Contains(string(docs), "`"+rule.Alert+"`") {
				t.Errorf("docs/operations.md does not list %s", rule.Alert)
			}
		}
	}
	if alerts < 5 {
		t.Errorf("only %d alerts are found", alerts)
	}
}

func headings(text string) []string {
	var all []string
	for _, m := range regexp.MustCompile(`(?m)^#+ (.+)$`).FindAllStringSubmatch(text, -1) {
		all = append(all, strings.ReplaceAll(regexp.MustCompile(`[^a-z0-9 -]`).ReplaceAllString(strings.ToLower(m[1]), ""), " ", "-"))
	}
	return all
}

// TestAlertsByPrometheus has Prometheus' own tool check the rules and play their cases,
// where it is installed (make alerts).
func TestAlertsByPrometheus(t *testing.T) {
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		if os.Getenv("RUNG_PROMTOOL") != "" {
			t.Fatal(err)
		}
		t.Skip("promtool is not installed; make alerts wants it")
	}
	for _, args := range [][]string{{"check", "rules", alertsFile}, {"test", "rules", strings.Replace(alertsFile, "rules.yaml", "cases.yaml", 1)}} {
		if out, err := exec.Command(promtool, args...).CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}
