package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/rungbot/rung/internal/audit"
	"github.com/rungbot/rung/internal/settings"
	"github.com/rungbot/rung/internal/sign"
)

// keysCommand holds the commands about keys.
type keysCommand struct {
	Init   keysInitCommand   `cmd:"" help:"Make a release key and a root key."`
	Rotate keysRotateCommand `cmd:"" help:"Make a statement that puts another trust list in force, signed by a root key."`
	Revoke keysRevokeCommand `cmd:"" help:"Make a statement that takes the trust in a key back, from one ledger commit on."`
	Show   keysShowCommand   `cmd:"" help:"Show whose signatures count, and how that came."`
}

// keysInitCommand makes the keys' files.
type keysInitCommand struct {
	Directory string `arg:"" optional:"" default:"." type:"path" help:"Where the files are to lie: not in RUNG_DATA."`
	Only      string `enum:"both,release,root" default:"both" help:"Which key to make: release, root or both."`
	JSON      bool   `help:"Print what was made as JSON."`
}

// Help says what is written.
func (keysInitCommand) Help() string {
	return "Writes rung-release and rung-root (private keys in OpenSSH's form, mode 0600) and their .pub files. It overwrites nothing. Make the root key on a machine that is not online, or carry it away from where it was made; docs/keys.md says where each belongs."
}

// madeKey is one key that was made.
type madeKey struct {
	Role        string `json:"role"`
	File        string `json:"file"`
	Fingerprint string `json:"fingerprint"`
	Public      string `json:"public"`
}

// Run makes the keys and says where they belong.
func (c keysInitCommand) Run(io streams) error {
	if data := dataDirectory(io.env); settings.Inside(c.Directory, data) {
		return fmt.Errorf("%s lies in the data directory %s: keys never live there, for it may be deleted, copied and shared; name another directory", c.Directory, data)
	}
	var made []madeKey
	for _, role := range []string{"release", "root"} {
		if c.Only != "both" && c.Only != role {
			continue
		}
		k, err := makeKey(c.Directory, role)
		if err != nil {
			return err
		}
		made = append(made, k)
	}
	if c.JSON {
		return encode(io, made)
	}
	w := tabwriter.NewWriter(io.out, 0, 8, 2, ' ', 0)
	for _, k := range made {
		fmt.Fprintf(w, "%s key\t%s\t%s\n", k.Role, k.File, k.Fingerprint)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, k := range made {
		fmt.Fprintln(io.out, "\n"+whereItBelongs(k))
	}
	return nil
}

// dataDirectory is RUNG_DATA, or its default.
func dataDirectory(env []string) string {
	for _, pair := range env {
		if value, ok := strings.CutPrefix(pair, "RUNG_DATA="); ok && value != "" {
			return value
		}
	}
	s, err := settings.Load(nil)
	if err != nil {
		return "/var/lib/rung"
	}
	return s.Data
}

func whereItBelongs(k madeKey) string {
	if k.Role == "root" {
		return fmt.Sprintf("%s belongs on no machine that is online: carry it away, with a copy, and give it a passphrase there (ssh-keygen -p -f rung-root).\nrung keys rotate puts it in force; from then on serve gets its public half: RUNG_ROOT_KEYS='%s'.\nPublish its fingerprint where your auditors look: rung verify --root %s.", k.File, k.Public, k.Fingerprint)
	}
	return fmt.Sprintf("%s belongs where rung serve runs, outside its data directory: RUNG_SIGNING_KEY_FILE=%s, or in an ssh-agent there: RUNG_SIGNING_KEY_AGENT=%s.", k.File, k.File, k.Fingerprint)
}

// makeKey writes a new key and its public half, both or none.
func makeKey(directory, role string) (madeKey, error) {
	name := filepath.Join(directory, "rung-"+role)
	key, err := sign.WriteNewKey(name, "rung-"+role)
	if err != nil {
		return madeKey{}, err
	}
	return madeKey{Role: role, File: name, Fingerprint: key.Fingerprint(), Public: key.AuthorizedKey()}, nil
}

// keysShowCommand prints the trust list in force.
type keysShowCommand struct {
	Path string `arg:"" optional:"" default:"." type:"path" help:"Local clone, bare or not, with the branch rung/ledger."`
	Root string `placeholder:"FINGERPRINT" help:"Fingerprint (SHA256:…) of the key that must have begun the ledger."`
	JSON bool   `help:"Print it as JSON."`
}

// Help says what it reads and what the codes mean.
func (keysShowCommand) Help() string {
	return "Reads the clone alone and verifies it on the way: exits 1 when the history does not hold, and 2 when it could not be judged whole."
}

// Run prints the keys and their history.
func (c keysShowCommand) Run(ctx context.Context, io streams) error {
	_, verified, err := read(ctx, c.Path, c.Root)
	if err != nil {
		return err
	}
	if c.JSON {
		return verdict(verified, encode(io, verified.Trust))
	}
	return verdict(verified, printTrust(io, verified))
}

func printTrust(io streams, r *audit.Report) error {
	t := r.Trust
	if t.OwnRoot {
		fmt.Fprintln(io.out, "There is NO ROOT KEY: the release key is its own root, and whoever has it can replace it; if it is lost, nobody can go on with this ledger. rung keys init makes one, rung keys rotate puts it in force.")
	}
	fmt.Fprintf(io.out, "trust list %d at ledger commit %s; the ledger stands on %s\n\n", t.Serial, r.Ledger.Head.Short(), r.Root)
	w := tabwriter.NewWriter(io.out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "ROLE\tKEY\tTIME\tSIGNED")
	for _, k := range t.Keys {
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\n", k.Role, k.Fingerprint, keyTime(k), k.Signed)
	}
	if len(t.Changes) > 0 {
		fmt.Fprintln(w, "\nSERIAL\tSIGNED AT\tBY\tIN LEDGER COMMIT\tREASON")
	}
	for _, ch := range t.Changes {
		fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\n", ch.Serial, ch.At.Format(time.RFC3339), ch.SignedBy, ch.Ledger.Short(), ch.Reason)
	}
	return w.Flush()
}

func keyTime(k audit.TrustKey) string {
	var parts []string
	if k.RevokedAfter != "" {
		parts = append(parts, "REVOKED after "+k.RevokedAfter.Short())
	}
	if !k.ValidAfter.IsZero() {
		parts = append(parts, "from "+k.ValidAfter.Format(time.RFC3339))
	}
	if !k.ValidBefore.IsZero() {
		parts = append(parts, "until "+k.ValidBefore.Format(time.RFC3339))
	}
	if len(parts) == 0 {
		return "no end"
	}
	return strings.Join(parts, ", ")
}
