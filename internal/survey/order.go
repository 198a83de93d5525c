package survey

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// order guesses after whom each environment stands: by a file that lists them, by the
// numbers that their names begin with, or by what their names mean.
func (l *ladder) order() error {
	if done, err := l.orderFile(); done || err != nil {
		return err
	}
	numbered := len(l.envs) > 1
	for _, e := range l.envs {
		numbered = numbered && e.order >= 0
	}
	ranks := map[int][]*environment{}
	for _, name := range sortedKeys(l.envs) {
		e := l.envs[name]
		rank := e.stage.rank
		if numbered {
			rank = e.order
		}
		ranks[rank] = append(ranks[rank], e)
	}
	why := "from the names"
	if numbered {
		why = "from the numbers in the names"
	}
	var before []*environment
	for _, rank := range sortedKeys(ranks) {
		for _, e := range ranks[rank] {
			e.after = standsAfter(e, before)
			e.guess = why
		}
		onwards := slices.DeleteFunc(slices.Clone(ranks[rank]), func(e *environment) bool { return e.stage.aside && !numbered })
		if len(onwards) > 0 {
			before = onwards
		}
	}
	l.sayOrder(why)
	return nil
}

// sayOrder says what was guessed of the order.
func (l *ladder) sayOrder(why string) {
	if len(l.envs) < 2 {
		return
	}
	l.guess("the environments and their order are guessed "+why, "after: in each environment names those that must hold a version before it")
	byStage := map[string][]string{}
	for _, name := range sortedKeys(l.envs) {
		byStage[l.envs[name].canonical] = append(byStage[l.envs[name].canonical], name)
	}
	if list := byStage["prod"]; len(list) > 1 {
		l.guess(fmt.Sprintf("%s climb side by side", strings.Join(list, ", ")), fmt.Sprintf("to go one after the other, write after: [%s] in %s", list[0], list[1]))
	}
}

// standsAfter are those of the step before that speak of the same region, else those
// of no region, else all.
func standsAfter(e *environment, before []*environment) []string {
	var same, none, all []string
	for _, b := range before {
		all = append(all, b.name)
		switch {
		case len(b.regions) == 0 && b.number == "":
			none = append(none, b.name)
		case slices.Equal(b.regions, e.regions) && b.number == e.number:
			same = append(same, b.name)
		}
	}
	switch {
	case len(e.regions)+len(e.number) > 0 && len(same) > 0:
		return same
	case len(none) > 0:
		return none
	}
	return all
}

// orderFile reads a file that lists environments in their order, if there is one.
func (l *ladder) orderFile() (done bool, err error) {
	for _, f := range l.tree.Files {
		if !isOrderFile(path.Base(f.Path)) {
			continue
		}
		listed := listing(f.Path, f.Data)
		var known []string
		for _, name := range listed {
			if e := l.find(name); e != nil && !slices.Contains(known, e.name) {
				known = append(known, e.name)
			}
		}
		if len(known) < 2 || len(known) < len(listed) {
			continue
		}
		if len(known) < len(l.envs) {
			l.note(f.Path, 1, 1, fmt.Sprintf("lists %s, and not all environments that were found: it was not followed", strings.Join(known, ", ")))
			continue
		}
		for i, name := range known {
			if i > 0 {
				l.envs[name].after = []string{known[i-1]}
			}
			l.envs[name].guess = "from " + f.Path
		}
		l.guess("the order of the environments is taken from "+f.Path, "after: in each environment names those that must hold a version before it")
		return true, nil
	}
	return false, nil
}

// find is the environment of a name, as people write it.
func (l *ladder) find(name string) *environment {
	if e := l.envs[clean(name)]; e != nil {
		return e
	}
	w := takeApart(name)
	return l.envs[clean(strings.Join(w.tokens, "-"))]
}

const maxListed = 200

// listing reads names: a YAML list of names or of mappings with a name, at the root
// or under one key; or one name a line.
func listing(file string, data []byte) []string {
	if len(data) > 64<<10 {
		return nil
	}
	switch path.Ext(file) {
	case ".yaml", ".yml":
		return yamlListing(data)
	}
	var names []string
	for line := range strings.Lines(string(data)) {
		line, _, _ = strings.Cut(line, "#")
		if line = strings.TrimSpace(strings.TrimLeft(strings.TrimSpace(line), "-*0123456789.) ")); line == "" {
			continue
		}
		if names = append(names, line); len(names) > maxListed {
			return nil
		}
	}
	return names
}

func yamlListing(data []byte) (names []string) {
	defer func() {
		if recover() != nil { // hostile bytes that the parser's own recover misses
			names = nil
		}
	}()
	var doc yaml.Node
	if err := yaml.NewDecoder(bytes.NewReader(data)).Decode(&doc); err != nil || errors.Is(err, io.EOF) || len(doc.Content) != 1 {
		return nil
	}
	root := doc.Content[0]
	if root.Kind == yaml.MappingNode {
		var list *yaml.Node
		for i := 0; i+1 < len(root.Content); i += 2 {
			key, value := root.Content[i].Value, root.Content[i+1]
			if value.Kind == yaml.SequenceNode && slices.Contains([]string{"environments", "stages", "order", "promotion"}, key) {
				list = value
			}
		}
		root = list
	}
	if root == nil || root.Kind != yaml.SequenceNode || len(root.Content) > maxListed {
		return nil
	}
	for _, item := range root.Content {
		names = append(names, itemName(item))
	}
	return names
}

func itemName(item *yaml.Node) string {
	if item.Kind == yaml.ScalarNode {
		return item.Value
	}
	if item.Kind == yaml.MappingNode {
		for i := 0; i+1 < len(item.Content); i += 2 {
			if item.Content[i].Value == "name" && item.Content[i+1].Kind == yaml.ScalarNode {
				return item.Content[i+1].Value
			}
		}
	}
	return ""
}
