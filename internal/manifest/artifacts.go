package manifest

import "github.com/rungbot/rung/internal/promotion"

// Artifacts are a pipeline's artifacts, as Find and Apply look for them.
func Artifacts(p *promotion.Pipeline) []Artifact {
	all := make([]Artifact, len(p.Artifacts))
	for i, a := range p.Artifacts {
		all[i] = Artifact{Name: a.Name, Image: a.Image}
	}
	return all
}
