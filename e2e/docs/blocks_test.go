package docs

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/rungbot/rung/internal/settings"
)

const root = "../.."

// block is what stands between two fences of a document.
type block struct {
	file           string // from the repository's root
	line           int
	language, info string // ```language info
	text           string
}

var fence = regexp.MustCompile("^( *)```([a-z]*) *(.*)$")

// blocksOf reads the fenced blocks of a document.
func blocksOf(t *testing.T, file string) []block {
	t.Helper()
	var all []block
	var open *block
	indent := ""
	for i, line := range strings.Split(read(t, file), "\n") {
		m := fence.FindStringSubmatch(line)
		switch {
		case m != nil && open == nil:
			indent = m[1]
			open = &block{file: file, line: i + 1, language: m[2], info: m[3]}
		case m != nil:
			open.text = strings.TrimSuffix(open.text, "\n")
			all = append(all, *open)
			open = nil
		case open != nil:
			open.text += strings.TrimPrefix(line, indent) + "\n"
		}
	}
	if open != nil {
		t.Errorf("%s:%d: the block does not end", file, open.line)
	}
	return all
}

// documents are all that people read: the Markdown files of the repository.
func documents(t *testing.T) []string {
	t.Helper()
	var all []string
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/*/*.md", "deploy/*.md", "e2e/*/*.md"} {
		found, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range found {
			all = append(all, filepath.ToSlash(strings.TrimPrefix(path, root+string(filepath.Separator))))
		}
	}
	return all
}

// here is this package: its own tests run the block.
const here = "e2e/docs"

// runs says which test runs which blocks: those of a document, in a language, with the
// words in it (empty: all of them). A test of another package is named with its file;
// it reads the document and fails for a block that it does not run.
var runs = []struct{ file, language, words, by, test string }{
	{"README.md", "sh", "make demo", here, "TestTheTwoCommands"}, // .ci/run types them
	{"README.md", "sh", "make build", here, "TestNewcomer"},
	{"README.md", "sh", "bin/rung setup", here, "TestNewcomer"},
	{"README.md", "sh", "bin/rung serve", here, "TestNewcomer"},
	{"README.md", "sh", "bin/rung init", here, "TestNewcomer"},
	{"README.md", "sh", "bin/rung doctor", here, "TestNewcomer"},
	{"README.md", "sh", "gh api", here, "TestNewcomer"},
	{"README.md", "yaml", "", "internal/pipeline/readme_test.go", "TestTheReadmesConfigurationLoads"},
	{"docs/api.md", "sh", "curl", here, "TestNewcomer"},
	{"docs/api.md", "json", "", "internal/api/docs_test.go", "TestDocumentsAreCurrent"},
	{"docs/configuration.md", "yaml", "", "internal/pipeline/sample_test.go", "TestDocumentationLoads"},
	{"docs/doctor.md", "json", "", "internal/doctor/docs_test.go", "TestDocumentsAreCurrent"},
	{"docs/keys.md", "bash", "", "e2e/keysdoc_test.go", "TestTheKeysPage"},
	{"docs/operations.md", "sh", "healthz", here, "TestNewcomer"},
	{"docs/operations.md", "sh", "git push", here, "TestNewcomer"},
	{"docs/policies.md", "yaml", "", "internal/gate/policy/docs_test.go", "TestPolicyGuide"},
	{"docs/provenance.md", "bash", "", "e2e/provenance_test.go", "TestTheWayToCheckByHand"},
	{"docs/provenance.md", "sh", "rung audit --bundle", here, "TestNewcomer"},
	{"docs/records.md", "json", "", "internal/decide/docs_test.go", "TestRecordsDocument"},
	{"docs/setup.md", "sh", "bin/rung setup", here, "TestNewcomer"}, // the README's own line
	{"docs/setup.md", "sh", "bin/rung serve", here, "TestByHand"},
	{upgrades, "sh", "bin/rung validate", here, "TestTheNewVersionLooksAtTheConfiguration"},
	{upgrades, "sh", "cp -p", here, "TestABinaryIsReplacedAndPutBack"},
	{upgrades, "sh", "rung.previous /usr", here, "TestABinaryIsReplacedAndPutBack"},
	{upgrades, "sh", "compose.yaml build", here, "TestContainersAndPodsAreReplacedAndPutBack"}, // stand-ins: no daemon here
	{upgrades, "sh", "rung:previous rung", here, "TestContainersAndPodsAreReplacedAndPutBack"},
	{upgrades, "sh", "set image", here, "TestContainersAndPodsAreReplacedAndPutBack"}, // and no cluster
	{upgrades, "sh", "rollout undo", here, "TestContainersAndPodsAreReplacedAndPutBack"},
}

// taken are the blocks that tests of this package have taken to run them.
var taken struct {
	sync.Mutex
	blocks []string
}

// commands is the one block of commands in a document that has words in it, for a test
// that runs it.
func commands(t *testing.T, words, file string) string {
	t.Helper()
	for _, b := range blocksOf(t, file) {
		if b.language == "sh" && strings.Contains(b.text, words) {
			taken.Lock()
			defer taken.Unlock()
			taken.blocks = append(taken.blocks, t.Name()+" "+file+" "+b.text)
			return b.text
		}
	}
	t.Fatalf("%s has no block with %q", file, words)
	return ""
}

// program are words with which a line of commands begins.
var program = regexp.MustCompile(`(?m)^ *(?:\$ )?(?:sudo )?(?:bin/)?(?:rung|git|make|gh|curl|kubectl|docker|ssh-keygen|cosign|go|npm|set|export) `)

// TestEveryBlockIsRun fails where something in a document is run by nobody.
func TestEveryBlockIsRun(t *testing.T) {
	used := map[int]bool{}
	for _, file := range documents(t) {
		for _, b := range blocksOf(t, file) {
			switch b.language {
			case "text": // a picture, or what a program prints
				if found := program.FindString(b.text); found != "" {
					t.Errorf("%s:%d: %q is a command and stands in a block of text: call it sh and have it run", b.file, b.line, found)
				}
				continue
			case "usage", "env":
				continue // tests below
			}
			at := slices.IndexFunc(runs, func(r struct{ file, language, words, by, test string }) bool {
				return r.file == b.file && r.language == b.language && strings.Contains(b.text, r.words)
			})
			if at < 0 {
				t.Errorf("%s:%d: nothing runs this block of %q: name the test that does in the table of e2e/docs\n%s", b.file, b.line, b.language, b.text)
				continue
			}
			used[at] = true
		}
	}
	for i, r := range runs {
		if !used[i] {
			t.Errorf("%s has no block of %s with %q any more", r.file, r.language, r.words)
		}
		if r.by != here {
			reads(t, r.by, r.test, filepath.Base(r.file))
		}
	}
	for _, file := range documents(t) {
		for i, line := range strings.Split(read(t, file), "\n") {
			if strings.HasPrefix(line, "    ") && program.MatchString(line) && !inFence(t, file, i+1) {
				t.Errorf("%s:%d: a command without fences, which nothing runs: %s", file, i+1, line)
			}
		}
	}
}

func inFence(t *testing.T, file string, line int) bool {
	t.Helper()
	return slices.ContainsFunc(blocksOf(t, file), func(b block) bool {
		return line > b.line && line <= b.line+strings.Count(b.text, "\n")+1
	})
}

// reads holds that a file has that test, and that it speaks of the document.
func reads(t *testing.T, path, test, document string) {
	t.Helper()
	source, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		t.Error(err)
		return
	}
	file, err := parser.ParseFile(token.NewFileSet(), path, source, 0)
	if err != nil {
		t.Error(err)
		return
	}
	if !slices.ContainsFunc(file.Decls, func(d ast.Decl) bool {
		f, ok := d.(*ast.FuncDecl)
		return ok && f.Name.Name == test
	}) || !strings.Contains(string(source), document) {
		t.Errorf("%s has no test %s of %s", path, test, document)
	}
}

// untaken are the blocks that this package's own tests should have taken and did not.
func untaken() []string {
	var missing []string
	for _, r := range runs {
		if r.by != here {
			continue
		}
		if !slices.ContainsFunc(taken.blocks, func(b string) bool {
			return strings.HasPrefix(b, r.test+" "+r.file+" ") && strings.Contains(b, r.words)
		}) {
			missing = append(missing, r.test+" did not run the block with "+r.words+" of "+r.file)
		}
	}
	return missing
}

// TestSynopses: each line of a block of usage names a command of the program, and flags
// that it has.
func TestSynopses(t *testing.T) {
	found := 0
	for _, file := range documents(t) {
		for _, b := range blocksOf(t, file) {
			if b.language != "usage" {
				continue
			}
			for _, line := range strings.Split(b.text, "\n") {
				found++
				words := regexp.MustCompile(`^rung((?: [a-z]+)+)`).FindStringSubmatch(line)
				if words == nil {
					t.Errorf("%s:%d: %q is no usage of rung", file, b.line, line)
					continue
				}
				help := bash(t, t.TempDir(), binary+words[1]+" --help")
				for _, flag := range regexp.MustCompile(`(?:^|[ \[])(--?[a-z][a-z-]*)`).FindAllStringSubmatch(line, -1) {
					if !regexp.MustCompile(`(?m)[ ,]` + flag[1] + `(?:[ =,\[]|$)`).MatchString(help) {
						t.Errorf("%s:%d: rung%s has no flag %s", file, b.line, words[1], flag[1])
					}
				}
			}
		}
	}
	if found == 0 {
		t.Error("there are no blocks of usage")
	}
}

// TestSettingsInDocumentsExist: what stands in a block of env, and each RUNG_ word in
// a document, is a setting.
func TestSettingsInDocumentsExist(t *testing.T) {
	elsewhere := []string{"RUNG_URL", "RUNG_SEED", "RUNG_SEEDS", "RUNG_BINARY"} // clients, and tests
	for _, file := range documents(t) {
		for _, name := range regexp.MustCompile(`\bRUNG_[A-Z_]*[A-Z]\b`).FindAllString(read(t, file), -1) {
			_, err := settings.Load([]string{name + "=/nowhere"})
			if !slices.Contains(elsewhere, name) && err != nil && strings.Contains(err.Error(), "there is no such setting") {
				t.Errorf("%s: there is no setting %s", file, name)
			}
		}
	}
}
