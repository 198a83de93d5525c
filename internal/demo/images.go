package demo

import (
	"context"
	"fmt"
	"hash/fnv"
	"io"
	"log"
	"math/rand"
	"net/http"
	"sync"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/rungbot/rung/internal/promotion"
)

// images is the OCI registry of a World, and what was pushed to it.
type images struct {
	handler http.Handler
	seed    uint64

	mu     sync.Mutex
	pushed map[string]v1.Image // by reference, repository:tag
}

func newImages(seed uint64) *images {
	if seed == 0 {
		seed = rand.Uint64() // #nosec G404 -- images need not be secret
	}
	return &images{handler: registry.New(registry.Logger(log.New(io.Discard, "", 0))), seed: seed, pushed: map[string]v1.Image{}}
}

// push publishes the content named by build under a tag and returns its
// digest. The same content under another tag has the same digest.
func (i *images) push(ctx context.Context, repository string, tag, build promotion.Version) (promotion.Digest, error) {
	ref, err := name.NewTag(repository+":"+string(tag), name.Insecure, name.StrictValidation)
	if err != nil {
		return "", fmt.Errorf("publish %s %s: %w", repository, tag, err)
	}
	image, err := i.image(ref.RepositoryStr(), build)
	if err != nil {
		return "", err
	}
	if err := remote.Write(ref, image, remote.WithContext(ctx)); err != nil {
		return "", fmt.Errorf("publish %s: %w", ref, err)
	}
	digest, err := image.Digest()
	if err != nil {
		return "", err
	}
	return promotion.ParseDigest(digest.String())
}

// image is a small image of random bytes that the seed decides.
func (i *images) image(repository string, build promotion.Version) (v1.Image, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	key := repository + ":" + string(build)
	if image := i.pushed[key]; image != nil {
		return image, nil
	}
	h := fnv.New64a()
	_, _ = fmt.Fprintf(h, "%d %s", i.seed, key)
	image, err := random.Image(1024, 1, random.WithSource(rand.NewSource(int64(h.Sum64())))) // #nosec G404,G115 -- images need not be secret
	if err == nil {
		i.pushed[key] = image
	}
	return image, err
}

// Publish builds a version of an artifact, pushes it to the registry and lets
// carol's build announce it, from the artifact's own repository. A bad one
// works in dev and staging and fails wherever it goes after that. It returns
// the digest.
func (w *World) Publish(ctx context.Context, artifact promotion.Artifact, version promotion.Version, bad bool) (promotion.Digest, error) {
	digest, err := w.Push(ctx, artifact, version, version)
	if err != nil {
		return "", err
	}
	if bad {
		w.Break(digest, "canary", "prod-eu", "prod-us")
	}
	return digest, w.Announce(artifact, version, digest)
}

// Push pushes an image without announcing it: build names the content, so that
// a version pushed again under another tag has the digest it had.
func (w *World) Push(ctx context.Context, artifact promotion.Artifact, tag, build promotion.Version) (promotion.Digest, error) {
	return w.images.push(ctx, w.image(artifact), tag, build)
}

// Announce sends the repository_dispatch of a build that carol started, from
// the artifact's own repository.
func (w *World) Announce(artifact promotion.Artifact, version promotion.Version, digest promotion.Digest) error {
	return w.emulator.Dispatch("acme/"+string(artifact), Carol, "artifact-published",
		map[string]any{"artifact": artifact, "version": version, "digest": digest})
}

// Break makes an artifact fail its health probes from now on wherever it runs,
// or in the environments named. Mend ends that.
func (w *World) Break(digest promotion.Digest, environments ...promotion.Environment) {
	w.apps.breakDown(digest, environments)
}

// Mend makes an artifact healthy again.
func (w *World) Mend(digest promotion.Digest) { w.apps.mend(digest) }
