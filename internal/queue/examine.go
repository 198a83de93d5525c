package queue

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"time"
)

// examineTimeout bounds the check of a file.
const examineTimeout = 10 * time.Second

// Condition is how a queue's file is, seen from outside.
type Condition struct {
	// Absent is true where there is no file yet.
	Absent bool
	// Writable tells that this process may write the file, or make it.
	Writable bool
	// InUse is true where a process has it open.
	InUse bool
	// Damage says what is wrong inside; empty where it is whole.
	Damage string
	// Newer says why this rung refuses it, a newer rung's; empty where it does not.
	Newer string
	// Schema is the schema that it has where a newer rung wrote it and this one may use
	// it all the same; otherwise 0.
	Schema int
	// Bytes is its size, Free the room left on its disk where Room is true.
	Bytes, Free uint64
	Room        bool
}

// Examine looks at a queue's file without changing anything, also while a process has
// it open.
func Examine(ctx context.Context, path string) (Condition, error) {
	var c Condition
	existing := path
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		c.Absent = true
		if existing, err = nearestParent(path); err != nil {
			return c, fmt.Errorf("examine queue: %w", err)
		}
	case err != nil:
		return c, fmt.Errorf("examine queue: %w", err)
	case !info.Mode().IsRegular():
		return c, fmt.Errorf("examine queue: %s is no file", path)
	default:
		c.Bytes = uint64(info.Size()) //nolint:gosec // a size is not negative
	}
	c.Writable = mayWrite(existing) && (c.Absent || mayWrite(filepath.Dir(path)))
	c.Free, c.Room = freeSpace(filepath.Dir(existing))
	if c.Absent {
		return c, nil
	}
	c.InUse = inUse(path)
	ctx, cancel := context.WithTimeout(ctx, examineTimeout)
	defer cancel()
	return c, c.lookInside(ctx, path, migrations)
}

// nearestParent is the nearest directory above path that is there.
func nearestParent(path string) (string, error) {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	for dir := filepath.Dir(absolute); ; dir = filepath.Dir(dir) {
		_, err := os.Stat(dir)
		if err == nil {
			return dir, nil
		}
		if !errors.Is(err, fs.ErrNotExist) || dir == filepath.Dir(dir) {
			return "", err
		}
	}
}

// inUse reports whether a process holds the lock of the file.
func inUse(path string) bool {
	if _, err := os.Stat(path + ".lock"); err != nil {
		return false
	}
	unlock, err := lockFile(path + ".lock")
	if err != nil {
		return errors.Is(err, ErrInUse)
	}
	_ = unlock()
	return false
}

// lookInside opens the file for reading, as a rung that knows these steps.
func (c *Condition) lookInside(ctx context.Context, path string, steps []step) error {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	db, err := sql.Open("sqlite", (&url.URL{Scheme: "file", Path: absolute}).String()+"?mode=ro&_pragma=busy_timeout(5000)")
	if err != nil {
		return fmt.Errorf("examine queue: %w", err)
	}
	defer func() { _ = db.Close() }()
	var found string
	query := func(query string, args ...any) *sql.Row { return db.QueryRowContext(ctx, query, args...) }
	schema, err := readable(query, steps)
	if err == nil {
		err = query(`PRAGMA quick_check(1)`).Scan(&found)
	}
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("examine queue: the check took longer than %s", examineTimeout)
	case errors.Is(err, errNewer):
		c.Newer = err.Error()
	case err != nil:
		c.Damage = err.Error() // that it can't be read is what is wrong with it
	case found != "ok":
		c.Damage = found
	case schema > len(steps):
		c.Schema = schema
	}
	return nil
}
