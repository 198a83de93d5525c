package queue

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Schemas of rungs to come.
var (
	adds    = step{sql: `ALTER TABLE work ADD COLUMN colour TEXT NOT NULL DEFAULT 'red'; CREATE TABLE extra (id INTEGER PRIMARY KEY)`}
	changes = step{sql: `ALTER TABLE work RENAME COLUMN reason TO why`, breaks: true}
	halts   = step{sql: `CREATE TABLE half (id INTEGER PRIMARY KEY); DELETE FROM hints; INSERT INTO nowhere VALUES (1)`}
)

// rung is one that knows the schemas of today and those of the steps.
func rung(more ...step) []step { return append(slices.Clone(migrations), more...) }

// as opens a file as a rung that knows the steps, lets it work and closes it.
func as(t *testing.T, path string, steps []step, work func(*Queue)) {
	t.Helper()
	q, err := openAs(path, Options{Now: (&clock{now: start}).Now}, steps)
	check(t, err)
	work(q)
	check(t, q.Close())
}

// version is the schema of an open file, and the oldest that may use it.
func version(t *testing.T, q *Queue) [2]int {
	t.Helper()
	var v [2]int
	check(t, q.db.QueryRow(`PRAGMA user_version`).Scan(&v[0]))
	check(t, q.db.QueryRow(`SELECT oldest FROM compatibility`).Scan(&v[1]))
	return v
}

func TestANewerRungsFileIsUsedAndGivenBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rung.db")
	today, next := len(migrations), len(migrations)+1
	accept := func(q *Queue, guid string) {
		t.Helper()
		_, err := q.Accept(t.Context(), Delivery{GUID: guid, Event: "push"}, []Mark{markOf("repo/1", "push", guid)})
		check(t, err)
	}
	as(t, path, rung(), func(q *Queue) {
		accept(q, "a")
		if v := version(t, q); v != [2]int{today, oldest(migrations)} {
			t.Errorf("schema and oldest are %v", v)
		}
	})
	as(t, path, rung(adds), func(q *Queue) { accept(q, "b") })
	as(t, path, rung(), func(q *Queue) {
		if v := version(t, q); v != [2]int{next, oldest(migrations)} {
			t.Errorf("going back changed schema and oldest to %v", v)
		}
		accept(q, "c")
		w := mustClaim(t, q, "repo/1")
		if subjects(w.Hints) != "push:a push:b push:c" {
			t.Errorf("the older rung sees %s", subjects(w.Hints))
		}
		check(t, q.Fail(t.Context(), w, "stopped", start))
		if c, err := Examine(t.Context(), path); err != nil || c.Damage != "" || c.Newer != "" || c.Schema != next {
			t.Errorf("the older rung's doctor says %+v, %v", c, err)
		}
	})
	as(t, path, rung(adds), func(q *Queue) {
		var colour string
		check(t, q.db.QueryRow(`SELECT colour FROM work`).Scan(&colour))
		stats, err := q.Stats(t.Context())
		check(t, err)
		if colour != "red" || stats.Hints != 3 || version(t, q) != [2]int{next, oldest(migrations)} {
			t.Errorf("forward again: %q, %+v, %v", colour, stats, version(t, q))
		}
	})
}

func TestAFileThatANewerRungClosedIsRefusedWithAWayOut(t *testing.T) {
	next := len(migrations) + 2
	for name, c := range map[string]struct {
		spoil func(q *Queue) error
		says  string
	}{
		"a step breaks the older one": {func(*Queue) error { return nil }, fmt.Sprintf("has schema %d, of a newer rung, and says that rung must know schema %d at least to use it; this rung knows up to %d", next, next, len(migrations))},
		"a file that says nothing": {func(q *Queue) error {
			_, err := q.db.Exec(`DROP TABLE compatibility`)
			return err
		}, "does not say that an older rung may use it"},
		"a file that says it empty": {func(q *Queue) error {
			_, err := q.db.Exec(`DELETE FROM compatibility`)
			return err
		}, "does not say that an older rung may use it"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "data", "rung.db")
			as(t, path, rung(adds, changes), func(q *Queue) { check(t, c.spoil(q)) })
			_, err := Open(path, Options{})
			if err == nil || !errors.Is(err, errNewer) || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), "start the newer rung again, or delete the data directory") || strings.Contains(err.Error(), "damaged") {
				t.Errorf("open says %v", err)
			}
			seen, err := Examine(t.Context(), path)
			if err != nil || seen.Damage != "" || !strings.Contains(seen.Newer, c.says) {
				t.Errorf("examine says %+v, %v", seen, err)
			}
			as(t, path, rung(adds, changes), func(*Queue) {}) // nothing was changed by looking
			check(t, os.RemoveAll(filepath.Dir(path)))
			as(t, path, rung(), func(*Queue) {})
		})
	}
}

func TestOnlyTheStepsThatBreakCloseTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rung.db")
	as(t, path, rung(adds, changes, step{sql: `CREATE TABLE more (id INTEGER)`}), func(q *Queue) {
		if v := version(t, q); v != [2]int{len(migrations) + 3, len(migrations) + 2} {
			t.Errorf("schema and oldest are %v", v)
		}
	})
	if _, err := openAs(path, Options{}, rung(adds)); !errors.Is(err, errNewer) {
		t.Errorf("without the step that breaks: %v", err)
	}
	q, err := openAs(path, Options{}, rung(adds, changes))
	if err == nil {
		t.Cleanup(func() { _ = q.Close() })
	}
	if errors.Is(err, errNewer) {
		t.Errorf("with it: %v", err)
	}
}

func TestAFileWithoutItsOldestReaderIsTakenOver(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rung.db")
	as(t, path, rung(), func(q *Queue) {
		check(t, q.Mark(t.Context(), markOf("repo/1", "push", "a")))
		_, err := q.db.Exec(`DROP TABLE compatibility`)
		check(t, err)
	})
	as(t, path, rung(), func(q *Queue) {
		if v := version(t, q); v[1] != oldest(migrations) || subjects(mustClaim(t, q, "repo/1").Hints) != "push:a" {
			t.Errorf("schema and oldest are %v", v)
		}
	})
}

func TestNonsenseAboutReadersIsDamage(t *testing.T) {
	for _, spoil := range []string{`UPDATE compatibility SET oldest = 0`, `UPDATE compatibility SET oldest = 99`, `PRAGMA user_version = -3`} {
		path := filepath.Join(t.TempDir(), "rung.db")
		as(t, path, rung(adds), func(q *Queue) {
			_, err := q.db.Exec(spoil)
			check(t, err)
		})
		if _, err := Open(path, Options{}); err == nil || errors.Is(err, errNewer) || !strings.Contains(err.Error(), "which no rung writes") {
			t.Errorf("%s: open says %v", spoil, err)
		}
		if c, err := Examine(t.Context(), path); err != nil || !strings.Contains(c.Damage, "which no rung writes") {
			t.Errorf("%s: examine says %+v, %v", spoil, c, err)
		}
	}
}

// TestAStepThatFailsLeavesTheFileAsItWas, and so does a power cut before the commit:
// the rung that had the file before goes on with it.
func TestAStepThatFailsLeavesTheFileAsItWas(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rung.db")
	as(t, path, rung(), func(q *Queue) { check(t, q.Mark(t.Context(), markOf("repo/1", "push", "a"))) })
	intact := func(t *testing.T, path string) {
		t.Helper()
		as(t, path, rung(), func(q *Queue) {
			tables := shapeOf(t, q.db).tables
			if v := version(t, q); v != [2]int{len(migrations), oldest(migrations)} || tables["half"] != nil || tables["extra"] != nil {
				t.Errorf("schema and oldest are %v, tables %v", v, slices.Sorted(maps.Keys(tables)))
			}
			if w := mustClaim(t, q, "repo/1"); subjects(w.Hints) != "push:a" {
				t.Errorf("hints are %s", subjects(w.Hints))
			}
		})
	}
	_, err := openAs(path, Options{}, rung(adds, halts))
	if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("schema step %d: ", len(migrations)+2)) {
		t.Errorf("error is %v", err)
	}
	intact(t, path)

	cut := filepath.Join(t.TempDir(), "rung.db")
	as(t, path, rung(), func(q *Queue) {
		tx, err := q.db.Begin()
		check(t, err)
		_, err = tx.Exec(`PRAGMA cache_spill = 1; PRAGMA cache_size = 1`) // pages reach the disk before the commit
		check(t, err)
		check(t, migrate(tx, rung(adds)))
		for _, suffix := range []string{"", "-wal"} {
			data, err := os.ReadFile(path + suffix)
			check(t, err)
			check(t, os.WriteFile(cut+suffix, data, 0o600))
		}
		check(t, tx.Commit())
		if v := version(t, q); v[0] != len(migrations)+1 {
			t.Errorf("after the commit the schema is %v", v)
		}
	})
	intact(t, cut)
}
