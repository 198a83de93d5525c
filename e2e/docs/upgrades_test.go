package docs

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

const upgrades = "docs/upgrades.md"

// TestTheNewVersionLooksAtTheConfiguration runs the line in a clone: this repository is
// a sample of one.
func TestTheNewVersionLooksAtTheConfiguration(t *testing.T) {
	said := bash(t, root, strings.ReplaceAll(commands(t, "bin/rung validate", upgrades), "bin/rung", binary))
	if !strings.Contains(said, "rung.yaml holds") {
		t.Errorf("it says %s", said)
	}
}

// TestABinaryIsReplacedAndPutBack types both blocks. systemctl is a stand-in, because
// there is no init here: it tells which program the unit would start then.
func TestABinaryIsReplacedAndPutBack(t *testing.T) {
	unit := read(t, "deploy/systemd/rung.service")
	if !strings.Contains(unit, "\nExecStart=/usr/local/bin/rung serve\n") {
		t.Fatalf("the unit starts something else:\n%s", unit)
	}
	dir := t.TempDir()
	place := filepath.Join(dir, "local")
	newer, older := binary, "#!/bin/sh\necho the older one\n"
	write(t, filepath.Join(place, "rung"), older)
	standIn(t, dir, "sudo", `exec "$@"`)
	standIn(t, dir, "systemctl", `[ "$*" = "restart rung" ] && cmp -s "`+place+`/rung" "`+newer+`" && echo newer || cat "`+place+`/rung"`)
	types := func(words string) string {
		t.Helper()
		lines := strings.NewReplacer("/usr/local/bin", place, "bin/rung", newer).Replace(commands(t, words, upgrades))
		return bash(t, dir, lines, "PATH="+dir+":"+os.Getenv("PATH"))
	}
	if said := types("cp -p"); said != "newer\n" {
		t.Errorf("forward: the service is\n%s", said)
	}
	if said := types("rung.previous /usr"); said != older {
		t.Errorf("back: the service is\n%s", said)
	}
	info, err := os.Stat(filepath.Join(place, "rung"))
	if err != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("the binary is %v, %v", info, err)
	}
}

// TestContainersAndPodsAreReplacedAndPutBack types the blocks with stand-ins for docker
// and kubectl, because there is no daemon and no cluster here, and holds what was asked
// of them to the files of deploy.
func TestContainersAndPodsAreReplacedAndPutBack(t *testing.T) {
	dir := t.TempDir()
	log := filepath.Join(dir, "log")
	for _, program := range []string{"docker", "kubectl"} {
		standIn(t, dir, program, `echo "`+program+` $*" >> "`+log+`"`)
	}
	types := func(words string) []string {
		t.Helper()
		write(t, log, "")
		bash(t, root, commands(t, words, upgrades), "PATH="+dir+":"+os.Getenv("PATH"))
		said, err := os.ReadFile(log) // #nosec G304 -- the test's own
		if err != nil {
			t.Fatal(err)
		}
		return strings.Split(strings.TrimSpace(string(said)), "\n")
	}
	var compose struct {
		Services map[string]struct {
			Image string
			Build struct{ Context string }
		}
	}
	parse(t, "deploy/compose/compose.yaml", &compose)
	service := compose.Services["rung"]
	if service.Build.Context == "" {
		t.Error("compose builds nothing")
	}
	const file = "docker compose -f deploy/compose/compose.yaml "
	same(t, types("compose.yaml build"), "docker tag "+service.Image+" "+service.Image+":previous", file+"build", file+"up --detach")
	same(t, types("rung:previous rung"), "docker tag "+service.Image+":previous "+service.Image, file+"up --detach")

	var pod struct {
		Metadata struct{ Name string }
		Spec     struct {
			Strategy struct{ Type string }
			Template struct {
				Spec struct {
					TerminationGracePeriodSeconds int `yaml:"terminationGracePeriodSeconds"`
					Containers                    []struct{ Name, Image string }
				}
			}
		}
	}
	var all struct{ Namespace string }
	parse(t, "deploy/kubernetes/deployment.yaml", &pod)
	parse(t, "deploy/kubernetes/kustomization.yaml", &all)
	spec := pod.Spec.Template.Spec
	if pod.Spec.Strategy.Type != "Recreate" || spec.TerminationGracePeriodSeconds >= 600 {
		t.Errorf("old and new would run together, or the line gives up too early: %+v", pod.Spec)
	}
	image, _, _ := strings.Cut(spec.Containers[0].Image, ":")
	kubectl := "kubectl --namespace " + all.Namespace + " "
	status := kubectl + "rollout status deployment/" + pod.Metadata.Name + " --timeout 10m"
	same(t, types("set image"), kubectl+"set image deployment/"+pod.Metadata.Name+" "+spec.Containers[0].Name+"="+image+":1.3.0", status)
	same(t, types("rollout undo"), kubectl+"rollout undo deployment/"+pod.Metadata.Name, status)
}

func same(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("typed:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// standIn puts a program of a few lines where PATH finds it first.
func standIn(t *testing.T, dir, name, lines string) {
	t.Helper()
	write(t, filepath.Join(dir, name), "#!/bin/sh\n"+lines+"\n")
}

func write(t *testing.T, path, text string) {
	t.Helper()
	err := os.MkdirAll(filepath.Dir(path), 0o750)
	if err == nil {
		err = os.WriteFile(path, []byte(text), 0o700) // #nosec G306 -- programs
	}
	if err != nil {
		t.Fatal(err)
	}
}

func parse(t *testing.T, path string, into any) {
	t.Helper()
	if err := yaml.Unmarshal([]byte(read(t, path)), into); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}
