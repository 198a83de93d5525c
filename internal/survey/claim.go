package survey

import (
	"path"
	"slices"
	"strings"
)

// claim is what a path says of the environment that it belongs to.
type claim struct {
	// name is the environment's, as far as the path tells it.
	name string
	word word
	// regions are those of the name and of the directory beside it.
	regions []string
	// entry is the directory or file that is the environment's; parts are its
	// parts, at the index of the one that names the stage.
	entry string
	parts []string
	at    int
	// region is the index of a part that names a region by itself, or -1.
	region int
	// file is true where the entry is a file.
	file bool
	// weak is true where the word means a stage only by its company.
	weak bool
}

// shape is the entry with the environment's own words left out: what entries of
// one layout have in common.
func (c *claim) shape() string {
	parts := slices.Clone(c.parts)
	parts[c.at] = "<stage>"
	if c.file {
		rest := slices.DeleteFunc(slices.Clone(c.word.rest), func(t string) bool { return slices.Contains(c.regions, t) })
		if c.at == len(parts)-1 {
			parts[c.at] = strings.Join(append(rest, "<stage>"), "-") + path.Ext(c.parts[c.at])
		}
	}
	if c.region >= 0 {
		parts[c.region] = "<region>"
	}
	return strings.Join(parts, "/")
}

// reader reads paths. apps are the names of applications, which are no part of an
// environment's name.
type reader struct {
	apps map[string]bool
}

func (r reader) isApp(token string) bool { return r.apps[token] }

// claim reads a file's path. ok is false when it says no environment; two is what
// else it says when it speaks of two.
func (r reader) claim(file string) (c claim, two string, ok bool) {
	parts := strings.Split(file, "/")
	words := make([]word, len(parts))
	for i, part := range parts {
		if i == len(parts)-1 {
			part = strings.TrimSuffix(part, path.Ext(part))
		}
		words[i] = r.read(part, i == len(parts)-1)
	}
	at := -1
	for _, says := range []func(*word) bool{(*word).sure, (*word).exact, (*word).vague} {
		if at = slices.IndexFunc(words, func(w word) bool { return says(&w) }); at >= 0 {
			break
		}
	}
	if at < 0 {
		return claim{}, "", false
	}
	for i := at + 1; i < len(words); i++ {
		if words[at].sure() && words[i].sure() && words[i].canonical != words[at].canonical {
			return claim{}, parts[i], false
		}
	}
	return r.settle(parts, words, at), "", true
}

// read takes a part apart. What is about an application, or about a file as such, is
// left out.
func (r reader) read(part string, file bool) word {
	w := takeApart(part)
	if r.isApp(strings.Join(w.rest, "-")) {
		return w.without(func(string) bool { return true })
	}
	return w.without(func(token string) bool {
		return r.isApp(token) || file && slices.Contains(fileWords, token)
	})
}

// settle makes the claim of the part that names the stage.
func (r reader) settle(parts []string, words []word, at int) claim {
	c := claim{word: words[at], at: at, region: -1, regions: slices.Clone(words[at].regions), weak: !words[at].stage.plain}
	last := len(parts) - 1
	c.file = at == last
	end := at
	if len(c.regions) == 0 {
		switch {
		case at+1 <= last && words[at+1].isRegion():
			c.region, end = at+1, at+1
			c.file = c.file || at+1 == last
		case at > 0 && words[at-1].isRegion() && !r.isApp(parts[at-1]):
			c.region = at - 1
		case !c.file && last > at+1 && words[last].isRegion():
			c.region, end, c.file = last, last, true
		}
	}
	if c.region >= 0 {
		c.regions = words[c.region].tokens
	}
	if c.file {
		end = last
	}
	c.parts = parts[:end+1]
	c.entry = strings.Join(c.parts, "/")
	c.name = c.call()
	return c
}

// call makes the environment's name.
func (c *claim) call() string {
	tokens := c.word.tokens
	if c.file && c.at == len(c.parts)-1 {
		tokens = slices.DeleteFunc(slices.Clone(tokens), func(t string) bool { return slices.Contains(c.word.rest, t) })
	}
	if c.region >= 0 {
		tokens = append(slices.Clone(tokens), c.regions...)
	}
	return clean(strings.Join(tokens, "-"))
}

// beside takes the directory before the stage's for a region, whatever it is called.
func (c *claim) beside() {
	if c.at > 0 {
		c.region = c.at - 1
		c.regions = []string{clean(c.parts[c.region])}
		c.name = clean(c.name + "-" + c.parts[c.region])
	}
}

// clean makes a name of rung.yaml: a-z, 0-9 and -, at most 41 of them.
func clean(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		}
		return '-'
	}, s)
	s = strings.Trim(s, "-")
	for strings.Contains(s, "--") {
		s = strings.ReplaceAll(s, "--", "-")
	}
	if len(s) > 41 {
		s = strings.Trim(s[:41], "-")
	}
	return s
}
