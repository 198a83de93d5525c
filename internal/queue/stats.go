package queue

import (
	"context"
	"database/sql"
	"fmt"
	"time"
)

// Stats counts what the queue holds at one moment.
type Stats struct {
	// Received, Failed and Done count deliveries by state.
	Received, Failed, Done int
	// Keys counts all known keys, Due those that could be claimed now, and
	// InFlight those that are claimed.
	Keys, Due, InFlight int
	// Failing counts keys whose last attempt failed.
	Failing int
	// Hints counts the hints not yet reconciled.
	Hints int
	// OldestUnfinished is the age of the oldest delivery that is not done, 0
	// if all are.
	OldestUnfinished time.Duration
	// OldestDue is how long the key that is due longest has been waiting, 0
	// if none is due.
	OldestDue time.Duration
	// LastReceived is when the newest delivery came in that is still kept.
	LastReceived time.Time
}

// Stats counts.
func (q *Queue) Stats(ctx context.Context) (Stats, error) {
	var s Stats
	now := q.options.Now()
	err := q.read(ctx, func(ctx context.Context, conn *sql.Conn) error {
		var oldest, due, last sql.NullInt64
		row := conn.QueryRowContext(ctx, `SELECT
			(SELECT COUNT(*) FROM deliveries WHERE state = 'received'),
			(SELECT COUNT(*) FROM deliveries WHERE state = 'failed'),
			(SELECT COUNT(*) FROM deliveries WHERE state = 'done'),
			(SELECT COUNT(*) FROM work),
			(SELECT COUNT(*) FROM work WHERE ready_at <= ?1),
			(SELECT COUNT(*) FROM work WHERE owner <> '' AND ready_at > ?1),
			(SELECT COUNT(*) FROM work WHERE error <> ''),
			(SELECT COUNT(*) FROM hints),
			(SELECT MIN(received_at) FROM deliveries WHERE state <> 'done'),
			(SELECT MIN(ready_at) FROM work WHERE ready_at <= ?1),
			(SELECT MAX(received_at) FROM deliveries)`, stamp(now))
		if err := row.Scan(&s.Received, &s.Failed, &s.Done, &s.Keys, &s.Due, &s.InFlight, &s.Failing, &s.Hints, &oldest, &due, &last); err != nil {
			return err
		}
		if oldest.Valid {
			s.OldestUnfinished = now.Sub(unstamp(oldest.Int64))
		}
		if due.Valid {
			s.OldestDue = now.Sub(unstamp(due.Int64))
		}
		if last.Valid {
			s.LastReceived = unstamp(last.Int64)
		}
		return nil
	})
	if err != nil {
		return Stats{}, fmt.Errorf("count the queue: %w", err)
	}
	return s, nil
}

// KeyStatus is what the queue knows of one key, for the board.
type KeyStatus struct {
	Key Key
	// NextAt is when it is looked at next: the lease's end while InFlight,
	// the zero time if only a mark will make it due.
	NextAt time.Time
	// Reason is why it is due by time, if MarkDue said.
	Reason string
	// InFlight is true while somebody holds its lease.
	InFlight bool
	// Attempt counts the tries since the last success, LastError is what the
	// last of them failed with.
	Attempt   int
	LastError string
	// Hints counts the hints not yet reconciled.
	Hints int
}

// Keys lists up to limit keys in their order, beginning after the key after
// (empty: from the first).
func (q *Queue) Keys(ctx context.Context, after Key, limit int) ([]KeyStatus, error) {
	var keys []KeyStatus
	now := q.options.Now()
	err := q.read(ctx, func(ctx context.Context, conn *sql.Conn) error {
		rows, err := conn.QueryContext(ctx, `SELECT key, COALESCE(ready_at, 0), reason, owner <> '' AND ready_at > ?, attempt, error,
			(SELECT COUNT(*) FROM hints WHERE hints.key = work.key)
			FROM work WHERE key > ? ORDER BY key LIMIT ?`, stamp(now), string(after), limit)
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			var k KeyStatus
			var at int64
			if err := rows.Scan(&k.Key, &at, &k.Reason, &k.InFlight, &k.Attempt, &k.LastError, &k.Hints); err != nil {
				return err
			}
			k.NextAt = unstamp(at)
			keys = append(keys, k)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("list keys: %w", err)
	}
	return keys, nil
}
