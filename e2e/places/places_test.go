// Package places tests what lies in deploy: that its settings exist, that the
// Kubernetes manifests ask for no more than they need, and that the workflow for
// people without a server lets a version climb.
package places

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/rungbot/rung/e2e/world"
	"github.com/rungbot/rung/internal/settings"
)

const deploy = "../../deploy"

var binary string

func TestMain(m *testing.M) {
	world.Main(func(_, built string) int {
		binary = built
		return m.Run()
	})
}

// TestTheSettingsExist: each RUNG_ variable that a file of deploy sets is one.
func TestTheSettingsExist(t *testing.T) {
	// RUNG_APP_ID, RUNG_APP_KEY and RUNG_RELEASE_KEY are names in GitHub.
	elsewhere := []string{"RUNG_APP_ID", "RUNG_APP_KEY", "RUNG_RELEASE_KEY"}
	files := 0
	err := filepath.WalkDir(deploy, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path) // #nosec G304 -- the repository's own
		if err != nil {
			return err
		}
		files++
		for _, name := range regexp.MustCompile(`RUNG_[A-Z_]+`).FindAllString(string(data), -1) {
			if slices.Contains(elsewhere, name) {
				continue
			}
			_, err := settings.Load([]string{name + "=/nowhere"})
			if err != nil && strings.Contains(err.Error(), "there is no such setting") {
				t.Errorf("%s: %v", path, err)
			}
		}
		return nil
	})
	if err != nil || files < 8 {
		t.Errorf("%d files, %v", files, err)
	}
	if _, err := settings.Load([]string{"RUNG_GITHUB_APPID=7"}); err == nil || !strings.Contains(err.Error(), "there is no such setting") {
		t.Errorf("an unknown setting is not told: %v", err)
	}
}

// pod is what the restricted Pod Security Standard looks at, as Kubernetes'
// documentation of Pod Security Standards lists it.
type pod struct {
	AutomountServiceAccountToken *bool           `yaml:"automountServiceAccountToken"`
	SecurityContext              securityContext `yaml:"securityContext"`
	Containers                   []container     `yaml:"containers"`
}

type container struct {
	Args            []string
	SecurityContext securityContext `yaml:"securityContext"`
	StartupProbe    probe           `yaml:"startupProbe"`
	ReadinessProbe  probe           `yaml:"readinessProbe"`
	LivenessProbe   probe           `yaml:"livenessProbe"`
	Resources       struct {
		Limits map[string]string
	}
}

type probe struct {
	HTTPGet struct{ Path string } `yaml:"httpGet"`
}

type securityContext struct {
	RunAsNonRoot             *bool `yaml:"runAsNonRoot"`
	AllowPrivilegeEscalation *bool `yaml:"allowPrivilegeEscalation"`
	ReadOnlyRootFilesystem   *bool `yaml:"readOnlyRootFilesystem"`
	Privileged               bool
	Capabilities             struct{ Drop, Add []string }
	SeccompProfile           struct{ Type string } `yaml:"seccompProfile"`
}

func is(p *bool, want bool) bool { return p != nil && *p == want }

func TestTheManifestsAskForLittle(t *testing.T) {
	var list struct{ Resources []string }
	load(t, "kubernetes/kustomization.yaml", &list)
	kinds := map[string]int{}
	for _, name := range list.Resources {
		var object struct {
			Kind string
			Spec struct {
				Replicas int
				Strategy struct{ Type string }
				Template struct{ Spec pod }
			}
		}
		load(t, "kubernetes/"+name, &object)
		kinds[object.Kind]++
		if object.Kind != "Deployment" {
			continue
		}
		if object.Spec.Replicas != 1 || object.Spec.Strategy.Type != "Recreate" {
			t.Errorf("%s: %d replicas, %s: two processes would share the work", name, object.Spec.Replicas, object.Spec.Strategy.Type)
		}
		p := object.Spec.Template.Spec
		if !is(p.SecurityContext.RunAsNonRoot, true) || p.SecurityContext.SeccompProfile.Type != "RuntimeDefault" || !is(p.AutomountServiceAccountToken, false) || len(p.Containers) != 1 {
			t.Errorf("%s: the pod is not restricted: %+v", name, p)
		}
		for _, c := range p.Containers {
			s := c.SecurityContext
			if !is(s.AllowPrivilegeEscalation, false) || !is(s.ReadOnlyRootFilesystem, true) || s.Privileged || len(s.Capabilities.Add) > 0 || !slices.Equal(s.Capabilities.Drop, []string{"ALL"}) || c.Resources.Limits["memory"] == "" {
				t.Errorf("%s: the container is not restricted: %+v", name, c)
			}
			w := world.Start(t, binary, world.Options{Config: config, Environments: []string{"dev"}})
			serving := w.Serve("probed")
			for _, probe := range []probe{c.StartupProbe, c.ReadinessProbe, c.LivenessProbe} {
				w.Wait(probe.HTTPGet.Path+" answers ok", func() bool { return serving.Board(probe.HTTPGet.Path) == "ok\n" }, serving.Log)
			}
		}
	}
	for _, kind := range []string{"Namespace", "ConfigMap", "Deployment", "Service", "NetworkPolicy"} {
		if kinds[kind] != 1 {
			t.Errorf("%d of kind %s", kinds[kind], kind)
		}
	}
}

func load(t *testing.T, path string, into any) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(deploy, path)) // #nosec G304 -- the repository's own
	if err == nil {
		err = yaml.Unmarshal(data, into)
	}
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

const config = `version: 1
mode: merge
artifacts:
  checkout: {image: REGISTRY/checkout}
environments:
  dev: {}
  staging: {after: [dev]}
`

// TestWithoutAServer runs the workflow's own command, as its job would, first with
// the event that announces a version.
func TestWithoutAServer(t *testing.T) {
	w := world.Start(t, binary, world.Options{Config: config, Environments: []string{"dev", "staging"}})
	var workflow struct {
		Jobs map[string]struct {
			Steps []struct {
				Name, Run string
				Env       map[string]string
			}
		}
	}
	load(t, "github-actions/rung.yaml", &workflow)
	steps := workflow.Jobs["reconcile"].Steps
	step := steps[len(steps)-1]
	values := map[string]string{
		"github.server_url": w.Setting("RUNG_GITHUB_URL"), "vars.RUNG_APP_ID": fmt.Sprint(world.AppID),
		"secrets.RUNG_APP_KEY": w.Setting("RUNG_GITHUB_PRIVATE_KEY"), "secrets.RUNG_RELEASE_KEY": w.Setting("RUNG_SIGNING_KEY"),
	}
	var env []string
	for name, value := range step.Env {
		expression := strings.TrimSpace(strings.TrimSuffix(strings.TrimPrefix(value, "${{"), "}}"))
		filled, known := values[expression]
		if !known {
			t.Fatalf("%s is %q, which this test does not know", name, value)
		}
		env = append(env, name+"="+filled)
	}
	// rung lies where go install would have put it.
	bin := filepath.Join(w.Dir, "go", "bin")
	if err := errors.Join(os.MkdirAll(bin, 0o750), os.Symlink(binary, filepath.Join(bin, "rung"))); err != nil {
		t.Fatal(err)
	}
	env = append(env, "GOPATH="+filepath.Join(w.Dir, "go"), "HOME="+w.Dir, "PATH="+os.Getenv("PATH"), "RUNG_COALESCE=0s",
		"GITHUB_REPOSITORY="+world.Repository)
	look := func(command string, more ...string) (string, int) {
		cmd := exec.Command("bash", "-euc", command) // #nosec G204 -- the workflow's own words
		cmd.Env = append(slices.Clone(env), more...)
		var log bytes.Buffer
		cmd.Stderr = &log
		out, err := cmd.Output()
		var exit *exec.ExitError
		if err != nil && !errors.As(err, &exit) {
			t.Fatal(err)
		}
		return string(out) + log.String(), cmd.ProcessState.ExitCode()
	}
	if out, code := look(step.Run); code != 0 || !strings.Contains(out, "checkout") {
		t.Fatalf("the first look: exit %d\n%s", code, out)
	}

	w.Publish("checkout", "1.4.2")
	payload, err := json.Marshal(map[string]any{
		"action": "artifact-published", "client_payload": map[string]any{"artifact": "checkout", "version": "1.4.2"},
		"repository": map[string]any{"id": w.State().ID, "name": "environments", "full_name": world.Repository, "owner": map[string]any{"login": "acme", "id": 1, "type": "Organization"}},
		"sender":     map[string]any{"login": "carol", "id": 4711, "type": "User"},
	})
	if err != nil {
		t.Fatal(err)
	}
	event := filepath.Join(w.Dir, "event.json")
	if err := os.WriteFile(event, payload, 0o600); err != nil {
		t.Fatal(err)
	}
	out, code := look(step.Run, "GITHUB_EVENT_NAME=repository_dispatch", "GITHUB_EVENT_PATH="+event)
	for runs := 0; code == 0 && runs < 5 && !strings.Contains(w.File("staging"), "1.4.2"); runs++ {
		out, code = look(step.Run)
	}
	if code != 0 || !strings.Contains(w.File("staging"), "1.4.2") {
		t.Fatalf("exit %d, staging has\n%s\n%s\n%s", code, w.File("staging"), out, w.Describe("dev", "staging"))
	}
	if !slices.ContainsFunc(w.Ledger(), func(r world.Record) bool { return r.Kind == "propose" && slices.Contains(r.Causers, "carol") }) {
		t.Errorf("nobody is named as having published it\n%s", w.Describe("dev", "staging"))
	}
	if out, code := look(strings.ReplaceAll(step.Run, "$GITHUB_REPOSITORY", "acme/elsewhere")); code != 2 || !strings.Contains(out, "the App is not installed on acme/elsewhere") {
		t.Errorf("another repository: exit %d\n%s", code, out)
	}
	if err := os.WriteFile(event, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, code := look(step.Run, "GITHUB_EVENT_NAME=repository_dispatch", "GITHUB_EVENT_PATH="+event); code == 0 || !strings.Contains(out, "payload can't be read") {
		t.Errorf("a broken event: exit %d\n%s", code, out)
	}
}
