package pipeline

import (
	"strings"
	"time"

	"github.com/rungbot/rung/internal/promotion"
)

// readArtifacts takes the artifacts of all files, the first of a name.
func (b *builder) readArtifacts() {
	images := map[string]*artifact{}
	for _, s := range b.sources {
		for i := range s.file.Artifacts {
			key, file := s.file.Artifacts[i].Key, &s.file.Artifacts[i].Value
			name, err := promotion.ParseArtifact(key.Value)
			if err != nil {
				b.report(key.At, "artifacts: %v", err)
				continue
			}
			if first, twice := b.artifacts[name]; twice {
				b.report(key.At, "artifact %s is already defined at %s", name, first.at)
				continue
			}
			if len(b.artifacts) == maxArtifacts {
				b.report(key.At, "there are more than %d artifacts", maxArtifacts)
				return
			}
			a := &artifact{at: key.At, source: s, spec: promotion.ArtifactSpec{Name: name}}
			b.artifacts[name] = a
			s.artifacts = append(s.artifacts, name)
			b.readArtifact(a, file, images)
		}
	}
}

func (b *builder) readArtifact(a *artifact, file *artifactFile, images map[string]*artifact) {
	if file.Image.written() {
		if err := checkImage(file.Image.Value); err != nil {
			b.report(file.Image.At, "artifacts.%s.image: %v", a.spec.Name, err)
		} else if first, twice := images[sameImage(file.Image.Value)]; twice {
			b.report(file.Image.At, "artifacts.%s.image: artifact %s at %s has the same image; a place in a manifest would belong to both", a.spec.Name, first.spec.Name, first.at)
		} else {
			a.spec.Image = file.Image.Value
			images[sameImage(a.spec.Image)] = a
		}
	}
	seen := map[string]bool{}
	for _, p := range file.Publishers.Value {
		if err := checkRepositoryName(p.Value); err != nil {
			b.reportSet(p, "artifacts.%s.publishers: %v", a.spec.Name, err)
		} else if lower := strings.ToLower(p.Value); seen[lower] {
			b.report(p.At, "artifacts.%s.publishers: %s is listed twice", a.spec.Name, quote(p.Value))
		} else {
			seen[lower] = true
			a.spec.Publishers = append(a.spec.Publishers, p.Value)
		}
	}
	a.spec.Versions = promotion.VersionRule{Range: file.Versions.Range}
	at := file.Versions.At
	if rule := file.Versions.Rule; rule != nil {
		a.spec.Versions = promotion.VersionRule{Regex: rule.Regex.Value, Order: rule.Order.Value}
		if rule.Regex.written() {
			at = rule.Regex.At
		}
	}
	if _, err := CompileVersions(a.spec.Versions); err != nil {
		if file.Versions.Rule == nil || file.Versions.Rule.Regex.written() { // a missing regex is reported already
			b.report(at, "artifacts.%s.versions: %v", a.spec.Name, err)
		}
		a.spec.Versions = noVersion
	}
	if file.Repository.written() {
		address, err := checkRepositoryURL(file.Repository.Value)
		if err != nil {
			b.report(file.Repository.At, "artifacts.%s.repository: %v", a.spec.Name, err)
		}
		a.spec.Repository = address
	}
	a.spec.Poll = time.Duration(file.Poll.Value)
}

// sameImage is one form for the names that Docker Hub gives one repository.
func sameImage(image string) string {
	host, rest, _ := strings.Cut(image, "/")
	if host == "index.docker.io" || host == "registry-1.docker.io" {
		host = "docker.io"
	}
	if host == "docker.io" && !strings.Contains(rest, "/") {
		rest = "library/" + rest
	}
	return host + "/" + rest
}

// reportSet reports an error at an item, unless the item itself was faulty and
// is reported already.
func (b *builder) reportSet(item located[string], format string, args ...any) {
	if item.written() {
		b.report(item.At, format, args...)
	}
}
