package upgrade

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/rungbot/rung/internal/pipeline"
)

const (
	corpus = "corpus"
	sums   = corpus + "/SHA256SUMS"
)

// add writes down what is new in corpus; it changes nothing that is there.
var add = flag.Bool("add", false, "write the meaning of new configurations, and the sums of new files, of corpus")

// configurations are the directories with a rung.yaml of earlier versions.
func configurations(t *testing.T) []string {
	t.Helper()
	found, err := filepath.Glob(corpus + "/*/config/*/rung.yaml")
	if err != nil || len(found) == 0 {
		t.Fatalf("there are no configurations: %v", err)
	}
	for i, path := range found {
		found[i] = filepath.Dir(path)
	}
	return found
}

// TestCorpusConfigurationsMeanWhatTheyMeant: each stays valid, and each line of its
// meaning holds. What is said beside it, of fields that are newer, says nothing: a field
// that a file does not have must be zero, and zero mean what was so before.
func TestCorpusConfigurationsMeanWhatTheyMeant(t *testing.T) {
	for _, dir := range configurations(t) {
		t.Run(strings.ReplaceAll(strings.TrimPrefix(dir, corpus+"/"), "/", " "), func(t *testing.T) {
			now := meaningOf(t, dir)
			path := filepath.Join(dir, "meaning")
			text, err := os.ReadFile(path) // #nosec G304 -- the repository's own
			if os.IsNotExist(err) && *add {
				text = []byte(strings.Join(now, "\n") + "\n")
				err = os.WriteFile(path, text, 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
			was := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
			for _, why := range differences(was, now) {
				t.Error(why)
			}
		})
	}
}

// differences are what was meant and is not, and what is newly said.
func differences(was, now []string) []string {
	var all []string
	for _, line := range was {
		if !slices.Contains(now, line) {
			all = append(all, "it does not mean any more: "+line)
		}
	}
	for _, line := range now {
		if !slices.Contains(was, line) && !zero(line) {
			all = append(all, "it means now: "+line)
		}
	}
	return all
}

// meaningOf loads a configuration, which must be sound, and prints it.
func meaningOf(t *testing.T, dir string) []string {
	t.Helper()
	files := map[string][]byte{}
	var policies []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name := filepath.ToSlash(strings.TrimPrefix(path, dir+string(filepath.Separator)))
		if strings.HasPrefix(name, "policies/") {
			policies = append(policies, name)
		}
		if pipeline.IsConfigPath(name) {
			files[name], err = os.ReadFile(path) // #nosec G304 -- the repository's own
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	r := pipeline.Load(files, pipeline.Options{PolicyFiles: policies})
	for _, p := range r.Problems {
		t.Errorf("what was valid is not: %s", p)
	}
	if r.Pipeline == nil {
		t.Fatal("nothing can be read of it")
	}
	return meaning(r.Pipeline)
}

// TestCorpusConfigurationsUseEverything: every field and word of the earlier version's
// schema stands in one of its files.
func TestCorpusConfigurationsUseEverything(t *testing.T) {
	versions, err := filepath.Glob(corpus + "/*/schemas/rung.schema.json")
	if err != nil || len(versions) == 0 {
		t.Fatalf("there are no schemas: %v", err)
	}
	for _, path := range versions {
		used := map[string]bool{}
		for _, dir := range configurations(t) {
			err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
				if err != nil || d.IsDir() || filepath.Ext(path) != ".yaml" || strings.Contains(path, "policies") {
					return err
				}
				var node yaml.Node
				data, err := os.ReadFile(path) // #nosec G304 -- the repository's own
				if err == nil {
					err = yaml.Unmarshal(data, &node)
				}
				scalars(&node, used)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		words := map[string]bool{}
		names(readJSON(t, path), words)
		if len(words) < 50 {
			t.Errorf("%s has only %d fields and words", path, len(words))
		}
		for word := range words {
			if !used[word] {
				t.Errorf("no configuration uses %s of %s", word, path)
			}
		}
	}
}

// scalars are all keys and values of a document.
func scalars(n *yaml.Node, into map[string]bool) {
	if n.Kind == yaml.ScalarNode {
		into[n.Value] = true
	}
	for _, inner := range n.Content {
		scalars(inner, into)
	}
}

// names are the properties of a schema and the words of its enumerations.
func names(schema any, into map[string]bool) {
	switch s := schema.(type) {
	case map[string]any:
		if properties, ok := s["properties"].(map[string]any); ok {
			for name := range properties {
				into[name] = true
			}
		}
		if words, ok := s["enum"].([]any); ok {
			for _, word := range words {
				into[fmt.Sprint(word)] = true
			}
		}
		for _, inner := range s {
			names(inner, into)
		}
	case []any:
		for _, inner := range s {
			names(inner, into)
		}
	}
}

func readJSON(t *testing.T, path string) any {
	t.Helper()
	data, err := os.ReadFile(path) // #nosec G304 -- the repository's own
	var v any
	if err == nil {
		err = json.Unmarshal(data, &v)
	}
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return v
}

// TestCorpusLedgersAreAccepted has this version verify and tell what earlier versions
// wrote; among it is each kind of record.
func TestCorpusLedgersAreAccepted(t *testing.T) {
	found, err := filepath.Glob(corpus + "/*/ledger/*.tar.gz")
	if err != nil || len(found) == 0 {
		t.Fatalf("there are no ledgers: %v", err)
	}
	var seen []string
	for _, packed := range found {
		dir := t.TempDir()
		file := filepath.Join(dir, "evidence.tar")
		unpack(t, packed, file)
		for _, args := range []string{"verify", "verify --recompute", "audit prod", "history checkout --path"} {
			cmd := exec.Command(binary, append(strings.Fields(args), file)...) // #nosec G204 -- the program under test
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("rung %s %s: %v\n%s", args, packed, err, out)
			}
		}
		// Stock git reads the trailers.
		clone := filepath.Join(dir, "repository.git")
		lines := `tar -x -f "$1" -C "$2" repository.bundle; git clone -q --mirror "$2/repository.bundle" "$3"; git --git-dir "$3" log --format="%(trailers:key=Promotion-Kind,valueonly)" refs/heads/rung/ledger`
		out, err := exec.Command("bash", "-euc", lines, "bash", file, dir, clone).CombinedOutput() // #nosec G204 -- temporary directories
		if err != nil {
			t.Fatalf("%s: %v\n%s", packed, err, out)
		}
		seen = append(seen, strings.Fields(string(out))...)
	}
	for _, kind := range kinds {
		if !slices.Contains(seen, string(kind)) {
			t.Errorf("no ledger has a record of kind %s", kind)
		}
	}
}

func unpack(t *testing.T, packed, file string) {
	t.Helper()
	in, err := os.Open(packed) // #nosec G304 -- the repository's own
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = in.Close() }()
	var out bytes.Buffer
	unzipped, err := gzip.NewReader(bufio.NewReader(in))
	if err == nil {
		_, err = io.Copy(&out, unzipped) // #nosec G110 -- the repository's own
	}
	if err == nil {
		err = os.WriteFile(file, out.Bytes(), 0o600)
	}
	if err != nil {
		t.Fatalf("%s: %v", packed, err)
	}
}

// TestTheCorpusIsNeverEdited: each file is as it was when it came, and none is gone.
func TestTheCorpusIsNeverEdited(t *testing.T) {
	text, err := os.ReadFile(sums)
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]string{}
	for line := range strings.Lines(string(text)) {
		sum, path, _ := strings.Cut(strings.TrimSpace(line), "  ")
		known[path] = sum
		if _, err := os.Stat(filepath.Join(corpus, path)); err != nil {
			t.Errorf("%s is gone: files of the corpus are only added", path)
		}
	}
	var lines strings.Builder
	err = filepath.WalkDir(corpus, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || path == filepath.FromSlash(sums) {
			return err
		}
		data, err := os.ReadFile(path) // #nosec G304 -- the repository's own
		if err != nil {
			return err
		}
		name := filepath.ToSlash(strings.TrimPrefix(path, corpus+string(filepath.Separator)))
		sum := fmt.Sprintf("%x", sha256.Sum256(data))
		switch was, there := known[name]; {
		case there && was != sum:
			t.Errorf("%s was edited: put it back, and add another case of what is new", name)
		case !there && *add:
			fmt.Fprintf(&lines, "%s  %s\n", sum, name)
		case !there:
			t.Errorf("%s is new: go test ./e2e/upgrade -run Corpus -add writes down its sum", name)
		}
		return nil
	})
	if err == nil && lines.Len() > 0 {
		err = os.WriteFile(sums, append(text, lines.String()...), 0o600)
	}
	if err != nil {
		t.Error(err)
	}
}
