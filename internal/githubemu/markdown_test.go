package githubemu

import (
	"regexp"
	"strings"
	"testing"
)

func TestMarkdown(t *testing.T) {
	for in, want := range map[string]string{
		"# Title":                                        "<h1>Title</h1>",
		"a **b** _c_ `d<e>` ~~f~~":                       "<p>a <strong>b</strong> <em>c</em> <code>d&lt;e&gt;</code> <del>f</del></p>",
		"[x](https://a.test/b_c_d)":                      `<p><a rel="nofollow" href="https://a.test/b_c_d">x</a></p>`,
		"[x](javascript:alert(1))":                       "<p>[x](javascript:alert(1))</p>",
		"see https://a.test/b.":                          `<p>see <a rel="nofollow" href="https://a.test/b">https://a.test/b</a>.</p>`,
		"<script>alert(1)</script>":                      "<p>&lt;script&gt;alert(1)&lt;/script&gt;</p>",
		"a <!-- hidden --> b":                            "<p>a  b</p>",
		"- one\n- two\n  - three":                        "<ul>\n<li>one</li>\n<li>two\n<ul>\n<li>three</li>\n</ul>\n</li>\n</ul>",
		"1. one\n2. two":                                 "<ol>\n<li>one</li>\n<li>two</li>\n</ol>",
		"- [x] done":                                     "<ul>\n<li><input type=\"checkbox\" disabled checked> done</li>\n</ul>",
		"| a | b |\n|---|:-:|\n| `x\\|y` | 2 |":          "<table>\n<tr><th>a</th><th>b</th></tr>\n<tr><td><code>x|y</code></td><td>2</td></tr>\n</table>",
		"```sh\na < b\n```":                              "<pre><code>a &lt; b\n</code></pre>",
		"> q\n> r":                                       "<blockquote>\n<p>q<br>\nr</p>\n</blockquote>",
		"<details><summary>s</summary>\n\nx\n</details>": "<details>\n<summary>s</summary>\n<p>x</p>\n</details>",
		"\\*not\\* \\<b>":                                "<p>*not* &lt;b&gt;</p>",
		"---":                                            "<hr>",
	} {
		if got := strings.TrimSpace(string(markdown(in))); got != want {
			t.Errorf("%q\n got %q\nwant %q", in, got, want)
		}
	}
}

var madeTags = regexp.MustCompile(`</?(h[1-6]|p|strong|em|code|pre|del|a|ul|ol|li|table|tr|th|td|blockquote|details|summary|hr|br|input)( (open|rel="nofollow" href="https?://[^"<>]*"|type="checkbox" disabled( checked)?))?>`)

// FuzzMarkdown holds the renderer to its promise: no markup but its own.
func FuzzMarkdown(f *testing.F) {
	f.Add("# a\n- [x](https://b) <img src=x onerror=1>\n> `c`\n| a |\n|-|\n<details open>")
	f.Add("\x000\x00 `a` \x00")
	f.Add("[<b>](https://x.test/\"onclick=1)")
	f.Add("```\n<b>")
	f.Fuzz(func(t *testing.T, in string) {
		if len(in) > 10000 {
			return
		}
		out := string(markdown(in))
		if rest := madeTags.ReplaceAllString(out, ""); strings.ContainsAny(rest, "<>") {
			t.Errorf("%q made %q", in, out)
		}
	})
}
