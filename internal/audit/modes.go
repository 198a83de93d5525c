package audit

import (
	"github.com/rungbot/rung/internal/disguise"
	"github.com/rungbot/rung/internal/promotion"
)

// disguised finds what a step puts under the environments that is read otherwise
// than it looks: a link or a submodule, whose content is elsewhere; a file with
// versions in it that was made executable; and a path that some file systems
// take for another one beside it.
func (b *baseWalk) disguised(s step, changes []change, p *promotion.Pipeline) error {
	var added []string
	for _, ch := range changes {
		if ch.after == (entry{}) || !disguise.Near(ch.path, p) {
			continue
		}
		text, err := b.mode(ch, p)
		if err != nil {
			return err
		}
		if text != "" {
			b.find(Finding{Code: TreeMode, Object: s.after.id.String(), Environment: environmentName(ch.path, p), Expected: "a plain file", Found: clip(ch.path + " is " + text)})
		}
		if ch.before == (entry{}) {
			added = append(added, ch.path)
		}
	}
	return b.aliases(s, added, p)
}

// mode says what a changed path became that no environment's file should be, or
// nothing.
func (b *baseWalk) mode(ch change, p *promotion.Pipeline) (string, error) {
	what := disguise.Mode(ch.before.mode, ch.after.mode)
	if what != disguise.Executable {
		return what, nil
	}
	if environmentOf(ch.path, p) == nil {
		return "", nil
	}
	if found, err := b.places(ch.path, ch.after, p); err != nil || len(found) == 0 {
		return "", err
	}
	return what, nil
}

// aliases finds added paths that fold to the same as a neighbour's.
func (b *baseWalk) aliases(s step, added []string, p *promotion.Pipeline) error {
	for _, dir := range disguise.Directories(added) {
		at := entry{mode: modeTree, id: s.after.tree}
		if dir != "" {
			var err error
			if at, err = b.lookup(s.after.tree, dir); err != nil {
				return err
			}
		}
		if at.mode != modeTree {
			continue
		}
		entries, err := b.tree(at.id)
		if err != nil {
			return err
		}
		names := make([]string, len(entries))
		for i, e := range entries {
			names[i] = e.name
		}
		for _, twins := range disguise.Twins(dir, names, added) {
			b.find(Finding{
				Code: PathAlias, Object: s.after.id.String(), Environment: environmentName(twins[0], p), Expected: "paths that differ on every file system",
				Found: clip(twins[1] + " beside " + twins[0]),
			})
		}
	}
	return nil
}

// environmentName is the environment that a path is under, or nothing.
func environmentName(path string, p *promotion.Pipeline) promotion.Environment {
	if e := environmentOf(path, p); e != nil {
		return e.Name
	}
	return ""
}
