package githubemu

import (
	"html"
	"html/template"
	"regexp"
	"strings"
	"sync"
)

// markdown renders the part of GitHub's Markdown that bots write: headings,
// paragraphs, lists, tables, quotes, fences, rules, emphasis, code, links, and
// <details>. Everything else is escaped: nothing in the text can become markup
// that is not made here.
func markdown(text string) template.HTML { return nested(text, 0) }

// maxNesting bounds quotes in lists in quotes; what is deeper is one paragraph.
const maxNesting = 12

func nested(text string, level int) template.HTML {
	if level > maxNesting {
		return template.HTML("<p>" + inline(text) + "</p>\n") // #nosec G203 -- built from escaped parts alone
	}
	m := &mdown{level: level, lines: strings.Split(strings.ReplaceAll(text, "\r\n", "\n"), "\n")}
	m.blocks()
	return template.HTML(m.out.String()) // #nosec G203 -- built from escaped parts alone
}

type mdown struct {
	lines []string
	at    int
	depth int // of open <details>
	level int // of nesting in other blocks
	out   strings.Builder
}

// marks are what begins, or makes, a block or a part of one. They are compiled when
// the first text is rendered.
type marks struct{ heading, bullet, rule, table, tag, comment, code, link, auto, bold, italic, strike, escape *regexp.Regexp }

var mark = sync.OnceValue(func() *marks {
	return &marks{
		heading: regexp.MustCompile(`^(#{1,6})\s+(.*?)\s*#*$`),
		bullet:  regexp.MustCompile(`^(\s*)([-*+]|\d{1,9}[.)])\s+(.*)$`),
		rule:    regexp.MustCompile(`^\s*([-*_])(\s*[-*_]){2,}\s*$`),
		table:   regexp.MustCompile(`^\s*\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)*\|?\s*$`),
		tag:     regexp.MustCompile(`^\s*<(/?)(details|summary|br|p|sub|sup|strong|em|code|kbd)(\s+open)?\s*/?>`),
		comment: regexp.MustCompile(`(?s)<!--.*?-->`),
		code:    regexp.MustCompile("(`+)([^`]|[^`].*?[^`])(`+)"),
		link:    regexp.MustCompile(`\[([^\[\]]+)\]\((https?://[^\s()<>]+)\)`),
		auto:    regexp.MustCompile(`(^|[\s(])(https?://[^\s<>()\x00]+[^\s<>().,;:!?\x00])`),
		bold:    regexp.MustCompile(`\*\*([^*\n]+)\*\*|__([^_\n]+)__`),
		italic:  regexp.MustCompile(`(^|[\s(])(?:\*([^*\s][^*\n]*)\*|_([^_\s][^_\n]*)_)`),
		strike:  regexp.MustCompile(`~~([^~\n]+)~~`),
		escape:  regexp.MustCompile("\\\\([\\\\`*_{}\\[\\]()#+.!|<>~@-])"),
	}
})

func (m *mdown) blocks() {
	m.lines = strings.Split(mark().comment.ReplaceAllString(strings.Join(m.lines, "\n"), ""), "\n")
	for m.at < len(m.lines) {
		m.block()
	}
	for ; m.depth > 0; m.depth-- {
		m.out.WriteString("</details>\n")
	}
}

// block renders the block that begins at the present line.
func (m *mdown) block() {
	line := m.lines[m.at]
	trimmed := strings.TrimSpace(line)
	switch {
	case trimmed == "":
		m.at++
	case strings.HasPrefix(trimmed, "```") || strings.HasPrefix(trimmed, "~~~"):
		m.fence(trimmed[:3])
	case mark().heading.MatchString(trimmed):
		h := mark().heading.FindStringSubmatch(trimmed)
		n := string(rune('0' + len(h[1])))
		m.out.WriteString("<h" + n + ">" + inline(h[2]) + "</h" + n + ">\n")
		m.at++
	case mark().rule.MatchString(line):
		m.out.WriteString("<hr>\n")
		m.at++
	case strings.HasPrefix(trimmed, "<"):
		m.tag(trimmed)
	case strings.HasPrefix(trimmed, ">"):
		m.quote()
	case mark().bullet.MatchString(line):
		m.list(indentOf(line))
	case m.at+1 < len(m.lines) && strings.Contains(line, "|") && mark().table.MatchString(m.lines[m.at+1]):
		m.table()
	default:
		m.paragraph()
	}
}

func indentOf(line string) int { return len(line) - len(strings.TrimLeft(line, " ")) }

func (m *mdown) fence(mark string) {
	m.at++
	m.out.WriteString("<pre><code>")
	for m.at < len(m.lines) && !strings.HasPrefix(strings.TrimSpace(m.lines[m.at]), mark) {
		m.out.WriteString(html.EscapeString(m.lines[m.at]) + "\n")
		m.at++
	}
	m.at++
	m.out.WriteString("</code></pre>\n")
}

// tag lets <details> and <summary> through and shows any other tag as text.
func (m *mdown) tag(trimmed string) {
	switch {
	case strings.HasPrefix(trimmed, "<details"):
		open := ""
		if strings.HasPrefix(trimmed, "<details open") {
			open = " open"
		}
		m.out.WriteString("<details" + open + ">\n")
		m.depth++
	case strings.HasPrefix(trimmed, "</details>"):
		if m.depth > 0 {
			m.out.WriteString("</details>\n")
			m.depth--
		}
	case strings.HasPrefix(trimmed, "<summary>"):
		inner := strings.TrimSuffix(strings.TrimPrefix(trimmed, "<summary>"), "</summary>")
		m.out.WriteString("<summary>" + inline(inner) + "</summary>\n")
		m.at++
		return
	default:
		m.paragraph()
		return
	}
	_, rest, _ := strings.Cut(trimmed, ">")
	m.lines[m.at] = rest
}

func (m *mdown) quote() {
	var inner []string
	for m.at < len(m.lines) && strings.HasPrefix(strings.TrimSpace(m.lines[m.at]), ">") {
		l := strings.TrimPrefix(strings.TrimSpace(m.lines[m.at]), ">")
		inner = append(inner, strings.TrimPrefix(l, " "))
		m.at++
	}
	m.out.WriteString("<blockquote>\n" + string(nested(strings.Join(inner, "\n"), m.level+1)) + "</blockquote>\n")
}

func (m *mdown) list(indent int) {
	first := mark().bullet.FindStringSubmatch(m.lines[m.at])
	tag := "ul"
	if c := first[2][0]; c >= '0' && c <= '9' {
		tag = "ol"
	}
	m.out.WriteString("<" + tag + ">\n")
	for m.at < len(m.lines) {
		b := mark().bullet.FindStringSubmatch(m.lines[m.at])
		if b == nil || indentOf(m.lines[m.at]) != indent || mark().rule.MatchString(m.lines[m.at]) {
			break
		}
		m.at++
		text := b[3]
		var inner []string
		for m.at < len(m.lines) {
			l := m.lines[m.at]
			if strings.TrimSpace(l) != "" && indentOf(l) <= indent {
				break
			}
			if strings.TrimSpace(l) == "" && (m.at+1 >= len(m.lines) || indentOf(m.lines[m.at+1]) <= indent) {
				break
			}
			inner = append(inner, strings.TrimPrefix(l, strings.Repeat(" ", min(indentOf(l), indent+2))))
			m.at++
		}
		m.out.WriteString("<li>" + checkbox(text))
		if len(inner) > 0 {
			m.out.WriteString("\n" + string(nested(strings.Join(inner, "\n"), m.level+1)))
		}
		m.out.WriteString("</li>\n")
	}
	m.out.WriteString("</" + tag + ">\n")
}

func checkbox(text string) string {
	for mark, box := range map[string]string{"[ ] ": `<input type="checkbox" disabled> `, "[x] ": `<input type="checkbox" disabled checked> `, "[X] ": `<input type="checkbox" disabled checked> `} {
		if rest, ok := strings.CutPrefix(text, mark); ok {
			return box + inline(rest)
		}
	}
	return inline(text)
}

func (m *mdown) table() {
	row := func(tag, line string) {
		m.out.WriteString("<tr>")
		for _, c := range cells(line) {
			m.out.WriteString("<" + tag + ">" + inline(c) + "</" + tag + ">")
		}
		m.out.WriteString("</tr>\n")
	}
	m.out.WriteString("<table>\n")
	row("th", m.lines[m.at])
	for m.at += 2; m.at < len(m.lines) && strings.Contains(m.lines[m.at], "|"); m.at++ {
		row("td", m.lines[m.at])
	}
	m.out.WriteString("</table>\n")
}

// cells splits a row at its pipes, except escaped ones.
func cells(line string) []string {
	line = strings.TrimPrefix(strings.TrimSpace(line), "|")
	if strings.HasSuffix(line, "|") && !strings.HasSuffix(line, `\|`) {
		line = line[:len(line)-1]
	}
	parts := strings.Split(strings.ReplaceAll(line, `\|`, "\x00"), "|")
	for i := range parts {
		parts[i] = strings.TrimSpace(strings.ReplaceAll(parts[i], "\x00", "|"))
	}
	return parts
}

func (m *mdown) paragraph() {
	var text []string
	for begin := m.at; m.at < len(m.lines); m.at++ {
		l := strings.TrimSpace(m.lines[m.at])
		if l == "" || m.at > begin && (strings.HasPrefix(l, "```") || strings.HasPrefix(l, ">") || mark().heading.MatchString(l) ||
			mark().bullet.MatchString(m.lines[m.at]) || strings.HasPrefix(l, "<details") || strings.HasPrefix(l, "</details")) {
			break
		}
		text = append(text, l)
	}
	m.out.WriteString("<p>" + inline(strings.Join(text, "\n")) + "</p>\n")
}

// inline renders the insides of a block. Finished pieces are put aside under
// numbers between NUL bytes, which the text cannot hold, so that no later rule
// sees them.
func inline(text string) string {
	text = strings.ReplaceAll(text, "\x00", "")
	var aside []string
	keep := func(s string) string {
		aside = append(aside, s)
		return "\x00" + itoa(len(aside)-1) + "\x00"
	}
	text = mark().code.ReplaceAllStringFunc(text, func(s string) string {
		p := mark().code.FindStringSubmatch(s)
		if len(p[1]) != len(p[3]) {
			return s
		}
		return keep("<code>" + html.EscapeString(strings.TrimSpace(p[2])) + "</code>")
	})
	text = mark().escape.ReplaceAllStringFunc(text, func(s string) string { return keep(html.EscapeString(s[1:])) })
	text = mark().tag.ReplaceAllString(text, "")
	text = mark().link.ReplaceAllStringFunc(text, func(s string) string {
		p := mark().link.FindStringSubmatch(s)
		return keep(`<a rel="nofollow" href="`+html.EscapeString(p[2])+`">`) + p[1] + keep("</a>")
	})
	text = mark().auto.ReplaceAllStringFunc(text, func(s string) string {
		p := mark().auto.FindStringSubmatch(s)
		return p[1] + keep(`<a rel="nofollow" href="`+html.EscapeString(p[2])+`">`+html.EscapeString(p[2])+"</a>")
	})
	text = html.EscapeString(text)
	text = mark().bold.ReplaceAllString(text, "<strong>$1$2</strong>")
	text = mark().italic.ReplaceAllString(text, "$1<em>$2$3</em>")
	text = mark().strike.ReplaceAllString(text, "<del>$1</del>")
	text = strings.ReplaceAll(text, "\n", "<br>\n")
	for i, s := range aside {
		text = strings.Replace(text, "\x00"+itoa(i)+"\x00", s, 1)
	}
	return text
}
