package queue

import (
	"database/sql"
	"fmt"
)

// migrations bring an older file up to date, one step for each version;
// user_version counts the steps taken. A released step is never edited.
var migrations = []string{
	`CREATE TABLE counter (
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
	);`,
}

// migrate applies the steps that the file lacks. A file of a newer rung is
// refused.
func migrate(tx *sql.Tx) error {
	var version int
	if err := tx.QueryRow(`PRAGMA user_version`).Scan(&version); err != nil {
		return err
	}
	if version > len(migrations) {
		return fmt.Errorf("the file has schema %d and this rung knows up to %d: start the newer rung again, or delete the file", version, len(migrations))
	}
	for ; version < len(migrations); version++ {
		if _, err := tx.Exec(migrations[version]); err != nil {
			return fmt.Errorf("schema step %d: %w", version+1, err)
		}
	}
	_, err := tx.Exec(fmt.Sprintf(`PRAGMA user_version = %d`, len(migrations)))
	return err
}

// nextGeneration moves the counter on and returns its new value.
func nextGeneration(tx *sql.Tx) (int64, error) {
	var value int64
	err := tx.QueryRow(`UPDATE counter SET value = value + 1 RETURNING value`).Scan(&value)
	return value, err
}
