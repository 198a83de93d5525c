package history

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/rungbot/rung/internal/ledger"
	"github.com/rungbot/rung/internal/promotion"
	"github.com/rungbot/rung/internal/sign"
)

// Written says what stands in a repository.
type Written struct {
	// Root is the fingerprint of the key that signed everything.
	Root string
	// Signers is the trust list, as stock git reads it.
	Signers string
	// Releases are the promotions and rollbacks that landed.
	Releases, Promotions, Rollbacks int
	// ByHand are versions, Ranges runs of configuration, that people changed.
	ByHand, Ranges int
	// Records are all statements but verification summaries.
	Records int
	// LedgerCommits and PromotionCommits bear signatures by rung.
	LedgerCommits, PromotionCommits int
	// Heads are both branches at the end; Past are they after each pass that
	// landed releases, with the number of releases by then, oldest first.
	Heads
	Past []Heads
}

// Heads are both branches at one time.
type Heads struct {
	// Base is the head of main, Ledger that of rung/ledger.
	Base, Ledger promotion.Hash
	// Landed is how many releases had landed.
	Landed int
}

// Write makes a bare repository in dir, which must not exist, with so many
// releases, and packs it.
func Write(ctx context.Context, dir string, seed uint64, releases int) (Written, error) {
	p, err := begin(dir, seed)
	if err != nil {
		return Written{}, err
	}
	err = p.play(ctx, releases)
	if closed := p.store.close(); err == nil {
		err = closed
	}
	if err == nil {
		err = p.lay(ctx)
	}
	return p.done, err
}

// Rewind puts both branches of a repository back to where they stood, or forth
// again.
func Rewind(ctx context.Context, dir string, to Heads) error {
	for ref, id := range map[string]promotion.Hash{"refs/heads/main": to.Base, promotion.LedgerRef: to.Ledger} {
		if err := git(ctx, dir, "update-ref", ref, string(id)); err != nil {
			return err
		}
	}
	return git(ctx, dir, "pack-refs", "--all")
}

// signer lends a key to the ledger.
type signer struct{ key *sign.Key }

func (s signer) KeyID() string                       { return s.key.Public().Fingerprint() }
func (s signer) AuthorizedKey() string               { return s.key.Public().AuthorizedKey() }
func (s signer) SignBytes(m []byte) ([]byte, error)  { return s.key.SignRaw(m) }
func (s signer) SignCommit(m []byte) (string, error) { return s.key.Sign(m) }

// begin prepares the directory and the key.
func begin(dir string, seed uint64) (*play, error) {
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%s is there already", dir)
	}
	for _, sub := range []string{"refs/heads/rung", "objects/pack", "objects/info"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			return nil, err
		}
	}
	var bytes [8]byte
	binary.BigEndian.PutUint64(bytes[:], seed)
	secret := sha256.Sum256(append([]byte("a key of the bench "), bytes[:]...))
	key, err := sign.NewKey(ed25519.NewKeyFromSeed(secret[:]))
	if err != nil {
		return nil, err
	}
	s, err := newStore(filepath.Join(dir, "objects", "pack", "incoming"))
	if err != nil {
		return nil, err
	}
	p := &play{
		dir: dir, store: s, key: key, random: rand.New(rand.NewPCG(seed, 1)), now: time.Date(2021, 1, 4, 9, 0, 0, 0, time.UTC),
		versions: map[promotion.Artifact]int{},
		state: promotion.LedgerState{
			Live: map[promotion.Pair]promotion.LiveEntry{}, Open: map[promotion.Pair]promotion.LedgerEntry{},
			Quarantine: map[promotion.Digest]promotion.LedgerEntry{}, Freezes: map[string]promotion.LedgerEntry{},
		},
	}
	p.writer = ledger.NewWriter(signer{key}, ledger.Identity{Repository: 20001, App: 42, URI: uri}, ledger.Author{Name: bot.Login, Email: botMail})
	p.done.Root = key.Public().Fingerprint()
	p.done.Signers = "rung namespaces=\"git\" " + key.Public().AuthorizedKey() + "\n"
	return p, nil
}

// lay writes refs, and packs everything as a server does that was cloned from.
func (p *play) lay(ctx context.Context) error {
	p.done.Heads = Heads{p.base, p.state.Tip, p.done.Releases}
	for name, text := range map[string]string{
		"HEAD": "ref: refs/heads/main\n", "config": "[core]\n\trepositoryformatversion = 0\n\tbare = true\n",
		"refs/heads/main": string(p.base) + "\n", promotion.LedgerRef: string(p.state.Tip) + "\n",
	} {
		if err := os.WriteFile(filepath.Join(p.dir, filepath.FromSlash(name)), []byte(text), 0o600); err != nil {
			return err
		}
	}
	pack := filepath.Join(p.dir, "objects", "pack")
	incoming := filepath.Join(pack, "incoming")
	named := filepath.Join(pack, "pack-"+hex.EncodeToString(make([]byte, 20)))
	if err := git(ctx, p.dir, "index-pack", "-o", named+".idx", incoming); err != nil {
		return err
	}
	if err := os.Rename(incoming, named+".pack"); err != nil {
		return err
	}
	if err := git(ctx, p.dir, "repack", "-a", "-d", "-f", "-q"); err != nil {
		return err
	}
	return git(ctx, p.dir, "pack-refs", "--all")
}

// git runs stock git on a repository, by no configuration but its own.
func git(ctx context.Context, dir string, args ...string) error {
	cmd := exec.CommandContext(ctx, "git", append([]string{"--git-dir=" + dir}, args...)...)
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_CONFIG_NOSYSTEM=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("git %s: %w: %s", args[0], err, out)
	}
	return nil
}
