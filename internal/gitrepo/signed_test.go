package gitrepo

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/rungbot/rung/internal/promotion"
)

// TestPushSignedCommits: stock git verifies what was pushed.
func TestPushSignedCommits(t *testing.T) {
	w := newPushWorld(t, nil)
	dir := t.TempDir()
	key := filepath.Join(dir, "key")
	run(t, "", nil, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", key)
	public, err := os.ReadFile(key + ".pub")
	if err != nil {
		t.Fatal(err)
	}
	signers := filepath.Join(dir, "signers")
	if err := os.WriteFile(signers, []byte(`rung@acme.example namespaces="git" `+string(public)), 0o600); err != nil {
		t.Fatal(err)
	}
	sign := func(payload []byte) (string, error) {
		return try("", payload, "ssh-keygen", "-q", "-Y", "sign", "-n", "git", "-f", key)
	}
	c := mustCommit(t, w.remote, w.nextLedger)
	var last promotion.Hash
	for n := range 3 {
		parents := []promotion.Hash{w.ledger}
		if n > 0 {
			parents = []promotion.Hash{last}
		}
		last, err = w.remote.WriteCommit(t.Context(), CommitSpec{Tree: c.Tree, Parents: parents, Author: testIdent, Committer: testIdent, Message: fmt.Sprintf("record %d\n\nbody\n", n), Sign: sign})
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.remote.Push(t.Context(), []RefUpdate{{Ref: ledgerRef, Old: w.ledger, New: last}}, PushOptions{}); err != nil {
		t.Fatal(err)
	}
	w.repo.fsck()
	w.repo.git("-c", "gpg.ssh.allowedSignersFile="+signers, "-c", "gpg.minTrustLevel=fully", "verify-commit", string(last))
	if got := w.repo.git("-c", "gpg.ssh.allowedSignersFile="+signers, "log", "--first-parent", "--format=%G?", string(last)); got != "G\nG\nG\nN" {
		t.Errorf("%q", got)
	}
	back, err := w.repo.open(Options{}).Commit(t.Context(), last)
	if err != nil {
		t.Fatal(err)
	}
	payload, err := os.Create(filepath.Join(dir, "payload"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := payload.Write(back.Payload()); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(payload.Close(), os.WriteFile(filepath.Join(dir, "sig"), []byte(back.Signature), 0o600)); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(payload.Name())
	if err != nil {
		t.Fatal(err)
	}
	run(t, "", data, "ssh-keygen", "-q", "-Y", "verify", "-f", signers, "-I", "rung@acme.example", "-n", "git", "-s", filepath.Join(dir, "sig"))
}
