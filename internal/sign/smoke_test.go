package sign

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestSignVerifiesWithSSHKeygen(t *testing.T) {
	key, err := GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	armoured, err := key.Sign([]byte("hello"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	allowed, err := FormatAllowedSigners([]AllowedSigner{{Principals: []string{"release@acme"}, Namespaces: []string{"git"}, Key: key.Public()}})
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "signers"), allowed)
	write(t, filepath.Join(dir, "sig"), []byte(armoured))
	cmd := exec.Command("ssh-keygen", "-Y", "verify", "-f", filepath.Join(dir, "signers"), "-I", "release@acme", "-n", "git", "-s", filepath.Join(dir, "sig"))
	cmd.Stdin = strings.NewReader("hello")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

func write(t *testing.T, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
}
