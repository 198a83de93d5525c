package queue

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// State is how far a delivery got.
type State string

// The states of a delivery.
const (
	// StateUnknown: no such delivery is remembered.
	StateUnknown State = ""
	// StateReceived: accepted, and not every key that it marked is reconciled.
	StateReceived State = "received"
	// StateFailed: as received, and the last reconcile that took it failed.
	// It will be tried again.
	StateFailed State = "failed"
	// StateDone: every key that it marked was reconciled after it.
	StateDone State = "done"
)

// Delivery is one authenticated webhook.
type Delivery struct {
	// GUID is the sender's id of the event, the same for a redelivery; 1 to
	// 128 printable ASCII characters.
	GUID string
	// Event and Action are the sender's names, at most 100 bytes each.
	Event, Action string
	// RepositoryID and InstallationID are the forge's numbers, 0 if none.
	RepositoryID, InstallationID int64
	// ReceivedAt is when it came in; the zero time means now.
	ReceivedAt time.Time
	// Payload is the body, kept until the delivery is done, for a person who
	// looks into a failure. See Options.MaxPayload.
	Payload []byte
}

// acceptance is one call of Accept on its way to the shared commit.
type acceptance struct {
	delivery Delivery
	marks    []Mark
	fresh    bool
	err      error
	done     chan struct{}
}

// acceptBatch is how many deliveries share one commit at most.
const acceptBatch = 128

// Accept takes a delivery and the keys that it marks, durably and in one
// transaction: when it returns without an error, both are on disk. fresh is
// false for a GUID seen before: if that one is done, nothing happens; if it is
// not, its keys are marked again. A delivery that marks nothing is done at
// once. With an error that is the context's the delivery may or may not have
// been taken; sending it again is safe. ErrFull and ErrInvalid as named.
func (q *Queue) Accept(ctx context.Context, delivery Delivery, marks []Mark) (fresh bool, err error) {
	if err := checkDelivery(delivery); err != nil {
		return false, err
	}
	if err := checkMarks(marks); err != nil {
		return false, err
	}
	a := &acceptance{delivery: delivery, marks: marks, done: make(chan struct{})}
	q.mu.Lock()
	if q.closed {
		q.mu.Unlock()
		return false, ErrClosed
	}
	q.pending = append(q.pending, a)
	if !q.running {
		q.running = true
		q.commits.Add(1)
		go q.commitPending()
	}
	q.mu.Unlock()
	select {
	case <-a.done:
		return a.fresh, a.err
	case <-ctx.Done():
		return false, ctx.Err()
	}
}

// commitPending commits what waits, a batch at a time, until nothing does.
func (q *Queue) commitPending() {
	defer q.commits.Done()
	for {
		q.mu.Lock()
		n := min(len(q.pending), acceptBatch)
		batch := q.pending[:n:n]
		q.pending = q.pending[n:]
		if n == 0 {
			q.pending, q.running = nil, false
			q.mu.Unlock()
			return
		}
		q.mu.Unlock()
		q.commitBatch(batch)
	}
}

// commitBatch takes the batch in one transaction, each delivery under its own
// savepoint so that one that is refused takes no other with it.
func (q *Queue) commitBatch(batch []*acceptance) {
	err := q.write(context.Background(), func(tx *sql.Tx) error {
		var unfinished int
		if err := tx.QueryRow(`SELECT COUNT(*) FROM deliveries WHERE state <> 'done'`).Scan(&unfinished); err != nil {
			return err
		}
		for _, a := range batch {
			if _, err := tx.Exec(`SAVEPOINT one`); err != nil {
				return err
			}
			if a.err = q.accept(tx, a, unfinished); a.err != nil {
				if _, err := tx.Exec(`ROLLBACK TO one`); err != nil {
					return err
				}
			}
			if _, err := tx.Exec(`RELEASE one`); err != nil {
				return err
			}
			unfinished++
		}
		return q.pruneSometimes(tx)
	})
	for _, a := range batch {
		if err != nil {
			a.fresh, a.err = false, fmt.Errorf("accept delivery %s: %w", a.delivery.GUID, err)
		}
		close(a.done)
	}
	q.announce()
}

func (q *Queue) accept(tx *sql.Tx, a *acceptance, unfinished int) error {
	d := a.delivery
	now := q.options.Now()
	var state State
	err := tx.QueryRow(`SELECT state FROM deliveries WHERE guid = ?`, d.GUID).Scan(&state)
	switch {
	case err == nil && state == StateDone:
		return nil
	case err == nil:
		if _, err := tx.Exec(`UPDATE deliveries SET state = 'received' WHERE guid = ?`, d.GUID); err != nil {
			return err
		}
	case errors.Is(err, sql.ErrNoRows):
		if unfinished >= q.options.MaxUnfinished && len(a.marks) > 0 {
			return fmt.Errorf("%w: %d deliveries are unfinished", ErrFull, unfinished)
		}
		if err := q.insertDelivery(tx, d, now); err != nil {
			return err
		}
		a.fresh = true
	default:
		return err
	}
	for _, m := range a.marks {
		generation, err := q.mark(tx, m, now)
		if err != nil {
			return err
		}
		if err := q.await(tx, m.Key, d.GUID, generation, now); err != nil {
			return err
		}
	}
	return finish(tx, d.GUID, now)
}

func (q *Queue) insertDelivery(tx *sql.Tx, d Delivery, now time.Time) error {
	if d.ReceivedAt.IsZero() {
		d.ReceivedAt = now
	}
	payload := d.Payload
	if len(payload) > q.options.MaxPayload {
		payload = nil
	}
	_, err := tx.Exec(`INSERT INTO deliveries (guid, event, action, repository, installation, received_at, state, payload)
		VALUES (?, ?, ?, ?, ?, ?, 'received', ?)`,
		d.GUID, d.Event, d.Action, d.RepositoryID, d.InstallationID, stamp(d.ReceivedAt), payload)
	return err
}

// await notes that the delivery waits for the key, and lets go of the oldest
// one beyond the limit: its hint stays with the key.
func (q *Queue) await(tx *sql.Tx, key Key, guid string, generation int64, now time.Time) error {
	if _, err := tx.Exec(`INSERT INTO waiting (key, guid, generation) VALUES (?, ?, ?)
		ON CONFLICT (key, guid) DO UPDATE SET generation = excluded.generation`, string(key), guid, generation); err != nil {
		return err
	}
	var count int
	if err := tx.QueryRow(`SELECT COUNT(*) FROM waiting WHERE key = ?`, string(key)).Scan(&count); err != nil {
		return err
	}
	if count <= q.options.MaxHints {
		return nil
	}
	var oldest string
	if err := tx.QueryRow(`DELETE FROM waiting WHERE (key, guid) IN
		(SELECT key, guid FROM waiting WHERE key = ? ORDER BY generation LIMIT 1) RETURNING guid`, string(key)).Scan(&oldest); err != nil {
		return err
	}
	return finish(tx, oldest, now)
}

// finish makes the delivery done if it waits for no key, and drops its
// payload.
func finish(tx *sql.Tx, guid string, now time.Time) error {
	_, err := tx.Exec(`UPDATE deliveries SET state = 'done', finished_at = ?, payload = NULL
		WHERE guid = ? AND state <> 'done' AND NOT EXISTS (SELECT 1 FROM waiting WHERE waiting.guid = deliveries.guid)`,
		stamp(now), guid)
	return err
}

// Delivery tells how far a delivery got: StateUnknown if its GUID was never
// accepted, or so long ago that it is forgotten.
func (q *Queue) Delivery(ctx context.Context, guid string) (State, error) {
	var state State
	err := q.read(ctx, func(ctx context.Context, conn *sql.Conn) error {
		err := conn.QueryRowContext(ctx, `SELECT state FROM deliveries WHERE guid = ?`, guid).Scan(&state)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		return err
	})
	if err != nil {
		return StateUnknown, fmt.Errorf("look up delivery: %w", err)
	}
	return state, nil
}

// pruneEvery and pruneBatch pace the forgetting of finished deliveries: it
// rides on the commits of Accept.
const (
	pruneEvery = time.Hour
	pruneBatch = 2000
)

// pruneSometimes forgets finished deliveries older than the retention, and
// unfinished ones too: their hints stay with the key, and nobody can send
// them again.
func (q *Queue) pruneSometimes(tx *sql.Tx) error {
	now := q.options.Now()
	if !q.prunedAt.IsZero() && now.Sub(q.prunedAt) < pruneEvery {
		return nil
	}
	before := stamp(now.Add(-q.options.Retention))
	pruned := int64(0)
	for _, statement := range []string{
		`DELETE FROM deliveries WHERE guid IN (SELECT guid FROM deliveries WHERE state = 'done' AND finished_at < ? ORDER BY finished_at LIMIT ?)`,
		`DELETE FROM deliveries WHERE guid IN (SELECT guid FROM deliveries WHERE state <> 'done' AND received_at < ? ORDER BY received_at LIMIT ?)`,
	} {
		result, err := tx.Exec(statement, before, pruneBatch)
		if err != nil {
			return err
		}
		n, err := result.RowsAffected()
		if err != nil {
			return err
		}
		pruned = max(pruned, n)
	}
	if _, err := tx.Exec(`DELETE FROM waiting WHERE NOT EXISTS (SELECT 1 FROM deliveries WHERE deliveries.guid = waiting.guid)`); err != nil {
		return err
	}
	if pruned < pruneBatch {
		q.prunedAt = now
	}
	return nil
}

func checkDelivery(d Delivery) error {
	if !printable(d.GUID, 128) {
		return fmt.Errorf("%w: a delivery's GUID must be 1 to 128 printable ASCII characters", ErrInvalid)
	}
	if len(d.Event) > 100 || len(d.Action) > 100 {
		return fmt.Errorf("%w: delivery %s: event and action may have 100 bytes each", ErrInvalid, d.GUID)
	}
	return nil
}

// printable reports whether s is 1 to limit ASCII characters, none of them a
// space or a control character.
func printable(s string, limit int) bool {
	if s == "" || len(s) > limit {
		return false
	}
	for _, c := range []byte(s) {
		if c <= ' ' || c > '~' {
			return false
		}
	}
	return true
}
