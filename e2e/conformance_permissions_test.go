//go:build conformance

package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	hub "github.com/rungbot/rung/internal/forge"
)

// TestPermissionsAreGitHubs: GitHub's description knows each permission that the App
// asks for, at that level, and says for each of its events that this permission is
// the one that belongs to it.
func TestPermissionsAreGitHubs(t *testing.T) {
	data, err := os.ReadFile(filepath.Join(packages, "openapi", "generated", "api.github.com.json"))
	if err != nil {
		t.Fatal(err)
	}
	var description struct {
		Webhooks map[string]struct {
			Post struct{ Summary, OperationID string }
		} `json:"x-webhooks"`
		Components struct {
			Schemas struct {
				Permissions struct {
					Properties map[string]struct{ Enum []string }
				} `json:"app-permissions"`
			}
		}
	}
	if err := json.Unmarshal(data, &description); err != nil {
		t.Fatal(err)
	}
	wants := map[string]string{} // by event
	belongs := regexp.MustCompile(`access for the "([^"]+)"(?: repository)? permission`)
	for _, w := range description.Webhooks {
		event, _, _ := strings.Cut(w.Post.OperationID, "/")
		if m := belongs.FindStringSubmatch(w.Post.Summary); m != nil {
			wants[strings.ReplaceAll(event, "-", "_")] = strings.ReplaceAll(strings.ToLower(strings.TrimPrefix(m[1], "Commit ")), " ", "_")
		}
	}
	for _, p := range hub.Permissions() {
		if levels := description.Components.Schemas.Permissions.Properties[p.Name].Enum; !slices.Contains(levels, p.Level) {
			t.Errorf("GitHub does not describe %s: %s, but %v", p.Name, p.Level, levels)
		}
		for _, e := range p.Events {
			if wants[e] != p.Name {
				t.Errorf("GitHub gives %s to those with %q, not with %s", e, wants[e], p.Name)
			}
		}
	}
}
