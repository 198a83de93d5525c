package docs

import (
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	inline    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	reference = regexp.MustCompile(`(?m)^\[([^\]]+)\]: (\S+)$`)
	heading   = regexp.MustCompile(`(?m)^#{1,6} (.+)$`)
)

// prose is a document without its blocks and its code.
func prose(text string) string {
	text = regexp.MustCompile("(?ms)^ *```.*?^ *```$").ReplaceAllString(text, "")
	return regexp.MustCompile("`[^`\n]*`").ReplaceAllString(text, "")
}

// anchors are those that GitHub gives to the headings of a document.
func anchors(text string) []string {
	var all []string
	text = regexp.MustCompile("(?ms)^ *```.*?^ *```$").ReplaceAllString(text, "")
	for _, m := range heading.FindAllStringSubmatch(text, -1) {
		s := strings.ToLower(strings.NewReplacer("`", "", "*", "").Replace(m[1]))
		s = regexp.MustCompile(`[^\pL\pN _-]`).ReplaceAllString(s, "")
		all = append(all, strings.ReplaceAll(s, " ", "-"))
	}
	return all
}

// TestEveryLinkLeadsSomewhere looks up each link of a document to a file of this
// repository, and to a heading in it.
func TestEveryLinkLeadsSomewhere(t *testing.T) {
	for _, file := range documents(t) {
		text := read(t, file)
		var links []string
		for _, m := range inline.FindAllStringSubmatch(prose(text), -1) {
			links = append(links, m[1])
		}
		for _, m := range reference.FindAllStringSubmatch(text, -1) {
			links = append(links, m[2])
		}
		for _, link := range links {
			if strings.Contains(link, "://") || strings.HasPrefix(link, "mailto:") {
				continue
			}
			to, anchor, _ := strings.Cut(link, "#")
			target := file
			if to != "" {
				target = path.Join(path.Dir(file), to)
			}
			info, err := os.Stat(filepath.Join(root, target))
			if err != nil {
				t.Errorf("%s: %s leads nowhere", file, link)
				continue
			}
			if anchor != "" && !info.IsDir() && !slices.Contains(anchors(read(t, target)), anchor) {
				t.Errorf("%s: %s has no heading for %s", file, target, anchor)
			}
		}
	}
}

// TestEveryDocumentIsLinked: the README leads to each document, itself or by another.
func TestEveryDocumentIsLinked(t *testing.T) {
	reached, next := map[string]bool{"README.md": true}, []string{"README.md"}
	for len(next) > 0 {
		file := next[0]
		next = next[1:]
		for _, m := range inline.FindAllStringSubmatch(prose(read(t, file)), -1) {
			to, _, _ := strings.Cut(m[1], "#")
			target := path.Join(path.Dir(file), to)
			if to == "" || strings.Contains(m[1], "://") || reached[target] {
				continue
			}
			reached[target] = true
			if strings.HasSuffix(target, ".md") {
				next = append(next, target)
			}
		}
	}
	for _, file := range documents(t) {
		if !reached[file] && strings.HasPrefix(file, "docs/") {
			t.Errorf("nothing leads to %s", file)
		}
	}
	order := -1
	for _, file := range []string{"docs/start.md", "docs/concepts.md", "docs/rung.example.yaml", "docs/operations.md", "docs/comparison.md"} {
		_, list, _ := strings.Cut(read(t, "README.md"), "\n## Documents\n")
		at := strings.Index(list, "("+file+")")
		if at <= order {
			t.Errorf("the README does not lead to %s in its place", file)
		}
		order = at
	}
}

// TestTheComparisonHasItsEvidence: each cell about a peer links to the peer's own page
// at the commit that was read, also where nothing was found there.
func TestTheComparisonHasItsEvidence(t *testing.T) {
	text := read(t, "docs/comparison.md")
	peers := map[string]string{"kargo": "akuity/kargo", "promoter": "argoproj-labs/gitops-promoter", "tele": "commercetools/telefonistka", "kuber": "freiheit-com/kuberpult"}
	columns := []string{"kargo", "promoter", "tele", "kuber"}
	pages := map[string]string{}
	for _, m := range reference.FindAllStringSubmatch(text, -1) {
		pages[m[1]] = m[2]
		peer, _, _ := strings.Cut(m[1], "-")
		if !regexp.MustCompile(`^https://github\.com/` + peers[peer] + `/blob/[0-9a-f]{40}/\S+$`).MatchString(m[2]) {
			t.Errorf("[%s] leads to %s, which is no page of %s at a commit", m[1], m[2], peers[peer])
		}
		if strings.Count(text, "]["+m[1]+"]") == 0 {
			t.Errorf("[%s] is used nowhere", m[1])
		}
	}
	rows := 0
	for _, line := range strings.Split(text, "\n") {
		cells := strings.Split(strings.Trim(line, "|"), " | ")
		if !strings.HasPrefix(line, "| ") || len(cells) != 6 || strings.HasPrefix(line, "| | rung") || strings.HasPrefix(line, "| ---") {
			continue
		}
		rows++
		for i, cell := range cells[2:] {
			cited := regexp.MustCompile(`\]\[([a-z-]+)\]`).FindAllStringSubmatch(cell, -1)
			if cited == nil {
				t.Errorf("%s: no evidence for %q of %s", strings.TrimSpace(cells[0]), strings.TrimSpace(cell), columns[i])
			}
			for _, m := range cited {
				if pages[m[1]] == "" || !strings.HasPrefix(m[1], columns[i]+"-") {
					t.Errorf("%s: %s is cited for %s", strings.TrimSpace(cells[0]), m[1], columns[i])
				}
			}
		}
	}
	if rows < 10 {
		t.Errorf("only %d rows are found", rows)
	}
}
