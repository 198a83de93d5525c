package queue

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestExamineSeesAQueueFromOutside(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data", "deeper", "rung.db")
	c, err := Examine(t.Context(), path)
	if err != nil || !c.Absent || !c.Writable || c.InUse || c.Damage != "" {
		t.Fatalf("absent: %+v, %v", c, err)
	}
	if _, err := os.Stat(filepath.Dir(path)); err == nil {
		t.Error("looking made a directory")
	}
	q, err := Open(path, Options{})
	check(t, err)
	check(t, q.PutView(t.Context(), "k", "v", []byte("x"), time.Now()))
	if c, err = Examine(t.Context(), path); err != nil || c.Absent || !c.InUse || !c.Writable || c.Damage != "" || c.Bytes == 0 {
		t.Errorf("in use: %+v, %v", c, err)
	}
	check(t, q.Close())
	if c, err = Examine(t.Context(), path); err != nil || c.InUse || c.Damage != "" {
		t.Errorf("at rest: %+v, %v", c, err)
	}
	// It can be opened again: nothing was left locked or changed.
	q, err = Open(path, Options{})
	check(t, err)
	check(t, q.Close())

	data, err := os.ReadFile(path)
	check(t, err)
	for i := 4096; i < len(data); i++ {
		data[i] ^= 0x5a
	}
	check(t, os.WriteFile(path, data, 0o600))
	if c, err = Examine(t.Context(), path); err != nil || c.Damage == "" {
		t.Errorf("pages overwritten: %+v, %v", c, err)
	}
	check(t, os.WriteFile(path, []byte(strings.Repeat("no database ", 1000)), 0o600))
	if c, err = Examine(t.Context(), path); err != nil || !strings.Contains(c.Damage, "not a database") {
		t.Errorf("another file: %+v, %v", c, err)
	}
	if _, err = Examine(t.Context(), filepath.Dir(path)); err == nil {
		t.Error("a directory is taken for a queue")
	}
}

func TestExamineNamesAFileOfANewerRung(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rung.db")
	q, err := Open(path, Options{})
	check(t, err)
	_, err = q.db.Exec(`PRAGMA user_version = 99; UPDATE compatibility SET oldest = 99`)
	check(t, err)
	check(t, q.Close())
	if c, err := Examine(t.Context(), path); err != nil || c.Damage != "" || !strings.Contains(c.Newer, "schema 99, of a newer rung") {
		t.Errorf("%+v, %v", c, err)
	}
}
