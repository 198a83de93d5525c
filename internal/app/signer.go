package app

import (
	"crypto/ed25519"

	"golang.org/x/crypto/ssh"

	"github.com/rungbot/rung/internal/ledger"
	"github.com/rungbot/rung/internal/sign"
)

// signer lends the release key to the ledger.
type signer struct{ key *sign.Key }

func (s signer) KeyID() string                             { return s.key.Public().Fingerprint() }
func (s signer) AuthorizedKey() string                     { return s.key.Public().AuthorizedKey() }
func (s signer) SignBytes(message []byte) ([]byte, error)  { return s.key.SignRaw(message) }
func (s signer) SignCommit(message []byte) (string, error) { return s.key.Sign(message) }

// keys are the keys that a ledger may be signed by: the release key itself.
func (s signer) keys() ledger.Keys { return KeysOf(s.key.Public()) }

// KeysOf are public keys as the ledger knows them.
func KeysOf(keys ...sign.PublicKey) ledger.Keys {
	all := ledger.Keys{}
	for _, k := range keys {
		parsed, _, _, _, err := ssh.ParseAuthorizedKey([]byte(k.AuthorizedKey()))
		if err != nil {
			continue
		}
		if raw, ok := parsed.(ssh.CryptoPublicKey).CryptoPublicKey().(ed25519.PublicKey); ok {
			all[k.Fingerprint()] = raw
		}
	}
	return all
}
