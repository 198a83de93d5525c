package setup

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/rungbot/rung/internal/forge"
	"github.com/rungbot/rung/internal/lazyregexp"
	"github.com/rungbot/rung/internal/settings"
	"github.com/rungbot/rung/internal/sign"
)

// The files that setup writes, in this order: first what GitHub gives only once.
const (
	appKeyFile  = "app.pem"
	webhookFile = "webhook-secret"
	releaseFile = "rung-release"
	rootFile    = "rung-root"
	envFile     = "rung.env"
	ignoreFile  = ".gitignore"
)

// File is one that was written.
type File struct {
	// Name is the file's, in the directory.
	Name string
	// Secret tells that it holds one; its mode is 0600, as that of the settings.
	Secret bool
	// Fingerprint is a public key's, in the form SHA256:….
	Fingerprint string
	// Says is what it is for and where it belongs, in a few words.
	Says string
}

// place is the directory for the files.
type place struct {
	dir    string // absolute
	made   bool   // by us
	inGit  bool   // in somebody's work tree
	listed []File
}

// prepare makes the directory, or finds one that others can't read, that has none
// of the files, and that can be written to.
func prepare(dir, data string) (*place, error) {
	abs, err := filepath.Abs(dir)
	if err != nil || dir == "" {
		return nil, errors.New("--dir names no directory")
	}
	p := &place{dir: abs}
	if data != "" && settings.Inside(abs, data) {
		return nil, fmt.Errorf("--dir %s lies in the data directory %s, which may be deleted, copied and shared: name another", abs, data)
	}
	info, err := os.Stat(abs)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if err := os.MkdirAll(abs, 0o700); err != nil {
			return nil, fmt.Errorf("the directory %s can't be made (%w): name another with --dir", abs, cause(err))
		}
		p.made = true
	case err != nil:
		return nil, fmt.Errorf("the directory %s can't be looked at (%w): name another with --dir", abs, cause(err))
	case !info.IsDir():
		return nil, fmt.Errorf("%s is a file, not a directory: name another with --dir", abs)
	case info.Mode().Perm()&0o077 != 0:
		return nil, fmt.Errorf("the directory %s may be read or changed by others (mode %04o): run chmod 700 on it, or name another with --dir", abs, info.Mode().Perm())
	}
	p.inGit = inWorkTree(abs)
	if err := p.free(); err != nil {
		return nil, err
	}
	if err := p.writable(); err != nil {
		return nil, errors.Join(err, p.leave())
	}
	return p, nil
}

// free tells what is there of the files already.
func (p *place) free() error {
	var there []string
	for _, name := range []string{appKeyFile, webhookFile, releaseFile, releaseFile + ".pub", rootFile, rootFile + ".pub", envFile} {
		if _, err := os.Lstat(filepath.Join(p.dir, name)); err == nil {
			there = append(there, name)
		} else if !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%s can't be looked at (%w): name another directory with --dir", filepath.Join(p.dir, name), cause(err))
		}
	}
	if len(there) > 0 {
		return fmt.Errorf("%s has %s already, and nothing is overwritten: move the files away, or name another directory with --dir", p.dir, strings.Join(there, ", "))
	}
	return nil
}

// writable tries, so that a full or read-only disk is known before GitHub gives
// away what it gives once.
func (p *place) writable() error {
	name := filepath.Join(p.dir, ".rung-setup-"+rand.Text())
	err := sign.WriteNewFile(name, make([]byte, 16<<10), 0o600)
	if err == nil {
		err = os.Remove(name)
	}
	if err != nil {
		return fmt.Errorf("nothing can be written to %s (%w): name another directory with --dir", p.dir, cause(err))
	}
	return nil
}

// leave removes the directory if we made it and nothing was written to it.
func (p *place) leave() error {
	if !p.made || len(p.listed) > 0 {
		return nil
	}
	return os.Remove(p.dir)
}

// inWorkTree tells whether a directory lies in a git work tree.
func inWorkTree(dir string) bool {
	for {
		if _, err := os.Lstat(filepath.Join(dir, ".git")); err == nil {
			return true
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return false
		}
		dir = parent
	}
}

// write makes one file and lists it.
func (p *place) write(f File, data []byte) error {
	mode := fs.FileMode(0o644)
	if f.Secret || f.Name == envFile {
		mode = 0o600
	}
	if err := sign.WriteNewFile(filepath.Join(p.dir, f.Name), data, mode); err != nil {
		return p.unwritten(f.Name, err)
	}
	p.listed = append(p.listed, f)
	return nil
}

// unwritten says why a file is not there.
func (p *place) unwritten(name string, err error) error {
	if errors.Is(err, fs.ErrExist) {
		return err // it says all
	}
	return fmt.Errorf("%s can't be written: %w", filepath.Join(p.dir, name), cause(err))
}

// writeAll writes everything. On an error the files that were written are listed
// and stay.
func (p *place) writeAll(t target, app forge.NewApp) error {
	if p.inGit {
		// Secrets in a work tree are a commit away from everybody. One that is
		// there already is somebody's own.
		if err := sign.WriteNewFile(filepath.Join(p.dir, ignoreFile), []byte("*\n"), 0o644); err != nil && !errors.Is(err, fs.ErrExist) {
			return p.unwritten(ignoreFile, err)
		}
	}
	if err := p.write(File{Name: appKeyFile, Secret: true, Says: "the App's private key: rung signs in to GitHub with it"}, []byte(app.PrivateKey.Reveal())); err != nil {
		return err
	}
	if err := p.write(File{Name: webhookFile, Secret: true, Says: "proves that an event comes from GitHub"}, []byte(app.WebhookSecret.Reveal()+"\n")); err != nil {
		return err
	}
	if err := p.writeKey(releaseFile, "the release key: signs commits and records, and stays with the service"); err != nil {
		return err
	}
	if err := p.writeKey(rootFile, "the root key: says which release keys count; carry it away from this machine"); err != nil {
		return err
	}
	return p.write(File{Name: envFile, Says: "the settings, which name these files and hold no secret"}, p.environment(t, app))
}

// writeKey makes a key and writes both halves.
func (p *place) writeKey(name, says string) error {
	key, err := sign.WriteNewKey(filepath.Join(p.dir, name), name)
	if err != nil {
		return p.unwritten(name, err)
	}
	p.listed = append(p.listed, File{Name: name, Secret: true, Says: says}, File{Name: name + ".pub", Fingerprint: key.Fingerprint(), Says: "its public half"})
	return nil
}

// environment is rung.env: one form for shells, systemd, compose and docker, as
// long as no path has to be quoted.
func (p *place) environment(t target, app forge.NewApp) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "# Settings of rung for the GitHub App %s (%s). Written by rung setup; no secret is in here.\n", app.Slug, t.appURL(app))
	for _, pair := range [][2]string{
		{"RUNG_GITHUB_URL", t.github.String()},
		{"RUNG_GITHUB_APP_ID", fmt.Sprint(app.ID)},
		{"RUNG_GITHUB_PRIVATE_KEY_FILE", filepath.Join(p.dir, appKeyFile)},
		{"RUNG_GITHUB_WEBHOOK_SECRETS_FILE", filepath.Join(p.dir, webhookFile)},
		{"RUNG_SIGNING_KEY_FILE", filepath.Join(p.dir, releaseFile)},
		{"RUNG_BOARD_URL", t.url},
	} {
		fmt.Fprintf(&b, "%s=%s\n", pair[0], Quote(pair[1]))
	}
	// A trust list is made for one repository, so that this can't be set yet.
	fmt.Fprintf(&b, "# The root key counts where a trust list that it signed is in force (rung keys rotate); then also:\n# RUNG_ROOT_KEYS=%s\n", Quote(filepath.Join(p.dir, rootFile+".pub")))
	return []byte(b.String())
}

var plain = lazyregexp.New(`^[A-Za-z0-9_@%+=:,./-]+$`)

// Quote writes a word so that a POSIX shell takes it as it is.
func Quote(word string) string {
	if plain.MatchString(word) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
