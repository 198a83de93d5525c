package queue

import (
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

// released are the hashes of the steps that somebody may have taken, in their order.
// Only add to them: the hash of a new step is in what the test says.
var released = []string{
	"3ad621e0777d27ed8bb5d47dab85f2c06c20f45d0da2afc9dcf9c139e12a45cc",
}

// TestStepsAreNeverEdited fails for a step that differs from what it was, or that is
// not written down yet.
func TestStepsAreNeverEdited(t *testing.T) {
	for i, s := range migrations {
		sum := sha256.Sum256(fmt.Appendf(nil, "breaks %t\n%s", s.breaks, s.sql))
		hash := hex.EncodeToString(sum[:])
		switch {
		case i >= len(released):
			t.Errorf("schema step %d is new: write its hash %s at the end of released", i+1, hash)
		case hash != released[i]:
			t.Errorf("schema step %d was edited: put it back, and make another step of the change", i+1)
		}
	}
	if len(migrations) < len(released) {
		t.Errorf("%d of %d released steps are gone", len(released)-len(migrations), len(released))
	}
}

// TestOnlyDeclaredStepsBreakTheRungBefore holds each step that does not declare it to
// leaving everything as the rung before knows it.
func TestOnlyDeclaredStepsBreakTheRungBefore(t *testing.T) {
	if !migrations[0].breaks {
		t.Error("the first step does not say that a rung without it can't read the file")
	}
	for n := 1; n < len(migrations); n++ {
		if why := broken(t, migrations, n, rows); why != "" && !migrations[n].breaks {
			t.Errorf("schema step %d breaks the rung before it and does not say so: %s", n+1, why)
		}
	}
	for table := range shapeOf(t, fileOf(t, migrations)).tables {
		if table != "compatibility" && !slices.ContainsFunc(slices.Concat(rows...), func(sql string) bool { return strings.HasPrefix(sql, "INSERT INTO "+table+" ") }) {
			t.Errorf("rows has none for the table %s", table)
		}
	}
}

// rows are what a rung of a schema writes into its tables: the first list into those
// of step 1, and so on. Only add to them.
var rows = [][]string{{
	`INSERT INTO deliveries (guid, event, action, repository, installation, received_at, finished_at, state, payload) VALUES ('g', 'push', '', 1, 2, 3, 0, 'received', x'00')`,
	`INSERT INTO waiting (key, guid, generation) VALUES ('repo/1', 'g', 1)`,
	`INSERT INTO work (key, ready_at, next_at, reason, attempt, error, owner, generation) VALUES ('repo/1', 5, NULL, 'push', 1, '', 'worker', 1)`,
	`INSERT INTO hints (key, generation, kind, subject, at, data) VALUES ('repo/1', 1, 'push', 'main', 4, NULL)`,
	`INSERT INTO views (key, name, at, data) VALUES ('repo/1', 'board', 6, x'7b7d')`,
	`INSERT INTO counter (id, value) SELECT 1, 0 WHERE NOT EXISTS (SELECT 1 FROM counter)`,
	`UPDATE counter SET value = value + 1`,
}}

// broken says what step n does to a rung that knows only those before it, whose rows
// are what it writes; empty for nothing.
func broken(t *testing.T, steps []step, n int, rows [][]string) string {
	t.Helper()
	db := fileOf(t, steps[:n])
	fill := func() error {
		for _, insert := range slices.Concat(rows[:min(n, len(rows))]...) {
			if _, err := db.Exec(insert); err != nil {
				return err
			}
		}
		return nil
	}
	check(t, fill())
	before := shapeOf(t, db)
	held := contents(t, db, before)
	if _, err := db.Exec(steps[n].sql); err != nil {
		return fmt.Sprintf("it fails on the rows of the rung before: %v", err)
	}
	if why := before.missing(shapeOf(t, db)); why != "" {
		return why
	}
	if now := contents(t, db, before); now != held {
		return fmt.Sprintf("rows are others than before:\n%s\n%s", held, now)
	}
	for table := range before.tables {
		if _, err := db.Exec(`DELETE FROM ` + table); err != nil {
			return fmt.Sprintf("rows of %s can't be deleted: %v", table, err)
		}
	}
	if err := fill(); err != nil {
		return fmt.Sprintf("what the rung before writes is refused: %v", err)
	}
	first := contents(t, fileOf(t, steps[:n], func(old *sql.DB) {
		for table := range before.tables {
			_, err := old.Exec(`DELETE FROM ` + table)
			check(t, err)
		}
		for _, insert := range slices.Concat(rows[:min(n, len(rows))]...) {
			_, err := old.Exec(insert)
			check(t, err)
		}
	}), before)
	if now := contents(t, db, before); now != first {
		return fmt.Sprintf("what the rung before writes becomes something else:\n%s\n%s", first, now)
	}
	return ""
}

// fileOf is a database in memory that took the steps.
func fileOf(t *testing.T, steps []step, more ...func(*sql.DB)) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", "file::memory:")
	check(t, err)
	db.SetMaxOpenConns(1)
	t.Cleanup(func() { check(t, db.Close()) })
	for _, s := range steps {
		_, err := db.Exec(s.sql)
		check(t, err)
	}
	for _, f := range more {
		f(db)
	}
	return db
}

// shape is what an older rung knows of a file.
type shape struct {
	// tables have each column with what it takes, a table's kind under its own name.
	tables map[string]map[string]string
	// unique are the unique indexes of a table, and triggers what fires on it.
	unique, triggers map[string][]string
}

func shapeOf(t *testing.T, db *sql.DB) shape {
	t.Helper()
	s := shape{tables: map[string]map[string]string{}, unique: map[string][]string{}, triggers: map[string][]string{}}
	for _, r := range list(t, db, `SELECT l.name, c.name, c.type || ' notnull=' || c."notnull" || ' default=' || coalesce(c.dflt_value, '-') || ' pk=' || c.pk || ' hidden=' || c.hidden || ' without=' || l.wr || ' strict=' || l.strict
		FROM pragma_table_list l, pragma_table_xinfo(l.name) c WHERE l.schema = 'main' AND l.type = 'table' AND l.name NOT LIKE 'sqlite_%'`) {
		if s.tables[r[0]] == nil {
			s.tables[r[0]] = map[string]string{}
		}
		s.tables[r[0]][r[1]] = r[2]
	}
	for _, r := range list(t, db, `SELECT l.name, i.partial || ' ' || (SELECT group_concat(coalesce(c.name, 'an expression'), ',') FROM pragma_index_info(i.name) c), ''
		FROM pragma_table_list l, pragma_index_list(l.name) i WHERE l.schema = 'main' AND i."unique" ORDER BY 1, 2`) {
		s.unique[r[0]] = append(s.unique[r[0]], r[1])
	}
	for _, r := range list(t, db, `SELECT tbl_name, name, '' FROM sqlite_schema WHERE type = 'trigger' ORDER BY 1, 2`) {
		s.triggers[r[0]] = append(s.triggers[r[0]], r[1])
	}
	return s
}

func list(t *testing.T, db *sql.DB, query string) [][3]string {
	t.Helper()
	found, err := db.Query(query)
	check(t, err)
	defer func() { check(t, found.Close()) }()
	var all [][3]string
	for found.Next() {
		var r [3]string
		check(t, found.Scan(&r[0], &r[1], &r[2]))
		all = append(all, r)
	}
	check(t, found.Err())
	return all
}

// missing says what of s is not so any more in a later shape.
func (s shape) missing(later shape) string {
	for table, columns := range s.tables {
		for column, is := range columns {
			if now := later.tables[table][column]; now != is {
				return fmt.Sprintf("%s.%s was %q and is %q", table, column, is, now)
			}
		}
		if !slices.Equal(s.unique[table], later.unique[table]) {
			return fmt.Sprintf("what is unique in %s was %q and is %q", table, s.unique[table], later.unique[table])
		}
		if !slices.Equal(s.triggers[table], later.triggers[table]) {
			return fmt.Sprintf("triggers on %s were %q and are %q", table, s.triggers[table], later.triggers[table])
		}
	}
	return ""
}

// contents are the rows of a file, as far as s knows their columns.
func contents(t *testing.T, db *sql.DB, s shape) string {
	t.Helper()
	var b strings.Builder
	for _, table := range slices.Sorted(maps.Keys(s.tables)) {
		columns := slices.Sorted(maps.Keys(s.tables[table]))
		for i, c := range columns {
			columns[i] = "quote(" + c + ")"
		}
		for _, r := range list(t, db, `SELECT '`+table+`', `+strings.Join(columns, ` || ' ' || `)+`, '' FROM `+table+` ORDER BY 2`) {
			fmt.Fprintln(&b, r[0], r[1])
		}
	}
	return b.String()
}

// TestTheRuleKnowsWhatBreaks: each of these steps would make the rung before it fail,
// or misread; those that only add would not.
func TestTheRuleKnowsWhatBreaks(t *testing.T) {
	for sql, says := range map[string]string{
		`ALTER TABLE work ADD COLUMN colour TEXT`:                                     "",
		`ALTER TABLE work ADD COLUMN colour TEXT NOT NULL DEFAULT ''`:                 "",
		`CREATE TABLE extra (id INTEGER PRIMARY KEY)`:                                 "",
		`CREATE INDEX views_at ON views (at)`:                                         "",
		`DROP INDEX hints_same`:                                                       "",
		`DROP TABLE views`:                                                            "views.",
		`ALTER TABLE work DROP COLUMN reason`:                                         "work.reason",
		`ALTER TABLE work RENAME COLUMN reason TO why`:                                "work.reason",
		`CREATE UNIQUE INDEX one_event ON deliveries (event)`:                         "unique in deliveries",
		`CREATE TRIGGER forgetful AFTER INSERT ON hints BEGIN DELETE FROM hints; END`: "triggers on hints",
		`UPDATE work SET reason = upper(reason)`:                                      "rows are others",
		`DELETE FROM views`:                                                           "rows are others",
		`ALTER TABLE work ADD COLUMN colour TEXT DEFAULT 'red' CHECK (colour <> 'red' OR ready_at <> 5)`:                                                                                                    "fails on the rows",
		`ALTER TABLE views RENAME TO old; CREATE TABLE views (key TEXT NOT NULL, name TEXT NOT NULL, at INTEGER NOT NULL, data BLOB NOT NULL, PRIMARY KEY (key, name), CHECK (at > 100)); DROP TABLE old; `: "rows are others",
		`DELETE FROM views; ALTER TABLE views RENAME TO old; CREATE TABLE views (key TEXT NOT NULL, name TEXT NOT NULL, at TEXT NOT NULL, data BLOB NOT NULL, PRIMARY KEY (key, name))`:                     "views.at",
		`ALTER TABLE hints RENAME TO old; CREATE TABLE hints (key TEXT NOT NULL, generation INTEGER NOT NULL, kind TEXT NOT NULL, subject TEXT NOT NULL, at INTEGER NOT NULL, data BLOB, extra TEXT NOT NULL, PRIMARY KEY (key, generation)) WITHOUT ROWID;
			INSERT INTO hints SELECT *, '' FROM old`: "is refused: constraint failed: NOT NULL",
	} {
		steps := append(slices.Clone(migrations), step{sql: sql})
		why := broken(t, steps, len(migrations), rows)
		if (why == "") != (says == "") || !strings.Contains(why, says) {
			t.Errorf("%s\nsays %q, want %q", sql, why, says)
		}
	}
}
