package survey

import (
	"fmt"
	"slices"
	"strings"

	"github.com/rungbot/rung/internal/lazyregexp"
	"github.com/rungbot/rung/internal/pipeline"
	"github.com/rungbot/rung/internal/promotion"
)

// Documentation is where every field of rung.yaml is described.
const Documentation = "https://github.com/rungbot/rung/blob/main/docs/configuration.md"

const head = `# yaml-language-server: $schema=` + SchemaFile + `
#
# Written by rung init from what it found in this repository. What is guessed says
# so: read it, correct it, and run rung validate. Every field is described in
# ` + Documentation + `
version: 1

# How far rung goes by itself. observe says what it would do and writes nothing but
# its check; propose opens pull requests that people merge; merge also merges them
# once every gate passes.
mode: observe

# What climbs. Where a version is written is found in the manifests, not configured
# here. Without versions: every semantic version that is no pre-release counts.
artifacts:
`

const middle = `
# The rungs. A version comes in where after is missing, and climbs on once all those
# that an environment stands after have held it in good health. What an environment
# asks for beside that (soak, health, approvals, policies) is for you to say.
environments:
`

// write is a whole rung.yaml.
func (l *ladder) write(s *Survey) string {
	var b strings.Builder
	b.WriteString(head)
	for i := range s.Artifacts {
		writeArtifact(&b, &s.Artifacts[i])
	}
	l.writeForeign(&b)
	b.WriteString(middle)
	for i := range s.Environments {
		writeEnvironment(&b, &s.Environments[i])
	}
	return b.String()
}

// add is what an existing rung.yaml lacks.
func (l *ladder) add(more *Survey) string {
	var b strings.Builder
	if len(more.Artifacts) > 0 {
		b.WriteString("artifacts:\n")
		for i := range more.Artifacts {
			writeArtifact(&b, &more.Artifacts[i])
		}
	}
	if len(more.Environments) > 0 {
		b.WriteString("environments:\n")
		for i := range more.Environments {
			writeEnvironment(&b, &more.Environments[i])
		}
	}
	return b.String()
}

func writeArtifact(b *strings.Builder, a *Artifact) {
	live := make([]string, len(a.Environments))
	for i, e := range a.Environments {
		live[i] = fmt.Sprintf("%s %s", e, orDigest(a.versions[i]))
	}
	fmt.Fprintf(b, "  %s: # %s\n    image: %s\n", scalar(string(a.Name)), strings.Join(live[:min(len(live), 6)], ", "), scalar(a.Image))
	if len(a.Publishers) > 0 {
		fmt.Fprintf(b, "    publishers: %s # a guess from the image's owner: the repository whose events announce a version\n", list(a.Publishers))
	}
	if odd := a.unmatched(); len(odd) > 0 {
		why, rule := ruleFor(odd[0])
		fmt.Fprintf(b, "    # %s %s\n    # versions: %s\n", odd[0], why, rule)
	}
}

var build = lazyregexp.New(`^([A-Za-z][A-Za-z_-]*[-_])[0-9]+$`)

// ruleFor says why a live version doesn't count, and what would let its like count.
func ruleFor(v promotion.Version) (why, rule string) {
	if pipeline.Matches(promotion.VersionRule{Range: ">=0.0.0-0"}, v) {
		return "is a pre-release, and as it is those don't count. To let them climb:", `">=0.0.0-0"`
	}
	if m := build.FindStringSubmatch(string(v)); m != nil {
		return "is no semantic version, and as it is only those climb. To let its like climb:", fmt.Sprintf(`{regex: "%s([0-9]+)", order: numeric}`, m[1])
	}
	return "is no semantic version, and as it is only those climb. Say which count, and their order, such as:", `{regex: "main-([0-9]+)", order: numeric}`
}

func orDigest(v promotion.Version) promotion.Version {
	if v == "" {
		return "(a digest)"
	}
	return v
}

// writeForeign lists images of others in comments.
func (l *ladder) writeForeign(b *strings.Builder) {
	found := map[string]*sight{}
	for i := range l.sights {
		at := &l.sights[i]
		if l.foreign[at.image] && found[at.image] == nil && l.at(at.file) != nil {
			found[at.image] = at
		}
	}
	if len(found) == 0 {
		return
	}
	b.WriteString("  # A guess: these are somebody else's, and don't climb. Uncomment what should.\n")
	names := nameImages(sortedKeys(found), nil)
	for _, image := range sortedKeys(found)[:min(len(found), 50)] {
		fmt.Fprintf(b, "  # %s: {image: %s} # %s\n", scalar(string(names[image])), scalar(image), found[image])
	}
	l.guess(fmt.Sprintf("%s for somebody else's, such as %s", count(len(found), "image is taken", "images are taken"), sortedKeys(found)[0]), "uncomment those in rung.yaml that should climb")
}

func writeEnvironment(b *strings.Builder, e *Environment) {
	standard := len(e.Paths) == 1 && e.Paths[0] == "environments/"+string(e.Name)
	if standard && len(e.After) == 0 {
		fmt.Fprintf(b, "  %s: {}\n", scalar(string(e.Name)))
		return
	}
	fmt.Fprintf(b, "  %s:\n", scalar(string(e.Name)))
	if len(e.After) > 0 {
		fmt.Fprintf(b, "    after: %s # a guess %s\n", list(e.After), e.Order)
	}
	switch {
	case standard:
	case len(e.Paths) == 1 && !e.listed:
		fmt.Fprintf(b, "    path: %s\n", scalar(e.Paths[0]))
	case len(e.Paths) == 1:
		fmt.Fprintf(b, "    paths: %s\n", list(e.Paths))
	default:
		b.WriteString("    paths:\n")
		for _, p := range e.Paths {
			fmt.Fprintf(b, "      - %s\n", scalar(p))
		}
	}
}

var plain = lazyregexp.New(`^[A-Za-z_][A-Za-z0-9._/-]*$`)

// scalar is a string in YAML, in quotes where it would be read as something else.
func scalar(s string) string {
	if plain.MatchString(s) && !slices.Contains([]string{"true", "false", "null", "yes", "no", "on", "off", "y", "n"}, strings.ToLower(s)) {
		return s
	}
	return fmt.Sprintf("%q", s)
}

func list[T ~string](items []T) string {
	words := make([]string, len(items))
	for i, item := range items {
		words[i] = scalar(string(item))
	}
	return "[" + strings.Join(words, ", ") + "]"
}
