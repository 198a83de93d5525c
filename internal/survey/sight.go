package survey

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/rungbot/rung/internal/manifest"
	"github.com/rungbot/rung/internal/promotion"
)

// sight is a version of an image in a file: a place, or a version that only a mark
// would make one.
type sight struct {
	file         string
	line, column int
	image        string
	value        promotion.Value
	locator      string
	// loose is set where the line needs a mark first.
	loose bool
}

func (s *sight) String() string { return fmt.Sprintf("%s:%d", s.file, s.line) }

// scene is everything that a tree's files say of images.
type scene struct {
	tree  *Tree
	lists map[string]manifest.Listing
	// files are the manifests, sorted.
	files  []string
	sights []sight
	notes  []manifest.Note
	// existing is the configuration that there is, or nil.
	existing *promotion.Pipeline
	// names, foreign: see images.go.
	names   map[string]promotion.Artifact
	foreign map[string]bool
}

// see reads every manifest once.
func see(t *Tree) (*scene, error) {
	s := &scene{tree: t, lists: map[string]manifest.Listing{}, notes: slices.Clone(t.Notes)}
	for _, f := range t.Files {
		if !manifest.IsManifest(f.Path) || configuration(f.Path) || slices.Contains(ownersFiles, f.Path) {
			continue
		}
		s.files = append(s.files, f.Path)
		s.lists[f.Path] = manifest.All(f.Path, f.Data)
	}
	var err error
	if s.existing, err = t.existing(); err != nil {
		return nil, err
	}
	if err := s.collect(); err != nil {
		return nil, err
	}
	return s, s.judge()
}

// Limits of what is judged.
const (
	maxSights = 100_000
	maxImages = 5_000
	// maxLoose bounds the versions without an image, and the images that each of
	// them is compared with.
	maxLoose = 1_000
)

// collect gathers the sights, and what was not understood.
func (s *scene) collect() error {
	marked := map[promotion.Artifact]string{}
	named := map[string][]namedAt{}
	for _, file := range s.files {
		for _, i := range s.lists[file].Images {
			if i.Image != "" {
				marked[promotion.Artifact(clean(lastPart(i.Image)))] = i.Image
			}
		}
		for _, r := range s.lists[file].Repositories {
			if name := promotion.Artifact(clean(lastPart(r.Image))); r.Image != "" && marked[name] == "" {
				marked[name] = r.Image
			}
			if r.Image != "" && len(named[r.Under]) < maxLoose {
				named[r.Under] = append(named[r.Under], namedAt{r, strings.Split(path.Dir(file), "/")})
			}
		}
	}
	count := 0
	for _, file := range s.files {
		l := s.lists[file]
		for _, i := range l.Images {
			s.image(file, i, marked)
		}
		for _, t := range l.Loose {
			if count++; count <= maxLoose {
				s.loose(file, t, named[t.Under])
			}
		}
		if len(s.sights) > maxSights {
			return refuse("more than %d versions of images are written here: name the directories with the environments, such as rung init --under environments", maxSights)
		}
	}
	return nil
}

// namedAt is an image named in some values, with the directory of its file.
type namedAt struct {
	manifest.ImageName
	dir []string
}

func (s *scene) image(file string, i manifest.ImagePlace, marked map[promotion.Artifact]string) {
	image := i.Image
	if i.Mark != "" && marked[i.Mark] != "" {
		image = marked[i.Mark]
	}
	if image == "" {
		return
	}
	s.sights = append(s.sights, sight{file: file, line: i.Line, column: i.Column, image: image, value: i.Place.Value, locator: i.Place.Locator})
}

func (s *scene) note(file string, line, column int, text string) {
	s.notes = append(s.notes, manifest.Note{Path: file, Line: line, Column: column, Text: text})
}

// loose finds out whose a version without an image is: an image that is named at the
// same place of other values, of all these the one whose file is nearest.
func (s *scene) loose(file string, t manifest.LooseTag, named []namedAt) {
	best, images := -1, []string{}
	about := subjects(file)
	for i := range named {
		switch near := nearness(path.Dir(file), about, t, &named[i]); {
		case near > best:
			best, images = near, []string{named[i].Image}
		case near == best && !slices.Contains(images, named[i].Image):
			images = append(images, named[i].Image)
		}
	}
	if len(images) != 1 {
		if s.speaks(file) {
			s.note(file, t.Line, t.Column, fmt.Sprintf("%s is the version of an image that this file doesn't name: if it is one that climbs, end the line with `# rung: NAME` and give the artifact NAME its image in rung.yaml", quote(t.Value)))
		}
		return
	}
	if !t.Markable {
		s.note(file, t.Line, t.Column, fmt.Sprintf("%s is the version of %s, but other values follow on its line: write it on a line of its own that ends with `# rung: %s`", quote(t.Value), images[0], clean(lastPart(images[0]))))
		return
	}
	version, _, _ := strings.Cut(t.Value, "@")
	s.sights = append(s.sights, sight{file: file, line: t.Line, column: t.Column, image: images[0], value: promotion.Value{Version: promotion.Version(version)}, loose: true})
}

// speaks reports whether a path says an environment, whatever its applications.
func (s *scene) speaks(file string) bool {
	_, two, ok := reader{}.claim(file)
	return ok || two != ""
}

// subjects are the words of a path that may be an application's name.
func subjects(file string) map[string]bool {
	about := map[string]bool{}
	for part := range strings.SplitSeq(file, "/") {
		part = strings.TrimSuffix(part, path.Ext(part))
		w := takeApart(part)
		about[clean(part)], about[strings.Join(w.rest, "-")] = true, true
		for _, token := range w.rest {
			about[token] = true
		}
	}
	return about
}

// nearness is larger the more a version has to do with an image named elsewhere.
func nearness(dir string, about map[string]bool, t manifest.LooseTag, r *namedAt) int {
	n := 0
	for _, part := range r.dir {
		here, rest, _ := strings.Cut(dir, "/")
		if part != here {
			break
		}
		n += 10
		dir = rest
	}
	if strings.Contains(t.Document, "/") && t.Document == r.Document {
		n += 1000
	}
	if about[clean(lastPart(r.Image))] {
		n += 5
	}
	return n
}

// judge tells the images that climb from those of others, and names the former.
func (s *scene) judge() error {
	seen := map[string]bool{}
	for _, at := range s.sights {
		if len(seen) > maxImages {
			return refuse("more than %d images are named here: name the directories with the environments, such as rung init --under environments", maxImages)
		}
		if !seen[at.image] && !usable(at.image) {
			s.note(at.file, at.line, at.column, fmt.Sprintf("%s is an image's name that rung.yaml doesn't take", quote(at.image)))
		}
		seen[at.image] = true
	}
	all := sortedKeys(seen)
	s.foreign = foreign(all, s.tree.Owner)
	known := map[string]promotion.Artifact{}
	for _, image := range all {
		if name := s.configured(image); name != "" {
			known[image] = name
			delete(s.foreign, image)
		}
	}
	ours := slices.DeleteFunc(slices.Clone(all), func(i string) bool { return s.foreign[i] || !usable(i) })
	if len(ours) == 0 { // then they are what this repository is about
		s.foreign = map[string]bool{}
		ours = slices.DeleteFunc(all, func(i string) bool { return !usable(i) })
	}
	s.names = nameImages(ours, known)
	return nil
}

// configured is the name that an image has in rung.yaml, if it has one.
func (s *scene) configured(image string) promotion.Artifact {
	if s.existing == nil {
		return ""
	}
	for _, a := range s.existing.Artifacts {
		if manifest.SameImage(a.Image, image) {
			return a.Name
		}
	}
	return ""
}

// climbs reports whether a sight is of an image that climbs.
func (s *scene) climbs(at *sight) bool { return s.names[at.image] != "" }

// apps are words that name an application and no environment.
func (s *scene) apps() map[string]bool {
	apps := map[string]bool{}
	for image, name := range s.names {
		apps[string(name)] = true
		apps[clean(lastPart(image))] = true
	}
	for word := range stages {
		delete(apps, word)
	}
	return apps
}

// quote shows an outside string in a sentence.
func quote(s string) string {
	if len(s) > 80 {
		s = strings.ToValidUTF8(s[:80], "") + "…"
	}
	return fmt.Sprintf("%q", s)
}
