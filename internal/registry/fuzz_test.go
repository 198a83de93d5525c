package registry

import (
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/rungbot/rung/internal/promotion"
)

func FuzzManifest(f *testing.F) {
	f.Add([]byte(`{"schemaVersion":2,"manifests":[{"digest":"sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"}]}`), true)
	f.Add([]byte(`{"schemaVersion":2,"config":{},"layers":[]}`), false)
	f.Add([]byte(`{"schemaVersion":2,"manifests":[],"layers":null}`), true)
	f.Fuzz(func(t *testing.T, manifest []byte, index bool) {
		kind := types.OCIManifestSchema1
		if index {
			kind = types.OCIImageIndex
		}
		children, err := childrenOf(manifest, kind)
		if err == nil && !index && children != nil {
			t.Error("an image with children")
		}
		for _, d := range children {
			if _, err := promotion.ParseDigest(string(d)); err != nil {
				t.Error(err)
			}
		}
		if _, err := promotion.ParseDigest(string(digestOf(manifest))); err != nil {
			t.Error(err)
		}
	})
}
