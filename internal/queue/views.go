package queue

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// View is a snapshot kept for the board (or a sweep's checkpoint): bytes that
// their writer can make again.
type View struct {
	Key  Key
	Name string
	// At is when it was true, as its writer said.
	At   time.Time
	Data []byte
}

// PutView keeps data as the key's view of that name, in place of the last one.
// name has 1 to 64 printable ASCII characters, data at most MaxViewBytes.
func (q *Queue) PutView(ctx context.Context, key Key, name string, data []byte, at time.Time) error {
	if err := checkKey(key); err != nil {
		return err
	}
	if !printable(name, 64) {
		return fmt.Errorf("%w: a view's name must be 1 to 64 printable ASCII characters", ErrInvalid)
	}
	if len(data) > MaxViewBytes {
		return fmt.Errorf("%w: view %s of %s has %d bytes, at most %d", ErrInvalid, name, key, len(data), MaxViewBytes)
	}
	if data == nil {
		data = []byte{}
	}
	err := q.write(ctx, func(tx *sql.Tx) error {
		_, err := tx.Exec(`INSERT INTO views (key, name, at, data) VALUES (?, ?, ?, ?)
			ON CONFLICT (key, name) DO UPDATE SET at = excluded.at, data = excluded.data`,
			string(key), name, stamp(at), data)
		return err
	})
	if err != nil {
		return fmt.Errorf("keep view %s of %s: %w", name, key, err)
	}
	return nil
}

// View returns the key's view of that name; false if there is none.
func (q *Queue) View(ctx context.Context, key Key, name string) (View, bool, error) {
	view := View{Key: key, Name: name}
	found := true
	err := q.read(ctx, func(ctx context.Context, conn *sql.Conn) error {
		var at int64
		err := conn.QueryRowContext(ctx, `SELECT at, data FROM views WHERE key = ? AND name = ?`, string(key), name).
			Scan(&at, &view.Data)
		if errors.Is(err, sql.ErrNoRows) {
			found = false
			return nil
		}
		view.At = unstamp(at)
		return err
	})
	if err != nil {
		return View{}, false, fmt.Errorf("read view %s of %s: %w", name, key, err)
	}
	return view, found, nil
}

// Views returns the views of that name of every key, by key.
func (q *Queue) Views(ctx context.Context, name string) ([]View, error) {
	var views []View
	err := q.read(ctx, func(ctx context.Context, conn *sql.Conn) error {
		rows, err := conn.QueryContext(ctx, `SELECT key, at, data FROM views WHERE name = ? ORDER BY key`, name)
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			view := View{Name: name}
			var at int64
			if err := rows.Scan(&view.Key, &at, &view.Data); err != nil {
				return err
			}
			view.At = unstamp(at)
			views = append(views, view)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("read views %s: %w", name, err)
	}
	return views, nil
}
