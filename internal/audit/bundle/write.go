package bundle

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/rungbot/rung/internal/audit"
	"github.com/rungbot/rung/internal/ledger"
	"github.com/rungbot/rung/internal/progress"
	"github.com/rungbot/rung/internal/promotion"
)

//go:embed readme.txt
var readmeText []byte

// Options say what goes into an archive, or what is expected of one.
type Options struct {
	// Audit are the options of the verification. Each is called as well.
	Audit audit.Options
	// Rung is the version of the program.
	Rung string
	// Reports makes the caller's files of what the verification found; it is
	// called once, after every record was told. asOf is the time of the newest
	// record: a report that ends there is the same whenever it is made. nil adds
	// nothing.
	Reports func(verified *audit.Report, asOf time.Time) ([]Report, error)
}

// Write verifies a clone and writes its evidence to a file, which must not exist.
// A clone that was tampered with is evidence as well: the archive is written, and
// the report says what was found. One that can't be judged whole is an error, and
// nothing is written. What was packed is unpacked again, and the reports are made
// of that: they don't depend on how the clone names its branches.
func Write(ctx context.Context, clone, file string, o Options) (*audit.Report, *Manifest, error) {
	if _, err := os.Lstat(file); !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, fmt.Errorf("%s exists already (or can't be looked at): evidence is not overwritten, give another name", file)
	}
	judged := o.Audit
	judged.Each = nil
	report, err := audit.Verify(ctx, clone, judged)
	if err != nil {
		return nil, nil, err
	}
	if err := whole(&report); err != nil {
		return &report, nil, err
	}
	dir, err := os.MkdirTemp(filepath.Dir(file), ".rung-bundle-")
	if err != nil {
		return &report, nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	w := writer{dir: dir, manifest: Manifest{
		Format: Format, Rung: o.Rung,
		Base: audit.RefHead{Ref: branch(report.Base.Ref), Head: report.Base.Head}, Ledger: audit.RefHead{Ref: promotion.LedgerRef, Head: report.Ledger.Head},
	}}
	progress.Begin(ctx, "writing the archive, and reading it back", "", 0)
	if err := w.collect(ctx, clone, o); err != nil {
		return &report, nil, err
	}
	if err := w.archive(file); err != nil {
		return &report, nil, fmt.Errorf("write %s: %w", file, err)
	}
	return &report, &w.manifest, nil
}

// whole says why a clone can't be put away.
func whole(r *audit.Report) error {
	for _, f := range r.Findings {
		if f.Code.Class() == audit.Unjudged {
			return fmt.Errorf("this clone could not be judged whole, and nothing is written: %s %s: it has %s; wanted: %s", f.Code, f.Object, f.Found, f.Expected)
		}
	}
	if r.Ledger.Head == "" || r.Base.Head == "" {
		return errors.New("this clone has no ledger or no base branch, and nothing is written: git fetch origin rung/ledger:refs/remotes/origin/rung/ledger")
	}
	return nil
}

// facts are what the records say of the repository.
type facts struct {
	each       func(audit.Entry)
	repository Repository
	asOf       time.Time
}

func (f *facts) read(e audit.Entry) {
	if !e.Doubted {
		f.repository = Repository{e.Record.Repository.URI, e.Record.Repository.ID}
		if e.Record.IssuedAt.After(f.asOf) {
			f.asOf = e.Record.IssuedAt
		}
	}
	if f.each != nil {
		f.each(e)
	}
}

// branch is a ref of a clone as the branch that it stands for.
func branch(ref string) string {
	for _, prefix := range []string{"refs/heads/", "refs/remotes/origin/"} {
		if name, ok := strings.CutPrefix(ref, prefix); ok {
			return "refs/heads/" + name
		}
	}
	return "refs/heads/main" // a detached head
}

// writer is one archive being written, its parts in a directory.
type writer struct {
	dir      string
	manifest Manifest
}

// collect makes the parts and lists them in the manifest.
func (w *writer) collect(ctx context.Context, clone string, o Options) error {
	packed, err := w.git(ctx, clone)
	if err != nil {
		return err
	}
	b := Bundle{dir: w.dir}
	f := facts{each: o.Audit.Each}
	report, err := b.reread(ctx, w.path(gitName), &f)
	if err != nil {
		return err
	}
	w.manifest.Repository, w.manifest.Root, w.manifest.AsOf = f.repository, report.Root, f.asOf.UTC()
	first, signers, err := trust(b.Dir(), report.Ledger.Head)
	if err != nil {
		return err
	}
	w.manifest.First = string(first)
	files := []Report{{readmeName, readmeText}, {signersName, signers}}
	if o.Reports != nil {
		reports, err := o.Reports(report, w.manifest.AsOf)
		if err != nil {
			return err
		}
		files = append(files, reports...)
	}
	for _, r := range files {
		if !nameGrammar.MatchString(r.Name) {
			return fmt.Errorf("%q is no name for a report", r.Name)
		}
		part, err := w.part(r.Name, func(to io.Writer) error {
			_, err := to.Write(r.Data)
			return err
		})
		if err != nil {
			return err
		}
		w.manifest.Files = append(w.manifest.Files, part)
	}
	w.manifest.Files = append(w.manifest.Files, packed)
	return nil
}

// git packs both branches.
func (w *writer) git(ctx context.Context, clone string) (File, error) {
	c, err := audit.OpenClone(clone)
	if err != nil {
		return File{}, err
	}
	defer c.Close()
	m := &w.manifest
	list, err := c.Reach(ctx, m.Base.Head, m.Ledger.Head)
	if err != nil {
		return File{}, err
	}
	return w.part(gitName, func(to io.Writer) error {
		if _, err := fmt.Fprintf(to, "%s%s %s\n%s %s\n%s HEAD\n\n", signature2, m.Base.Head, m.Base.Ref, m.Ledger.Head, m.Ledger.Ref, m.Base.Head); err != nil {
			return err
		}
		return writePack(ctx, to, c, list)
	})
}

// reread unpacks what was packed and judges it as whoever reads it will.
func (b *Bundle) reread(ctx context.Context, path string, f *facts) (*audit.Report, error) {
	file, err := os.Open(path) // #nosec G304 -- just written
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	if err := b.git(ctx, file); err != nil {
		return nil, fmt.Errorf("what was packed can't be read again: %w", err)
	}
	report, err := audit.Verify(ctx, b.Dir(), audit.Options{Each: f.read})
	return &report, err
}

// trust is the ledger's first commit, and its trust list.
func trust(dir string, head promotion.Hash) (promotion.Hash, []byte, error) {
	c, err := audit.OpenClone(dir)
	if err != nil {
		return "", nil, err
	}
	defer c.Close()
	first, err := c.First(head)
	if err != nil {
		return "", nil, err
	}
	signers, err := c.File(first, ledger.SignersPath)
	return first, signers, err
}

// part writes one entry's bytes.
func (w *writer) part(name string, write func(io.Writer) error) (File, error) {
	f, err := os.OpenFile(w.path(name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return File{}, err
	}
	h := sha256.New()
	err = write(io.MultiWriter(f, h))
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return File{}, fmt.Errorf("%s: %w", name, err)
	}
	info, err := os.Stat(w.path(name))
	if err != nil {
		return File{}, err
	}
	return File{name, info.Size(), hex.EncodeToString(h.Sum(nil))}, nil
}

// path is where an entry's bytes lie, flat.
func (w *writer) path(name string) string {
	return filepath.Join(w.dir, strings.ReplaceAll(name, "/", "+"))
}

// archive puts the parts together.
func (w *writer) archive(to string) error {
	manifest, err := w.manifest.encode()
	if err != nil {
		return err
	}
	sum := sha256.Sum256(manifest)
	all := append([]File{{manifestName, int64(len(manifest)), hex.EncodeToString(sum[:])}}, w.manifest.Files...)
	f, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644) // #nosec G302 -- evidence is for others to read
	if err != nil {
		return err
	}
	t := tar.NewWriter(f)
	err = w.entries(t, manifest, sums(all))
	for _, done := range []func() error{t.Close, f.Sync, f.Close} {
		if failed := done(); err == nil {
			err = failed
		}
	}
	if err != nil {
		_ = os.Remove(to)
	}
	return err
}

func (w *writer) entries(t *tar.Writer, manifest, sums []byte) error {
	for _, e := range []Report{{manifestName, manifest}, {sumsName, sums}} {
		if err := w.header(t, e.Name, int64(len(e.Data))); err != nil {
			return err
		}
		if _, err := t.Write(e.Data); err != nil {
			return err
		}
	}
	for _, part := range w.manifest.Files {
		if err := w.header(t, part.Name, part.Size); err != nil {
			return err
		}
		f, err := os.Open(w.path(part.Name))
		if err != nil {
			return err
		}
		_, err = io.Copy(t, f)
		if closed := f.Close(); err == nil {
			err = closed
		}
		if err != nil {
			return fmt.Errorf("%s: %w", part.Name, err)
		}
	}
	return nil
}

// header tells nothing of where and when the archive was written: its time is that
// of the newest record.
func (w *writer) header(t *tar.Writer, name string, size int64) error {
	h := &tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: size, ModTime: w.manifest.AsOf, Format: tar.FormatUSTAR}
	if size > maxUSTAR {
		h.Format = tar.FormatGNU
	}
	return t.WriteHeader(h)
}

// maxUSTAR is the largest size that a USTAR header holds, in bytes.
const maxUSTAR = 1<<33 - 1
