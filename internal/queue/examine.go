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
	c.Damage, err = damage(ctx, path)
	return c, err
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

// damage is what SQLite finds wrong with a file, opened for reading.
func damage(ctx context.Context, path string) (string, error) {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	db, err := sql.Open("sqlite", (&url.URL{Scheme: "file", Path: absolute}).String()+"?mode=ro&_pragma=busy_timeout(5000)")
	if err != nil {
		return "", fmt.Errorf("examine queue: %w", err)
	}
	defer func() { _ = db.Close() }()
	var version int
	var found string
	if err := db.QueryRowContext(ctx, `PRAGMA user_version`).Scan(&version); err != nil {
		return err.Error(), nil //nolint:nilerr // that it can't be read is what is wrong with it
	}
	if version > len(migrations) {
		return fmt.Sprintf("it has schema %d, of a newer rung; this one knows up to %d", version, len(migrations)), nil
	}
	err = db.QueryRowContext(ctx, `PRAGMA quick_check(1)`).Scan(&found)
	switch {
	case ctx.Err() != nil:
		return "", fmt.Errorf("examine queue: the check took longer than %s", examineTimeout)
	case err != nil:
		return err.Error(), nil
	case found != "ok":
		return found, nil
	}
	return "", nil
}
