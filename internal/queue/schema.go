package queue

import (
	"database/sql"
	"errors"
	"fmt"
)

// step brings a file from one schema to the next. A released step is never edited:
// a file that took it would differ from one that takes it now.
type step struct {
	sql string
	// breaks says that a rung which knows only the steps before this one can't work on
	// the file any more. Without it the step only adds: tables, indexes, and columns
	// that are null or have a default, so that the statements of the rung before still
	// do what they did. A test holds each step to that.
	breaks bool
}

// migrations bring an older file up to date, one step for each schema; user_version
// counts the steps taken.
var migrations = []step{
	{sql: `CREATE TABLE counter (
		id    INTEGER PRIMARY KEY CHECK (id = 1),
		value INTEGER NOT NULL
	);
	INSERT INTO counter (id, value) VALUES (1, 0);

	CREATE TABLE deliveries (
		guid         TEXT PRIMARY KEY,
		event        TEXT NOT NULL,
		action       TEXT NOT NULL,
		repository   INTEGER NOT NULL,
		installation INTEGER NOT NULL,
		received_at  INTEGER NOT NULL,
		finished_at  INTEGER NOT NULL DEFAULT 0,
		state        TEXT NOT NULL CHECK (state IN ('received', 'failed', 'done')),
		payload      BLOB
	);
	CREATE INDEX deliveries_unfinished ON deliveries (received_at) WHERE state <> 'done';
	CREATE INDEX deliveries_finished ON deliveries (finished_at) WHERE state = 'done';

	-- Which delivery waits for a reconcile of which key, of at least this
	-- generation.
	CREATE TABLE waiting (
		key        TEXT NOT NULL,
		guid       TEXT NOT NULL,
		generation INTEGER NOT NULL,
		PRIMARY KEY (key, guid)
	) WITHOUT ROWID;
	CREATE INDEX waiting_guid ON waiting (guid);

	-- ready_at: when the key can be claimed next (the lease's end while it is
	-- leased; NULL: never). next_at: what was asked for during a lease.
	-- floor_at: marks can't make the key due before it.
	CREATE TABLE work (
		key        TEXT PRIMARY KEY,
		ready_at   INTEGER,
		next_at    INTEGER,
		floor_at   INTEGER NOT NULL DEFAULT 0,
		reason     TEXT NOT NULL DEFAULT '',
		attempt    INTEGER NOT NULL DEFAULT 0,
		error      TEXT NOT NULL DEFAULT '',
		owner      TEXT NOT NULL DEFAULT '',
		generation INTEGER NOT NULL DEFAULT 0
	);
	CREATE INDEX work_ready ON work (ready_at) WHERE ready_at IS NOT NULL;

	CREATE TABLE hints (
		key        TEXT NOT NULL,
		generation INTEGER NOT NULL,
		kind       TEXT NOT NULL,
		subject    TEXT NOT NULL,
		at         INTEGER NOT NULL,
		data       BLOB,
		PRIMARY KEY (key, generation)
	) WITHOUT ROWID;
	CREATE INDEX hints_same ON hints (key, kind, subject);

	CREATE TABLE views (
		key  TEXT NOT NULL,
		name TEXT NOT NULL,
		at   INTEGER NOT NULL,
		data BLOB NOT NULL,
		PRIMARY KEY (key, name)
	);`, breaks: true},
}

// keepOldest makes the place for the oldest schema whose rung may still open the file.
// It is no step: a file that lacks it is as good as one that allows its own schema
// alone, and a rung that does not know of it is not disturbed.
const keepOldest = `CREATE TABLE IF NOT EXISTS compatibility (
	id     INTEGER PRIMARY KEY CHECK (id = 1),
	oldest INTEGER NOT NULL
)`

// oldest is the oldest schema whose rung can work on a file that took all of steps.
func oldest(steps []step) int {
	for schema := len(steps); schema > 0; schema-- {
		if steps[schema-1].breaks {
			return schema
		}
	}
	return 0
}

// errNewer is for a file of a newer rung that the file does not open to this one.
var errNewer = errors.New("the file is of a newer rung")

// newerError says what a newer file holds, and the way out.
type newerError struct{ schema, oldest, known int }

// Error names both ways: forward again, or without the file.
func (e *newerError) Error() string {
	says := "does not say that an older rung may use it"
	if e.oldest > 0 {
		says = fmt.Sprintf("says that rung must know schema %d at least to use it", e.oldest)
	}
	return fmt.Sprintf("the file has schema %d, of a newer rung, and %s; this rung knows up to %d: start the newer rung again, or delete the data directory and start this one, which finds again what it held", e.schema, says, e.known)
}

func (e *newerError) Is(target error) bool { return target == errNewer }

// row reads one row: a transaction's, or a connection's, QueryRow.
type row func(query string, args ...any) *sql.Row

// readable reports the schema of a file and whether a rung that knows steps may work on it:
// errNewer if not.
func readable(query row, steps []step) (schema int, err error) {
	if err := query(`PRAGMA user_version`).Scan(&schema); err != nil {
		return 0, err
	}
	if schema < 0 {
		return 0, fmt.Errorf("the file has schema %d, which no rung writes", schema)
	}
	if schema <= len(steps) {
		return schema, nil
	}
	refusal := &newerError{schema: schema, known: len(steps)}
	var kept int
	if err := query(`SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'compatibility'`).Scan(&kept); err != nil {
		return 0, err
	}
	if kept == 0 {
		return 0, refusal
	}
	switch err := query(`SELECT oldest FROM compatibility WHERE id = 1`).Scan(&refusal.oldest); {
	case errors.Is(err, sql.ErrNoRows):
		return 0, refusal
	case err != nil:
		return 0, err
	case refusal.oldest < 1 || refusal.oldest > schema:
		return 0, fmt.Errorf("the file has schema %d and says that schema %d may use it, which no rung writes", schema, refusal.oldest)
	case refusal.oldest > len(steps):
		return 0, refusal
	}
	return schema, nil
}

// migrate applies the steps that the file lacks, and writes into it which older rungs
// may still open it. A newer file that this rung may work on is left as it is: its
// schema and what it says are the newer rung's.
func migrate(tx *sql.Tx, steps []step) error {
	schema, err := readable(tx.QueryRow, steps)
	if err != nil || schema > len(steps) {
		return err
	}
	for ; schema < len(steps); schema++ {
		if _, err := tx.Exec(steps[schema].sql); err != nil {
			return fmt.Errorf("schema step %d: %w", schema+1, err)
		}
	}
	if _, err := tx.Exec(keepOldest); err != nil {
		return err
	}
	if _, err := tx.Exec(`INSERT INTO compatibility (id, oldest) VALUES (1, ?)
		ON CONFLICT (id) DO UPDATE SET oldest = excluded.oldest`, oldest(steps)); err != nil {
		return err
	}
	_, err = tx.Exec(fmt.Sprintf(`PRAGMA user_version = %d`, len(steps)))
	return err
}

// nextGeneration moves the counter on and returns its new value.
func nextGeneration(tx *sql.Tx) (int64, error) {
	var value int64
	err := tx.QueryRow(`UPDATE counter SET value = value + 1 RETURNING value`).Scan(&value)
	return value, err
}
