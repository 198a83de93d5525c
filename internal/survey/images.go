package survey

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/rungbot/rung/internal/lazyregexp"
	"github.com/rungbot/rung/internal/pipeline"
	"github.com/rungbot/rung/internal/promotion"
)

// Artifact is an image that climbs.
type Artifact struct {
	// Name is the one that it has in rung.yaml.
	Name promotion.Artifact `json:"name"`
	// Image is the repository of its image, with its registry.
	Image string `json:"image"`
	// Publishers are guessed from the image's owner on ghcr.io.
	Publishers []string `json:"publishers,omitempty"`
	// Environments are those that name it, in the order of the climb.
	Environments []promotion.Environment `json:"environments"`
	// versions are those that stand in the environments now.
	versions []promotion.Version
}

// public are registries where everybody's images lie side by side under their owner.
var public = []string{"ghcr.io", "docker.io", "quay.io", "registry.gitlab.com"}

// theirs begin images that run in many clusters and are promoted in few.
var theirs = []string{
	"docker.io/library/", "docker.io/bitnami/", "docker.io/grafana/", "docker.io/prom/", "docker.io/hashicorp/", "docker.io/rancher/", "docker.io/istio/", "docker.io/envoyproxy/", "docker.io/velero/",
	"registry.k8s.io/", "k8s.gcr.io/", "gcr.io/distroless/", "gcr.io/google-containers/", "gcr.io/istio-release/", "mcr.microsoft.com/", "public.ecr.aws/",
	"ghcr.io/fluxcd/", "ghcr.io/external-secrets/", "ghcr.io/kyverno/", "ghcr.io/stakater/", "ghcr.io/dexidp/", "quay.io/argoproj/", "quay.io/jetstack/", "quay.io/prometheus/", "quay.io/prometheus-operator/",
	"quay.io/metallb/", "quay.io/cilium/", "quay.io/oauth2-proxy/", "quay.io/kiwigrid/", "registry.opensource.zalan.do/",
}

// foreign are the images that are somebody else's, among all that were seen. owner is
// that of the repository, or empty.
func foreign(images []string, owner string) map[string]bool {
	out := map[string]bool{}
	owned := owner != "" && slices.ContainsFunc(images, func(i string) bool { return ownerOf(i) == strings.ToLower(owner) })
	for _, image := range images {
		host, _, _ := strings.Cut(image, "/")
		of := ownerOf(image)
		if slices.ContainsFunc(theirs, func(p string) bool { return strings.HasPrefix(image, p) }) ||
			owned && slices.Contains(public, host) && of != strings.ToLower(owner) {
			out[image] = true
		}
	}
	return out
}

func ownerOf(image string) string {
	parts := strings.Split(image, "/")
	if len(parts) < 3 {
		return ""
	}
	return parts[1]
}

func lastPart(image string) string { return image[strings.LastIndexByte(image, '/')+1:] }

// nameImages gives every image a name of its own: the one that is known, else its last
// part, with the part before it or a number where that is taken.
func nameImages(images []string, known map[string]promotion.Artifact) map[string]promotion.Artifact {
	byLast := map[string]int{}
	names := map[string]promotion.Artifact{}
	taken := map[string]bool{}
	for image, name := range known {
		names[image], taken[string(name)] = name, true
	}
	images = slices.DeleteFunc(slices.Clone(images), func(i string) bool { return names[i] != "" })
	for _, image := range images {
		byLast[clean(lastPart(image))]++
	}
	for _, image := range slices.Sorted(slices.Values(images)) {
		name := clean(lastPart(image))
		if byLast[name] > 1 || name == "" || taken[name] {
			parts := strings.Split(image, "/")
			name = clean(parts[max(len(parts)-2, 0)] + "-" + lastPart(image))
		}
		if name == "" {
			name = "image"
		}
		for base, n := name, 2; taken[name]; n++ {
			suffix := "-" + strconv.Itoa(n)
			name = base[:min(len(base), 41-len(suffix))] + suffix
		}
		taken[name] = true
		names[image] = promotion.Artifact(name)
	}
	return names
}

// publishers guesses whose events may announce a version: on ghcr.io a package
// belongs to its owner, and mostly comes from the repository of its name.
func publishers(image string) []string {
	parts := strings.Split(image, "/")
	if parts[0] != "ghcr.io" || len(parts) < 3 || !login.MatchString(parts[1]) {
		return nil
	}
	return []string{parts[1] + "/" + parts[2]}
}

var login = lazyregexp.New(`^[a-z0-9][a-z0-9_-]{0,38}$`)

// usable asks package pipeline whether rung.yaml may name an image.
func usable(image string) bool {
	file := fmt.Sprintf("version: 1\nartifacts:\n  it: {image: %q}\n", image)
	return len(pipeline.Load(map[string][]byte{pipeline.RootFile: []byte(file)}, pipeline.Options{}).Problems) == 0
}

// unmatched are the live versions of an artifact that the default rule, semantic
// versions, leaves out.
func (a *Artifact) unmatched() []promotion.Version {
	var out []promotion.Version
	for _, v := range a.versions {
		if !pipeline.Matches(promotion.VersionRule{}, v) && !slices.Contains(out, v) {
			out = append(out, v)
		}
	}
	slices.SortFunc(out, cmp.Compare[promotion.Version])
	return out
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
