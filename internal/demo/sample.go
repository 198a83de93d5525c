package demo

import (
	"context"
	"fmt"
	"io/fs"
	"strings"

	"github.com/rungbot/rung"
	"github.com/rungbot/rung/internal/manifest"
	"github.com/rungbot/rung/internal/promotion"
)

// initialVersions are the versions that the sample repository begins with, in
// every environment.
var initialVersions = map[promotion.Artifact]promotion.Version{"checkout": "1.0.0", "cart": "2.0.0", "worker": "0.3.0"}

// image is an artifact's image in this world's registry.
func (w *World) image(artifact promotion.Artifact) string {
	return w.RegistryHost + "/acme/" + string(artifact)
}

// artifacts are what the applications look for.
func (w *World) artifacts() []manifest.Artifact {
	var all []manifest.Artifact
	for name := range initialVersions {
		all = append(all, manifest.Artifact{Name: name, Image: w.image(name)})
	}
	return all
}

// sample is the sample repository as this world begins with it: its hosts are
// this world's, its versions published and pinned.
func (w *World) sample(ctx context.Context) (map[string]string, error) {
	hosts := strings.NewReplacer(
		"registry.example.com", w.RegistryHost,
		"http://apps.example.com", w.AppsURL,
		"https://github.com/acme/", w.GitHubURL+"/acme/",
	)
	files := map[string]string{}
	err := fs.WalkDir(rung.Sample, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := fs.ReadFile(rung.Sample, path)
		files[path] = hosts.Replace(string(data))
		return err
	})
	if err != nil {
		return nil, err
	}
	if w.options.Files != nil {
		w.options.Files(files)
	}
	for artifact, version := range initialVersions {
		digest, err := w.images.push(ctx, w.image(artifact), version, version)
		if err != nil {
			return nil, err
		}
		if err := pin(files, manifest.Artifact{Name: artifact, Image: w.image(artifact)}, promotion.Value{Version: version, Digest: digest}); err != nil {
			return nil, err
		}
	}
	return files, nil
}

// pin writes an initial version's digest wherever that version stands.
func pin(files map[string]string, artifact manifest.Artifact, to promotion.Value) error {
	for path, text := range files {
		if !strings.HasPrefix(path, "environments/") {
			continue
		}
		places, err := manifest.PlacesIn(path, []byte(text), []manifest.Artifact{artifact})
		if err != nil {
			return fmt.Errorf("the sample repository: %w", err)
		}
		if len(places) == 0 || places[0].Value != (promotion.Value{Version: to.Version}) {
			continue
		}
		edited, _, err := manifest.Edit(path, []byte(text), artifact, to, manifest.PinDigest)
		if err != nil {
			return fmt.Errorf("the sample repository: %w", err)
		}
		files[path] = string(edited)
	}
	return nil
}
