package manifest

import (
	"fmt"
	"strings"

	"github.com/rungbot/rung/internal/lazyregexp"
	"github.com/rungbot/rung/internal/promotion"
)

var (
	registryGrammar  = lazyregexp.New(`^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9]{1,5})?$`)
	imagePathGrammar = lazyregexp.New(`^[a-z0-9]+([._-]+[a-z0-9]+)*(/[a-z0-9]+([._-]+[a-z0-9]+)*)*$`)
	tagGrammar       = lazyregexp.New(`^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$`)
)

const (
	dockerHub      = "docker.io"
	maxImageLength = 512
)

// repository brings an image's repository to one form, registry/path: Docker
// Hub's short names are spelt out and the registry is in lower case. It
// reports false for what is no repository, such as one with a tag.
func repository(s string) (string, bool) {
	if s == "" || len(s) > maxImageLength {
		return "", false
	}
	registry, rest, ok := strings.Cut(s, "/")
	if !ok || !strings.ContainsAny(registry, ".:") && registry != "localhost" {
		registry, rest = dockerHub, s
	}
	registry = strings.ToLower(registry)
	if registry == "index.docker.io" || registry == "registry-1.docker.io" {
		registry = dockerHub
	}
	if registry == dockerHub && !strings.Contains(rest, "/") {
		rest = "library/" + rest
	}
	if !registryGrammar.MatchString(registry) || !imagePathGrammar.MatchString(rest) {
		return "", false
	}
	return registry + "/" + rest, true
}

// SameImage reports whether two names are the same repository, as Find compares
// them.
func SameImage(a, b string) bool {
	x, ok := repository(a)
	y, also := repository(b)
	return ok && also && x == y
}

// reference is an image reference in its parts, as written. tail is where
// ":tag" or "@digest" begins; a reference with neither is bare.
type reference struct {
	repo        string // as repository gives it
	tag, digest string
	tail        int
}

// splitReference takes repo[:tag][@digest] apart without judging tag and digest.
func splitReference(s string) (reference, bool) {
	if len(s) > 2*maxImageLength {
		return reference{}, false
	}
	name, digest, hasDigest := strings.Cut(s, "@")
	r := reference{digest: digest, tail: len(name)}
	if i := strings.LastIndexByte(name, ':'); i > strings.LastIndexByte(name, '/') {
		r.tag, r.tail = name[i+1:], i
		if r.tag == "" {
			return reference{}, false
		}
	}
	if hasDigest && digest == "" {
		return reference{}, false
	}
	var ok bool
	r.repo, ok = repository(name[:r.tail])
	return r, ok
}

// tagged reads "tag", "tag@digest" or "@digest" strictly.
func tagged(tag, digest string) (promotion.Value, error) {
	var v promotion.Value
	if tag != "" {
		if !tagGrammar.MatchString(tag) {
			return v, fmt.Errorf("%s is not a tag of an image: write one, such as 1.4.2", quote(tag))
		}
		v.Version = promotion.Version(tag)
	}
	if digest != "" {
		d, err := promotion.ParseDigest(digest)
		if err != nil {
			return v, err
		}
		v.Digest = d
	}
	return v, nil
}

// templated reports whether a value is filled in by something else later:
// Helm, Flux's or a shell's substitution.
func templated(s string) bool {
	return strings.Contains(s, "{{") || strings.Contains(s, "${") || strings.Contains(s, "$(")
}

// target is an Artifact made ready for comparing.
type target struct {
	name  promotion.Artifact
	image string // as configured
	repo  string // normalized
	path  string // repo without registry
	last  string // last part of path
}

func targets(artifacts []Artifact) ([]target, error) {
	ts := make([]target, 0, len(artifacts))
	for _, a := range artifacts {
		repo, ok := repository(a.Image)
		if !ok {
			return nil, fmt.Errorf("%s, the image of %s, is not a repository: write it without tag and digest, such as ghcr.io/acme/checkout", quote(a.Image), quote(string(a.Name)))
		}
		if _, err := promotion.ParseArtifact(string(a.Name)); err != nil {
			return nil, err
		}
		_, path, _ := strings.Cut(repo, "/")
		ts = append(ts, target{
			name: a.Name, image: a.Image, repo: repo, path: path,
			last: lastPart(path),
		})
	}
	return ts, nil
}

// mentions finds where text names the target's repository, with or without
// its registry; -1 when it doesn't. A repository of one word counts only when a
// tag or digest follows. versioned asks for a tag or digest in every case.
func (t target) mentions(text string, versioned bool) int {
	path := strings.TrimPrefix(t.path, "library/")
	for from := 0; ; {
		i := strings.Index(text[from:], path)
		if i < 0 {
			return -1
		}
		i += from
		end := i + len(path)
		from = end
		if i > 0 && isNameByte(text[i-1]) && text[i-1] != '/' {
			continue
		}
		if end < len(text) && (isNameByte(text[end]) || text[end] == '/') {
			continue
		}
		if !versioned && strings.Contains(path, "/") || followedByVersion(text[end:]) {
			return i
		}
	}
}

func followedByVersion(s string) bool {
	if strings.HasPrefix(s, "@sha") {
		return true
	}
	return len(s) > 1 && s[0] == ':' && (isNameByte(s[1]) && s[1] != '.' && s[1] != '-' && s[1] != '/' || s[1] >= 'A' && s[1] <= 'Z')
}

func isNameByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '_' || c == '-' || c == '.' || c == '/'
}
