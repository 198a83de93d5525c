package survey

import (
	"slices"
	"strconv"
	"strings"

	"github.com/rungbot/rung/internal/lazyregexp"
)

// stage is a step on the way to production.
type stage struct {
	// rank orders stages; lower ones come first.
	rank int
	// plain is true for words that mean a stage wherever they stand in a name; the
	// others count only when nothing else but regions and numbers stands beside them.
	plain bool
	// aside is true for stages that nothing climbs on from.
	aside bool
}

// stages are the words that name one.
var stages = map[string]stage{
	"sandbox": {5, false, true}, "sbx": {5, false, true}, "playground": {5, false, true}, "lab": {5, false, true}, "review": {5, false, true}, "preview": {5, false, true},
	"dev": {10, true, false}, "devel": {10, true, false}, "develop": {10, true, false}, "development": {10, true, false},
	"ci": {20, false, false}, "int": {20, false, false}, "integration": {20, false, false}, "sit": {20, false, false},
	"test": {30, false, false}, "tst": {30, false, false}, "testing": {30, false, false},
	"qa":   {40, true, false},
	"perf": {45, false, true}, "performance": {45, false, true}, "load": {45, false, true}, "loadtest": {45, false, true},
	"uat": {50, true, false}, "acc": {50, false, false}, "acceptance": {50, false, false},
	"nonprod": {55, true, false}, "nonproduction": {55, true, false},
	"stage": {60, true, false}, "staging": {60, true, false}, "stg": {60, true, false},
	"demo": {65, false, true}, "training": {65, false, true},
	"preprod": {70, true, false}, "preproduction": {70, true, false},
	"canary": {80, true, false},
	"prod":   {90, true, false}, "prd": {90, true, false}, "production": {90, true, false}, "live": {90, false, false},
	"dr": {95, false, true},
}

// alike are spellings of one stage, by the shortest.
var alike = map[string]string{
	"devel": "dev", "develop": "dev", "development": "dev", "integration": "int", "tst": "test", "testing": "test", "sbx": "sandbox",
	"performance": "perf", "acceptance": "acc", "nonproduction": "nonprod", "stg": "stage", "staging": "stage", "preproduction": "preprod",
	"prd": "prod", "production": "prod",
}

var (
	orderPrefix = lazyregexp.New(`^([0-9]{1,3})[-_.]+(.+)$`)
	wordNumber  = lazyregexp.New(`^([a-z]+)([0-9]{1,3})$`)
	digits      = lazyregexp.New(`^[0-9]{1,4}[a-z]?$`)
	separators  = lazyregexp.New(`[-_.]+`)
	region      = lazyregexp.New(`^(?:` +
		`(?:eu|us|na|sa|ap|af|emea|apac|amer|americas|latam|uk|gb|de|fr|nl|ie|ch|dk|fi|es|pl|jp|sg|au|nz|ca|br|kr|cn|hk|tw|za|ae|global|row)(?:[nsewc]{1,2}[0-9])?[0-9]{0,2}` +
		`|(?:asia|europe|africa|oceania|america|germany|france|japan|brazil|canada|india|australia|korea|us|uk|north|south|east|west|central){1,3}[0-9]{0,2}[a-z]?` +
		`|(?:cluster|region|zone|az|dc|c)[0-9]{0,3}|blue|green|primary|secondary)$`)
)

// fileWords are what files are called that are about an environment as a whole.
var fileWords = []string{
	"values", "kustomization", "helmrelease", "release", "application", "applications", "app", "apps", "images", "image", "config", "deployment",
	"overlay", "env", "environment", "versions", "version", "override", "overrides", "patch",
}

// word is a part of a path, taken apart.
type word struct {
	// order is the number that it begins with (10-dev), or -1.
	order int
	stage stage
	// canonical is the stage by its shortest spelling; empty for none.
	canonical string
	// number tells stages of one kind apart: dev1, dev-2.
	number string
	// regions are words for regions and clusters, rest everything else.
	regions, rest []string
	// tokens are all of them in their order, less the order's number.
	tokens []string
}

// takeApart reads a directory's name, or a file's without its extension.
func takeApart(part string) word {
	w := word{order: -1}
	part = strings.ToLower(part)
	if m := orderPrefix.FindStringSubmatch(part); m != nil {
		w.order, _ = strconv.Atoi(m[1]) // three digits at most
		part = m[2]
	}
	tokens := separators.Split(part, -1)
	for i := 0; i < len(tokens); i++ {
		token := tokens[i]
		if i+1 < len(tokens) && (token == "pre" || token == "non") {
			if _, known := stages[token+tokens[i+1]]; known {
				token += tokens[i+1]
				i++
			}
		}
		if token != "" {
			w.take(token)
			w.tokens = append(w.tokens, token)
		}
	}
	return w
}

// take sorts one token in.
func (w *word) take(token string) {
	name, number := token, ""
	if _, known := stages[token]; !known {
		if m := wordNumber.FindStringSubmatch(token); m != nil {
			name, number = m[1], m[2]
		}
	}
	s, known := stages[name]
	switch {
	case known && (w.canonical == "" || name == "canary" || w.canonical != "canary" && s.rank > w.stage.rank):
		w.stage, w.canonical, w.number = s, name, number
		if short, ok := alike[name]; ok {
			w.canonical = short
		}
	case known:
	case region.MatchString(token):
		w.regions = append(w.regions, token)
	case digits.MatchString(token) && (w.canonical != "" || len(w.regions) > 0):
		if len(w.regions) > 0 {
			w.regions = append(w.regions, token)
		} else {
			w.number = token
		}
	default:
		w.rest = append(w.rest, token)
	}
}

// exact reports whether it says an environment and nothing else.
func (w *word) exact() bool { return w.canonical != "" && len(w.rest) == 0 }

// sure reports whether it says an environment whatever stands around it.
func (w *word) sure() bool { return w.exact() && w.stage.plain }

// vague reports whether it says an environment beside something else.
func (w *word) vague() bool { return w.canonical != "" && len(w.rest) > 0 && w.stage.plain }

// isRegion reports whether it says a region or cluster and nothing else.
func (w *word) isRegion() bool { return w.canonical == "" && len(w.regions) > 0 && len(w.rest) == 0 }

// without is a copy without the tokens that are about an application.
func (w *word) without(drop func(token string) bool) word {
	c := *w
	c.rest = slices.DeleteFunc(slices.Clone(w.rest), drop)
	c.tokens = slices.DeleteFunc(slices.Clone(w.tokens), func(t string) bool { return slices.Contains(w.rest, t) && drop(t) })
	return c
}
