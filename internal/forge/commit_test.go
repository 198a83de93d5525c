package forge_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/rungbot/rung/internal/forge"
	"github.com/rungbot/rung/internal/promotion"
)

// TestMakeCommit: GitHub signs what carries no author, committer or signature of
// ours; what it made is compared with what was asked for.
func TestMakeCommit(t *testing.T) {
	parent, tree, made := promotion.Hash(strings.Repeat("a", 40)), promotion.Hash(strings.Repeat("b", 40)), promotion.Hash(strings.Repeat("c", 40))
	const trees, commits = "POST /repos/acme/deploy/git/trees", "POST /repos/acme/deploy/git/commits"
	n := forge.NewCommit{
		Parent: parent, Base: promotion.Hash(strings.Repeat("d", 40)), Tree: tree, Message: "Promote\n\nPromotion-Version: 1\n",
		Files: map[string]forge.CommitFile{"environments/dev/run": {Mode: "100755", Data: []byte("é\r\n")}},
	}
	commit := func(tree, parent promotion.Hash, message string, signed bool) string {
		return fmt.Sprintf(`{"sha":%q,"tree":{"sha":%q},"parents":[{"sha":%q}],"message":%q,"verification":{"verified":%v,"reason":"unsigned"}}`, made, tree, parent, message, signed)
	}
	sound := fmt.Sprintf(`{"sha":%q}`, tree)
	w := newWorld(t)
	w.on(trees, answer(201, sound))
	w.on(commits, answer(201, commit(tree, parent, strings.TrimSpace(n.Message), true)))
	if got, err := w.client().MakeCommit(t.Context(), repo, n); err != nil || got != made {
		t.Fatalf("got %q, %v", got, err)
	}
	sent := decode(t, w.body(trees))
	entries, _ := sent["tree"].([]any)
	if sent["base_tree"] != string(n.Base) || len(entries) != 1 {
		t.Fatalf("sent %v", sent)
	}
	if e := entries[0].(map[string]any); e["path"] != "environments/dev/run" || e["mode"] != "100755" || e["type"] != "blob" || e["content"] != "é\r\n" || e["sha"] != nil {
		t.Errorf("sent %v", e)
	}
	sent = decode(t, w.body(commits))
	if sent["message"] != n.Message || sent["tree"] != string(tree) || fmt.Sprint(sent["parents"]) != "["+string(parent)+"]" {
		t.Errorf("sent %v", sent)
	}
	for _, own := range []string{"author", "committer", "signature"} {
		if _, there := sent[own]; there {
			t.Errorf("a commit with its own %s is not signed by GitHub: %v", own, sent)
		}
	}

	for name, c := range map[string]struct{ tree, commit, want string }{
		"another tree":        {fmt.Sprintf(`{"sha":%q}`, parent), commit(tree, parent, n.Message, true), "which was promised"},
		"not signed":          {sound, commit(tree, parent, n.Message, false), "GitHub did not sign"},
		"another parent":      {sound, commit(tree, tree, n.Message, true), "not what was asked for"},
		"other words":         {sound, commit(tree, parent, "hello", true), "not what was asked for"},
		"a commit's tree":     {sound, commit(parent, parent, n.Message, true), "not what was asked for"},
		"no commit":           {sound, `{}`, "names no commit"},
		"an answer cut short": {sound, `{"sha":`, "outcome"},
	} {
		w.on(trees, answer(201, c.tree))
		w.on(commits, answer(201, c.commit))
		if got, err := w.client().MakeCommit(t.Context(), repo, n); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	n.Files = map[string]forge.CommitFile{"x": {Mode: "100644", Data: []byte("\xff")}}
	if _, err := w.client().MakeCommit(t.Context(), repo, n); err == nil || !strings.Contains(err.Error(), "not UTF-8") {
		t.Error(err)
	}
}
