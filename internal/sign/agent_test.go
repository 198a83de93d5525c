package sign

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

// socketDir is a directory whose name leaves room for a socket's: a path of more
// than about 100 bytes is none.
func socketDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "agent")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// serveAgent serves a keyring on a socket until stop is called.
func serveAgent(t *testing.T, socket string, ring agent.Agent) (stop func()) {
	t.Helper()
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				_ = agent.ServeAgent(ring, c)
				_ = c.Close()
			}()
		}
	}()
	return func() { _ = l.Close() }
}

func TestAgentKey(t *testing.T) {
	dir := socketDir(t)
	socket := filepath.Join(dir, "s")
	held, other := newKey(t), newKey(t)
	ring := agent.NewKeyring()
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range []any{held.held.signer, rsaKey} {
		if err := ring.Add(agent.AddedKey{PrivateKey: k}); err != nil {
			t.Fatal(err)
		}
	}
	stop := serveAgent(t, socket, ring)
	file := filepath.Join(dir, "rung.pub")
	writeFile(t, file, []byte(held.Public().AuthorizedKey()+" rung\n"))
	for name, want := range map[string]string{"line": held.Public().AuthorizedKey() + " rung", "file": file, "fingerprint": held.Public().Fingerprint()} {
		key, err := AgentKey(socket, want)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		armoured, err := key.Sign(message)
		if err != nil || key.Public() != held.Public() {
			t.Fatalf("%s: %v", name, err)
		}
		if again, err := held.Sign(message); err != nil || again != armoured {
			t.Errorf("%s: the agent signs otherwise than the key itself (%v)", name, err)
		}
		raw, err := key.SignRaw(message)
		if err != nil || held.Public().VerifyRaw(message, raw) != nil {
			t.Errorf("%s: raw: %v", name, err)
		}
		if _, err := key.MarshalOpenSSH(""); err == nil {
			t.Errorf("%s: a key in an agent was marshalled", name)
		}
	}
	rsaPublic, err := ssh.NewPublicKey(&rsaKey.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ socket, want, problem string }{
		"no socket":      {"", held.Public().Fingerprint(), "SSH_AUTH_SOCK is not set"},
		"dead socket":    {filepath.Join(dir, "none"), held.Public().Fingerprint(), "does not answer"},
		"a key it lacks": {socket, other.Public().Fingerprint(), "ssh-add it"},
		"an RSA key":     {socket, ssh.FingerprintSHA256(rsaPublic), "only ssh-ed25519 is taken"},
		"no file":        {socket, filepath.Join(dir, "none.pub"), "no such file"},
		"no public key":  {socket, "ssh-ed25519 AAAA", "damaged"},
	} {
		if _, err := AgentKey(c.socket, c.want); err == nil || !strings.Contains(err.Error(), c.problem) {
			t.Errorf("%s: %v", name, err)
		}
	}

	// The agent goes, comes back, and forgets the key.
	key, err := AgentKey(socket, file)
	if err != nil {
		t.Fatal(err)
	}
	stop()
	if _, err := key.Sign(message); err == nil || !strings.Contains(err.Error(), "does not answer") {
		t.Error(err)
	}
	stop = serveAgent(t, socket, ring)
	defer stop()
	if _, err := key.Sign(message); err != nil {
		t.Error("after the agent came back:", err)
	}
	if err := ring.Lock([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if _, err := key.SignRaw(message); err == nil {
		t.Error("a locked agent signs")
	}
}

// TestStockAgent: OpenSSH's own agent signs, and ssh-keygen calls it good.
func TestStockAgent(t *testing.T) {
	dir := socketDir(t)
	socket, file := filepath.Join(dir, "s"), filepath.Join(dir, "key")
	held := newKey(t)
	private, err := held.MarshalOpenSSH("rung")
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, file, private)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var said bytes.Buffer
	daemon := exec.CommandContext(ctx, "ssh-agent", "-D", "-a", socket)
	daemon.Stdout, daemon.Stderr = &said, &said
	if err := daemon.Start(); err != nil {
		t.Fatal("OpenSSH's ssh-agent is needed:", err)
	}
	defer func() {
		_ = daemon.Process.Kill()
		_ = daemon.Wait()
	}()
	for {
		c, err := net.Dial("unix", socket)
		if err == nil {
			_ = c.Close()
			break
		}
		if ctx.Err() != nil {
			t.Fatal("ssh-agent does not listen:", said.String())
		}
		if err := exec.CommandContext(ctx, "sleep", "0.02").Run(); err != nil {
			t.Fatal(err)
		}
	}
	add := exec.CommandContext(ctx, "ssh-add", file)
	add.Env = append(os.Environ(), "SSH_AUTH_SOCK="+socket)
	if out, err := add.CombinedOutput(); err != nil {
		t.Fatalf("ssh-add: %v: %s", err, out)
	}
	key, err := AgentKey(socket, held.Public().Fingerprint())
	if err != nil {
		t.Fatal(err)
	}
	armoured, err := key.Sign(message)
	if err != nil {
		t.Fatal(err)
	}
	if !opensshAccepts(t, dir, "rung "+held.Public().AuthorizedKey()+"\n", armoured, "rung", time.Now()) {
		t.Error("ssh-keygen does not take the signature")
	}
	if raw, err := key.SignRaw(message); err != nil || held.Public().VerifyRaw(message, raw) != nil {
		t.Error("raw:", err)
	}
}
