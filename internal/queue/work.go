package queue

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// Key names what is reconciled, for example "repo/123": 1 to MaxKeyBytes
// printable ASCII characters.
type Key string

// RepositoryKey is the key of a repository by its number on the forge.
func RepositoryKey(id int64) Key { return Key(fmt.Sprintf("repo/%d", id)) }

// KindEverything is the hint that stands for more hints than are kept: look at
// all that could have changed.
const KindEverything = "everything"

// Hint says why a key was marked. It is never a truth: who takes it looks
// again.
type Hint struct {
	// Kind names the format of Data; 1 to 64 bytes.
	Kind string `json:"kind"`
	// Subject is what it is about, such as a pull request's number; at most
	// 256 bytes.
	Subject string `json:"subject,omitempty"`
	// At is when it happened, by the clock of whoever reported it.
	At time.Time `json:"at,omitzero"`
	// Data is valid JSON of at most MaxHintBytes, or nil.
	Data json.RawMessage `json:"data,omitempty"`
}

// Mark is a key made due, and why.
type Mark struct {
	Key  Key
	Hint Hint
}

// Work is one claim of a key.
type Work struct {
	Key Key
	// Hints are those not yet reconciled, oldest first; none when the key was
	// due by time alone.
	Hints []Hint
	// Generation identifies the claim and covers every hint up to it.
	Generation int64
	// Attempt is 1 for the first try since the last success, and counts
	// claims that ended with their process too.
	Attempt int
	// LastError is what the try before this one failed with, if it did.
	LastError string
	// Reason is why the key was due by time, as MarkDue was told.
	Reason string
	// LeaseUntil is when the claim ends by itself.
	LeaseUntil time.Time

	owner string
}

// Mark makes the keys due now, durably, and keeps the hints with them until a
// reconcile that took them succeeds. A hint equal to one already kept (kind,
// subject and data) is kept once. After a failed attempt a mark doesn't make
// the key due before Options.RetryFloor has passed.
func (q *Queue) Mark(ctx context.Context, marks ...Mark) error {
	if err := checkMarks(marks); err != nil {
		return err
	}
	if len(marks) == 0 {
		return nil
	}
	err := q.write(ctx, func(tx *sql.Tx) error {
		now := q.options.Now()
		for _, m := range marks {
			if _, err := q.mark(tx, m, now); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("mark %d keys: %w", len(marks), err)
	}
	q.announce()
	return nil
}

// MarkDue makes the key due at a time, or earlier if it already is. reason is
// a sentence for people. A claim uses up every such time that it covers: who
// reconciles names the next one to Done.
func (q *Queue) MarkDue(ctx context.Context, key Key, at time.Time, reason string) error {
	if err := checkKey(key); err != nil {
		return err
	}
	err := q.write(ctx, func(tx *sql.Tx) error { return setDue(tx, key, at, reason) })
	if err != nil {
		return fmt.Errorf("set when %s is due: %w", key, err)
	}
	q.announce()
	return nil
}

// mark stores the hint and makes the key due now; it returns the hint's
// generation.
func (q *Queue) mark(tx *sql.Tx, m Mark, now time.Time) (int64, error) {
	generation, err := nextGeneration(tx)
	if err != nil {
		return 0, err
	}
	if err := q.keepHint(tx, m, generation); err != nil {
		return 0, err
	}
	return generation, setDue(tx, m.Key, now, "")
}

// setDue moves the key's time forward to at, not before its floor; for a key
// that is leased it is kept for after the lease.
func setDue(tx *sql.Tx, key Key, at time.Time, reason string) error {
	if len(reason) > 500 {
		reason = strings.ToValidUTF8(reason[:500], "") + "…"
	}
	_, err := tx.Exec(`INSERT INTO work (key, ready_at, reason) VALUES (?1, ?2, ?3)
		ON CONFLICT (key) DO UPDATE SET
			reason   = CASE WHEN COALESCE(CASE WHEN owner = '' THEN ready_at ELSE next_at END, ?2 + 1) > ?2 THEN ?3 ELSE reason END,
			ready_at = CASE WHEN owner = '' THEN MIN(COALESCE(ready_at, MAX(?2, floor_at)), MAX(?2, floor_at)) ELSE ready_at END,
			next_at  = CASE WHEN owner = '' THEN NULL ELSE MIN(COALESCE(next_at, ?2), ?2) END`,
		string(key), stamp(at), reason)
	return err
}

func (q *Queue) keepHint(tx *sql.Tx, m Mark, generation int64) error {
	at, data := m.Hint.At, []byte(m.Hint.Data)
	earlier, err := takeSame(tx, m)
	if err != nil {
		return err
	}
	if !earlier.IsZero() && (at.IsZero() || earlier.Before(at)) {
		at = earlier
	}
	kind, subject := m.Hint.Kind, m.Hint.Subject
	var count int
	if err := tx.QueryRow(`SELECT COUNT(*) FROM hints WHERE key = ?`, string(m.Key)).Scan(&count); err != nil {
		return err
	}
	if count >= q.options.MaxHints {
		var oldest sql.NullInt64
		if err := tx.QueryRow(`SELECT MIN(at) FROM hints WHERE key = ? AND at <> 0`, string(m.Key)).Scan(&oldest); err != nil {
			return err
		}
		if _, err := tx.Exec(`DELETE FROM hints WHERE key = ?`, string(m.Key)); err != nil {
			return err
		}
		kind, subject, data = KindEverything, "", nil
		if oldest.Valid {
			at = unstamp(oldest.Int64)
		}
	}
	_, err = tx.Exec(`INSERT INTO hints (key, generation, kind, subject, at, data) VALUES (?, ?, ?, ?, ?, ?)`,
		string(m.Key), generation, kind, subject, stamp(at), data)
	return err
}

// takeSame removes the kept hint that says the same as m's, and returns its
// time.
func takeSame(tx *sql.Tx, m Mark) (at time.Time, err error) {
	rows, err := tx.Query(`SELECT generation, at, data FROM hints WHERE key = ? AND kind = ? AND subject = ?`,
		string(m.Key), m.Hint.Kind, m.Hint.Subject)
	if err != nil {
		return time.Time{}, err
	}
	defer func() { _ = rows.Close() }()
	found := int64(0)
	for found == 0 && rows.Next() {
		var generation, stamped int64
		var data []byte
		if err := rows.Scan(&generation, &stamped, &data); err != nil {
			return time.Time{}, err
		}
		if bytes.Equal(data, m.Hint.Data) {
			found, at = generation, unstamp(stamped)
		}
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil || found == 0 {
		return time.Time{}, err
	}
	_, err = tx.Exec(`DELETE FROM hints WHERE key = ? AND generation = ?`, string(m.Key), found)
	return at, err
}

// Claim takes the key that has been due longest, for owner and for as long as
// lease says, or returns nil if none is due. While the lease lasts nobody else
// gets the key; when it ends without Done or Fail the key is due again.
func (q *Queue) Claim(ctx context.Context, owner string, lease time.Duration) (*Work, error) {
	if owner == "" || lease <= 0 {
		return nil, fmt.Errorf("claim: %w: an owner and a lease longer than 0 are needed", ErrInvalid)
	}
	var work *Work
	err := q.write(ctx, func(tx *sql.Tx) error {
		now := q.options.Now()
		w := Work{owner: owner, LeaseUntil: now.Add(lease).UTC()}
		err := tx.QueryRow(`SELECT key, attempt + 1, error, reason FROM work
			WHERE ready_at IS NOT NULL AND ready_at <= ? ORDER BY ready_at, key LIMIT 1`, stamp(now)).
			Scan(&w.Key, &w.Attempt, &w.LastError, &w.Reason)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		if w.Generation, err = nextGeneration(tx); err != nil {
			return err
		}
		if w.Hints, err = readHints(tx, w.Key); err != nil {
			return err
		}
		if _, err := tx.Exec(`UPDATE work SET owner = ?, generation = ?, attempt = ?, ready_at = ?, reason = '',
			next_at = CASE WHEN next_at > ? THEN next_at END WHERE key = ?`,
			owner, w.Generation, w.Attempt, stamp(w.LeaseUntil), stamp(now), string(w.Key)); err != nil {
			return err
		}
		work = &w
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("claim: %w", err)
	}
	return work, nil
}

func readHints(tx *sql.Tx, key Key) ([]Hint, error) {
	rows, err := tx.Query(`SELECT kind, subject, at, data FROM hints WHERE key = ? ORDER BY generation`, string(key))
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var hints []Hint
	for rows.Next() {
		var h Hint
		var at int64
		var data []byte
		if err := rows.Scan(&h.Kind, &h.Subject, &at, &data); err != nil {
			return nil, err
		}
		h.At = unstamp(at)
		if len(data) > 0 {
			h.Data = data
		}
		hints = append(hints, h)
	}
	return hints, rows.Err()
}

// Done ends a claim with success: the hints that it took are deleted, the
// deliveries that waited for it are done, and the key is due next at next (the
// zero time: only when it is marked), or at once if it was marked meanwhile.
// ErrLost if the claim no longer holds; then nothing changes.
func (q *Queue) Done(ctx context.Context, work Work, next time.Time) error {
	err := q.write(ctx, func(tx *sql.Tx) error {
		now := q.options.Now()
		if err := holds(tx, work, now); err != nil {
			return err
		}
		if _, err := tx.Exec(`DELETE FROM hints WHERE key = ? AND generation <= ?`, string(work.Key), work.Generation); err != nil {
			return err
		}
		if err := finishWaiting(tx, work, now); err != nil {
			return err
		}
		nextAt := sql.NullInt64{Int64: stamp(next), Valid: !next.IsZero()}
		_, err := tx.Exec(`UPDATE work SET owner = '', attempt = 0, error = '', floor_at = 0, next_at = NULL,
			ready_at = CASE WHEN next_at IS NULL THEN ?1 WHEN ?1 IS NULL THEN next_at ELSE MIN(next_at, ?1) END
			WHERE key = ?2`, nextAt, string(work.Key))
		return err
	})
	if err != nil {
		return fmt.Errorf("finish %s: %w", work.Key, err)
	}
	q.announce()
	return nil
}

// finishWaiting makes the deliveries that the claim covers done, unless they
// wait for other keys too.
func finishWaiting(tx *sql.Tx, work Work, now time.Time) error {
	rows, err := tx.Query(`DELETE FROM waiting WHERE key = ? AND generation <= ? RETURNING guid`, string(work.Key), work.Generation)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	var guids []string
	for rows.Next() {
		var guid string
		if err := rows.Scan(&guid); err != nil {
			return err
		}
		guids = append(guids, guid)
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return err
	}
	for _, guid := range guids {
		if err := finish(tx, guid, now); err != nil {
			return err
		}
	}
	return nil
}

// Fail ends a claim without success: its hints stay, and the key is due at
// retryAt, or earlier if it was or is marked, but not before
// Options.RetryFloor. text is kept for people; it must hold no secret. ErrLost
// as Done.
func (q *Queue) Fail(ctx context.Context, work Work, text string, retryAt time.Time) error {
	if len(text) > 2000 {
		text = text[:2000] + "…"
	}
	text = strings.ToValidUTF8(text, "")
	err := q.write(ctx, func(tx *sql.Tx) error {
		now := q.options.Now()
		if err := holds(tx, work, now); err != nil {
			return err
		}
		if _, err := tx.Exec(`UPDATE deliveries SET state = 'failed' WHERE state = 'received' AND guid IN
			(SELECT guid FROM waiting WHERE key = ? AND generation <= ?)`, string(work.Key), work.Generation); err != nil {
			return err
		}
		floor := now.Add(q.options.RetryFloor)
		if retryAt.Before(floor) {
			floor = retryAt
		}
		_, err := tx.Exec(`UPDATE work SET owner = '', error = ?1, floor_at = ?2, next_at = NULL,
			ready_at = CASE WHEN next_at IS NULL THEN ?3 ELSE MIN(MAX(next_at, ?2), ?3) END
			WHERE key = ?4`, text, stamp(floor), stamp(retryAt), string(work.Key))
		return err
	})
	if err != nil {
		return fmt.Errorf("put back %s: %w", work.Key, err)
	}
	q.announce()
	return nil
}

// Extend makes the claim last for another lease from now. ErrLost as Done.
func (q *Queue) Extend(ctx context.Context, work Work, lease time.Duration) error {
	err := q.write(ctx, func(tx *sql.Tx) error {
		now := q.options.Now()
		if err := holds(tx, work, now); err != nil {
			return err
		}
		_, err := tx.Exec(`UPDATE work SET ready_at = ? WHERE key = ?`, stamp(now.Add(lease)), string(work.Key))
		return err
	})
	if err != nil {
		return fmt.Errorf("extend %s: %w", work.Key, err)
	}
	q.announce()
	return nil
}

// holds checks the fence: the same owner, the same claim, not expired.
func holds(tx *sql.Tx, work Work, now time.Time) error {
	var one int
	err := tx.QueryRow(`SELECT 1 FROM work WHERE key = ? AND owner = ? AND owner <> '' AND generation = ? AND ready_at > ?`,
		string(work.Key), work.owner, work.Generation, stamp(now)).Scan(&one)
	if errors.Is(err, sql.ErrNoRows) {
		return ErrLost
	}
	return err
}

// Forget drops the key with its hints and views, for a repository that is
// gone; deliveries that waited for it are done. A claim of it is lost.
func (q *Queue) Forget(ctx context.Context, key Key) error {
	err := q.write(ctx, func(tx *sql.Tx) error {
		generation, err := nextGeneration(tx)
		if err != nil {
			return err
		}
		if err := finishWaiting(tx, Work{Key: key, Generation: generation}, q.options.Now()); err != nil {
			return err
		}
		for _, statement := range []string{
			`DELETE FROM hints WHERE key = ?`, `DELETE FROM views WHERE key = ?`, `DELETE FROM work WHERE key = ?`,
		} {
			if _, err := tx.Exec(statement, string(key)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("forget %s: %w", key, err)
	}
	q.announce()
	return nil
}

func checkKey(key Key) error {
	if !printable(string(key), MaxKeyBytes) {
		return fmt.Errorf("%w: a key must be 1 to %d printable ASCII characters", ErrInvalid, MaxKeyBytes)
	}
	return nil
}

func checkMarks(marks []Mark) error {
	if len(marks) > MaxMarks {
		return fmt.Errorf("%w: %d marks at once, at most %d", ErrInvalid, len(marks), MaxMarks)
	}
	for _, m := range marks {
		if err := checkKey(m.Key); err != nil {
			return err
		}
		h := m.Hint
		switch {
		case h.Kind == "" || len(h.Kind) > 64:
			return fmt.Errorf("%w: %s: a hint's kind must have 1 to 64 bytes", ErrInvalid, m.Key)
		case len(h.Subject) > 256 || !utf8.ValidString(h.Subject):
			return fmt.Errorf("%w: %s: a hint's subject must be UTF-8 of at most 256 bytes", ErrInvalid, m.Key)
		case len(h.Data) > MaxHintBytes:
			return fmt.Errorf("%w: %s: a hint of %d bytes, at most %d", ErrInvalid, m.Key, len(h.Data), MaxHintBytes)
		case len(h.Data) > 0 && !json.Valid(h.Data):
			return fmt.Errorf("%w: %s: a hint's data must be JSON", ErrInvalid, m.Key)
		}
	}
	return nil
}
