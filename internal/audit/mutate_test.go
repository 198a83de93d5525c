package audit

import (
	"bytes"
	"compress/zlib"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/rungbot/rung/internal/promotion"
)

// mutations is how many there are of each kind: 1,000, about a minute of a
// processor, or as many as RUNG_MUTATIONS says (make mutate: 10,000).
func mutations(t *testing.T) int {
	t.Helper()
	text := os.Getenv("RUNG_MUTATIONS")
	if text == "" {
		return 1000
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("RUNG_MUTATIONS is %q: a number of mutations is wanted", text)
	}
	return n
}

// twenty grows a repository of 20 releases by rung, with what happens around
// them, and ends with a commit that no record covers.
func twenty(w *world) {
	w.start()
	dev, staging, prod := pair("dev", "checkout"), pair("staging", "checkout"), pair("prod", "checkout")
	for n, version := range []string{"1.1.0", "1.2.0", "1.3.0", "1.4.0", "1.5.0", "1.6.0"} {
		first := w.promote(ride{pair: dev, version: version, squash: n%2 == 1})
		w.settle(dev, promotion.SettledGood)
		w.promote(ride{pair: staging, version: version, from: "dev", byHand: n%3 == 1, squash: n%3 == 1})
		w.settle(staging, promotion.SettledGood)
		w.promote(ride{pair: prod, version: version, from: "staging"})
		switch n {
		case 1:
			w.append("", promotion.Record{Kind: promotion.RecordFreeze, Scope: "prod/checkout", Reason: "sale"})
			w.append("", promotion.Record{Kind: promotion.RecordUnfreeze, Scope: "prod/checkout"})
		case 2:
			adopt := w.changed(pair("dev", "cart"), "2.0.0")
			w.append(w.base, adopt)
		case 3, 5:
			w.promote(ride{pair: dev, version: version + "-rc", squash: true})
			w.settle(dev, promotion.SettledBad)
			w.quarantine(promotion.RecordQuarantine, digest("checkout", version+"-rc"))
			w.promote(ride{pair: dev, version: version, restores: first.Statement})
		case 4:
			to := w.hand("more replicas", map[string]string{"environments/prod/deployment.yaml": deployment + "# more\n"})
			w.append(w.base, promotion.Record{Kind: promotion.RecordAdopt, Range: &promotion.RecordRange{To: to}, Actor: promotion.Actor{Kind: "person"}})
		}
	}
	clear(w.branches)
	w.hand("nobody's promise", map[string]string{"README.md": "hello\n"})
}

// twentyReleases is that repository, pushed.
func twentyReleases(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	twenty(w)
	w.push()
	report, found := w.verify(Options{Strict: true})
	if found != "" || report.Promotions+report.Rollbacks < 20 {
		t.Fatal(found, &report, show(report))
	}
	return w
}

// shared runs work n times, half of them in each of two copies of a repository.
// Work gets the number of the mutation.
func shared(t *testing.T, w *world, n int, work func(own *world, number int)) {
	t.Helper()
	percent := debug.SetGCPercent(400) // each run leaves little behind
	t.Cleanup(func() { debug.SetGCPercent(percent) })
	t.Run("all", func(t *testing.T) {
		for part := range 2 {
			t.Run(fmt.Sprintf("part %d", part+1), func(t *testing.T) {
				t.Parallel()
				own := w.copied(t)
				for number := part; number < n; number += 2 {
					work(own, number)
				}
			})
		}
	})
}

// loosened are copies of a repository, each with another share of the objects loose
// and the rest in a pack: to read hundreds of small files would cost more than to
// judge them. It returns the loose files' names, by copy.
func (w *world) loosened(t *testing.T, n int) (copies []*world, names [][]string) {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(w.dir, "objects", "??", "*"))
	w.ok(err)
	for share := range n {
		own := *w
		own.dir = filepath.Join(t.TempDir(), "deploy.git")
		var loose []string
		var packed strings.Builder
		for i, name := range all {
			id, _ := filepath.Rel(w.dir, name)
			if i%n != share {
				packed.WriteString(filepath.Base(filepath.Dir(name)) + filepath.Base(name) + "\n")
				continue
			}
			loose = append(loose, filepath.Join(own.dir, id))
			own.copyFile(w, id)
		}
		w.ok(os.MkdirAll(filepath.Join(own.dir, "objects", "pack"), 0o700))
		w.git(packed.String(), "pack-objects", "-q", filepath.Join(own.dir, "objects", "pack", "pack"))
		for _, name := range []string{"HEAD", "config", "refs/heads/main", ledgerRef} {
			own.copyFile(w, filepath.FromSlash(name))
		}
		copies, names = append(copies, &own), append(names, loose)
	}
	return copies, names
}

// copyFile copies a file of another repository.
func (w *world) copyFile(from *world, name string) {
	w.Helper()
	data, err := os.ReadFile(filepath.Join(from.dir, name))
	w.ok(err)
	w.ok(os.MkdirAll(filepath.Dir(filepath.Join(w.dir, name)), 0o700))
	w.ok(os.WriteFile(filepath.Join(w.dir, name), data, 0o600))
}

// TestFlips flips bits of objects, any of them: in the file as it lies on disk,
// and in what it holds, packed again under the same name. No flip may pass. One
// that unpacks to the same bytes changed nothing, and another is made.
func TestFlips(t *testing.T) {
	w := twentyReleases(t)
	const shares = 16
	copies, names := w.loosened(t, shares)
	objects := 0
	for _, loose := range names {
		objects += len(loose)
	}
	var flips, same atomic.Int64
	shared(t, w, mutations(t), func(own *world, number int) {
		random := rand.New(rand.NewPCG(1, uint64(number)))
		share := 2*random.IntN(shares/2) + number%2 // each in one goroutine
		own.dir = copies[share].dir
		name := names[share][random.IntN(len(names[share]))]
		old, err := os.ReadFile(name)
		own.ok(err)
		id := filepath.Base(filepath.Dir(name)) + filepath.Base(name)
		inside := random.IntN(2) == 0
		for !own.flip(random, id, name, old, inside) {
			same.Add(1)
		}
		flips.Add(1)
		report, err := Verify(own.ctx, own.dir, Options{})
		if err == nil && (report.ExitCode() == 0 || report.OK) {
			own.Errorf("flip %d, in %s (inside: %t), passes", number, id, inside)
		}
		own.ok(os.WriteFile(name, old, 0o600))
	})
	t.Logf("%d flips in %d objects: none passed; %d more changed nothing", flips.Load(), objects, same.Load())
	if flips.Load() != int64(mutations(t)) {
		t.Errorf("%d flips, want %d", flips.Load(), mutations(t))
	}
}

// flip changes one bit and reports whether the object is another then.
func (w *world) flip(random *rand.Rand, id, name string, file []byte, inside bool) bool {
	w.Helper()
	whole := inflated(file)
	if inside {
		whole[random.IntN(len(whole))] ^= 1 << random.IntN(8)
		w.putAs(id, string(whole))
		return true
	}
	file = bytes.Clone(file)
	file[random.IntN(len(file))] ^= 1 << random.IntN(8)
	w.ok(os.WriteFile(name, file, 0o600))
	return !bytes.Equal(inflated(file), whole)
}

// inflated unpacks a loose object as far as it goes.
func inflated(file []byte) []byte {
	z, err := zlib.NewReader(bytes.NewReader(file))
	if err != nil {
		return nil
	}
	data, err := io.ReadAll(z)
	if err != nil {
		return append(data, "damaged"...)
	}
	return data
}

// TestFlippedPack flips bits of a pack: none may pass.
func TestFlippedPack(t *testing.T) {
	w := twentyReleases(t)
	pack := w.packed(".pack")
	old, err := os.ReadFile(pack)
	w.ok(err)
	n := mutations(t) / 10
	shared(t, w, n, func(own *world, number int) {
		random := rand.New(rand.NewPCG(3, uint64(number)))
		name := filepath.Join(own.dir, "objects", "pack", filepath.Base(pack))
		data := bytes.Clone(old)
		at := random.IntN(len(data))
		data[at] ^= 1 << random.IntN(8)
		own.ok(os.Chmod(name, 0o600))
		own.ok(os.WriteFile(name, data, 0o600))
		report, err := Verify(own.ctx, own.dir, Options{})
		if err == nil && (report.ExitCode() == 0 || report.OK) {
			own.Errorf("flip %d, at byte %d of the pack, passes", number, at)
		}
	})
	t.Logf("%d flips in a pack of %d bytes: none passed", n, len(old))
}
