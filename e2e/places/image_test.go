package places

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestTheImageIsTheMakefiles holds the Dockerfile to its promises, as far as that
// goes without Docker: it builds with make build and nothing else, with the Go
// that go.mod names, and what it keeps is the binary alone, on an empty image and
// for a user who is not root.
func TestTheImageIsTheMakefiles(t *testing.T) {
	read := func(name string) string {
		text, err := os.ReadFile(filepath.Join("..", "..", name))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	build, image, two := strings.Cut(read("Dockerfile"), "\nFROM scratch\n")
	if !two || strings.Contains(image, "\nFROM ") {
		t.Fatal("the last of two stages is not an empty image")
	}
	goes := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindStringSubmatch(read("go.mod"))
	if goes == nil || !strings.Contains(build, "\nFROM golang:"+goes[1]+" AS build\n") {
		t.Errorf("it is not built with the Go of go.mod, %v", goes)
	}
	made := 0
	for _, run := range regexp.MustCompile(`(?m)^RUN (.*)$`).FindAllStringSubmatch(build, -1) {
		for _, command := range strings.Split(run[1], " && ") {
			switch words := strings.Fields(command); {
			case strings.HasPrefix(command, "make build"):
				made++
			case strings.HasPrefix(command, "go mod download"), words[0] == "install":
			default:
				t.Errorf("%q is no step of the Makefile's", command)
			}
		}
	}
	if made != 1 {
		t.Errorf("make build is run %d times", made)
	}
	if !regexp.MustCompile(`(?m)^\tCGO_ENABLED=0 .* build `).MatchString(read("Makefile")) {
		t.Error("make build makes no static binary, which an empty image could not run")
	}
	for _, want := range []string{`(?m)^COPY --from=build /src/bin/rung /rung$`, `(?m)^ENTRYPOINT \["/rung"\]$`, `(?m)^USER [1-9][0-9]*:[1-9][0-9]*$`} {
		if !regexp.MustCompile(want).MatchString(image) {
			t.Errorf("the image has no line like %s", want)
		}
	}
	if strings.Contains(image, "RUN ") {
		t.Error("something is run in the empty image")
	}
}
