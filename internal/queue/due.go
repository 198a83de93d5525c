package queue

import (
	"context"
	"database/sql"
	"fmt"
	"time"
)

// Due tells when the next key can be claimed; false if none ever, unless it is
// marked. A key that is being worked on counts with the end of its lease.
func (q *Queue) Due(ctx context.Context) (time.Time, bool, error) {
	var at sql.NullInt64
	err := q.read(ctx, func(ctx context.Context, conn *sql.Conn) error {
		return conn.QueryRowContext(ctx, `SELECT MIN(ready_at) FROM work WHERE ready_at IS NOT NULL`).Scan(&at)
	})
	if err != nil {
		return time.Time{}, false, fmt.Errorf("ask what is due: %w", err)
	}
	return unstamp(at.Int64), at.Valid, nil
}

// Wait returns nil once a key can be claimed, ctx's error when ctx ends first,
// and ErrClosed when the queue is closed. Several waiters may wake for one
// key; Claim decides who gets it.
func (q *Queue) Wait(ctx context.Context) error {
	for {
		q.mu.Lock()
		changed, closed := q.changed, q.closed
		q.mu.Unlock()
		if closed {
			return ErrClosed
		}
		at, some, err := q.Due(ctx)
		if err != nil {
			return err
		}
		var timer *time.Timer
		var rings <-chan time.Time
		if some {
			left := at.Sub(q.options.Now())
			if left <= 0 {
				return nil
			}
			timer = time.NewTimer(left)
			rings = timer.C
		}
		select {
		case <-changed:
		case <-rings:
		case <-ctx.Done():
			err = ctx.Err()
		}
		if timer != nil {
			timer.Stop()
		}
		if err != nil {
			return err
		}
	}
}
