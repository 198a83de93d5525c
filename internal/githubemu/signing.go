package githubemu

import (
	"bytes"
	"crypto/sha512"
	"encoding/base64"
	"strings"

	"github.com/hiddeco/sshsig"
	"golang.org/x/crypto/ssh"

	"github.com/rungbot/rung/internal/githubemu/gitstore"
)

// unsigned is a commit's bytes without its signature: what was signed.
func unsigned(raw []byte) []byte {
	head, body, _ := bytes.Cut(raw, []byte("\n\n"))
	var out [][]byte
	inside := false
	for _, line := range bytes.Split(head, []byte("\n")) {
		if inside = bytes.HasPrefix(line, []byte("gpgsig ")) || inside && bytes.HasPrefix(line, []byte(" ")); !inside {
			out = append(out, line)
		}
	}
	return append(append(bytes.Join(out, []byte("\n")), "\n\n"...), body...)
}

// signedBy finds the person whose key made a commit's signature. The committer
// must be that person, as on GitHub; an App's bot has no keys.
func (s *Server) signedBy(cm gitstore.Commit) *account {
	who := s.byEmail(parseIdent(cm.Committer).Email)
	if who == nil || len(who.SSHKeys) == 0 {
		return nil
	}
	sig, err := sshsig.Unarmor([]byte(cm.Signature))
	if err != nil {
		return nil
	}
	for _, line := range who.SSHKeys {
		key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(strings.TrimSpace(line)))
		if err != nil {
			continue
		}
		if sshsig.Verify(bytes.NewReader(unsigned(cm.Raw)), sig, key, sig.HashAlgorithm, "git") == nil {
			return who
		}
	}
	return nil
}

// webFlowSignature has the shape of what GitHub signs a commit with: an OpenPGP
// block. There is no such key here; that GitHub made the commit is remembered.
func webFlowSignature(cm newCommit) string {
	sum := sha512.Sum512([]byte(cm.Tree + cm.Message + cm.Author + cm.Committer))
	return "-----BEGIN PGP SIGNATURE-----\n\n" + base64.StdEncoding.EncodeToString(sum[:48]) + "\n-----END PGP SIGNATURE-----\n"
}

// verified tells whether the rule "require signed commits" is content.
func (s *Server) verified(r *repo, cm gitstore.Commit) bool {
	return r.WebFlow[cm.ID] || cm.Signature != "" && s.signedBy(cm) != nil
}
