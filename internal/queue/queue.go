// Package queue keeps what still has to be looked at: webhook deliveries that
// were accepted, and the keys that they marked, in one SQLite file.
//
// State: deliveries (by GUID: received, failed or done), work (one row for
// each key: when it is due, who holds its lease), hints (why a key is due),
// and views (the last snapshot that the board shows for a key). A generation
// counter that never goes back numbers every hint and every claim.
//
// Invariants: what Accept or Mark took is on disk before they return. At most
// one claim of a key is valid at a time, and Done, Fail and Extend of any
// other are refused with ErrLost. Done deletes only the hints that its claim
// took, so a mark made during a reconcile is never lost: it leaves the key
// due. A delivery is done once every key that it marked was reconciled after
// it. Everything is bounded: hints and waiting deliveries for each key, the
// size of a hint, a payload and a view, unfinished deliveries, retention.
//
// Concurrency: every method is safe for concurrent use. One process owns the
// file; a second one is refused by a lock beside it. Deliveries that arrive
// together share one commit.
//
// What it does not do: it holds no truth. A hint only says where to look, and
// every decision is made from the forge, the registry and the ledger, so the
// file can be deleted at any moment (the process stopped): a sweep marks every
// repository again, and the same decisions follow, perhaps later. It knows no
// event format (doors) and starts no reconcile (reconcile). Its only clock is
// Options.Now; Wait alone sets a timer.
package queue

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	// The driver registers itself with database/sql as "sqlite".
	_ "modernc.org/sqlite"
)

// InMemory as the path of Open keeps everything in memory, for tests.
const InMemory = ":memory:"

// Limits that are not settings.
const (
	// MaxKeyBytes is the longest key.
	MaxKeyBytes = 200
	// MaxHintBytes is the largest Data of a hint.
	MaxHintBytes = 16 << 10
	// MaxViewBytes is the largest view.
	MaxViewBytes = 8 << 20
	// MaxMarks is how many marks one delivery, or one call of Mark, may make.
	MaxMarks = 10_000
)

// Errors that callers tell apart with errors.Is.
var (
	// ErrInUse: another process has the queue open.
	ErrInUse = errors.New("queue is in use by another process")
	// ErrLost: the lease expired, or somebody else claimed the key since.
	// Whoever gets it stops, and writes nothing more for that key.
	ErrLost = errors.New("lease lost")
	// ErrFull: there are too many unfinished deliveries; ask the sender to
	// come back later.
	ErrFull = errors.New("queue is full")
	// ErrInvalid: a delivery, mark or view breaks a limit of this package.
	ErrInvalid = errors.New("not acceptable to the queue")
	// ErrClosed: the queue was closed.
	ErrClosed = errors.New("queue is closed")
)

// Options sets the queue's limits. The zero value of a field takes its
// default.
type Options struct {
	// Now is the clock; default time.Now.
	Now func() time.Time
	// MaxHints is how many hints, and how many waiting deliveries, are kept
	// for one key; default 1000. One more hint, and all of the key's hints
	// collapse into one of kind KindEverything.
	MaxHints int
	// MaxUnfinished is how many deliveries may be unfinished before Accept
	// answers ErrFull; default 100,000.
	MaxUnfinished int
	// MaxPayload is the largest payload kept with an unfinished delivery, in
	// bytes; default 64 KiB. A larger one is not kept (the hints carry what
	// is needed); the delivery is taken all the same.
	MaxPayload int
	// Retention is how long a finished delivery is remembered, so that its
	// GUID is recognised; default 8 days, more than any redelivery window.
	Retention time.Duration
	// RetryFloor is the shortest wait after a failed attempt, however many
	// new marks come; default 10 s.
	RetryFloor time.Duration
	// Pause is how Open waits between two looks at a lock that is held; default
	// time.Sleep.
	Pause func(time.Duration)
}

const (
	// lockPause is the wait between two looks at a lock, lockLooks how many there
	// are: who asks whether the file is in use holds it for an instant, and so may
	// a process that is just ending.
	lockPause = 50 * time.Millisecond
	lockLooks = 20
)

// Queue is the open store. Make one with Open.
type Queue struct {
	db      *sql.DB
	unlock  func() error
	options Options

	mu      sync.Mutex
	changed chan struct{} // closed and replaced whenever a key's time changes
	pending []*acceptance // deliveries waiting for the next shared commit
	running bool          // a goroutine is committing pending
	closed  bool
	commits sync.WaitGroup

	prunedAt time.Time // only touched inside a shared commit
}

// Open opens the queue at path, creating the file (mode 0600) and its
// directory if they are missing, and makes every unfinished claim of an
// earlier process due again. A second process on the same path gets an error
// that wraps ErrInUse. A file of a newer rung is opened where it allows that, and keeps
// its schema; otherwise the error says what to do. With InMemory nothing is written.
func Open(path string, options Options) (*Queue, error) {
	return openAs(path, options, migrations)
}

// openAs is Open for a rung that knows these steps.
func openAs(path string, options Options, steps []step) (*Queue, error) {
	q := &Queue{options: options.withDefaults(), changed: make(chan struct{}), unlock: func() error { return nil }}
	dsn := "file::memory:"
	if path != InMemory {
		if err := q.claimFile(path); err != nil {
			return nil, err
		}
		absolute, err := filepath.Abs(path)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("open queue: %w", err), q.unlock())
		}
		dsn = (&url.URL{Scheme: "file", Path: absolute}).String()
	}
	db, err := sql.Open("sqlite", dsn+"?_txlock=immediate&_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)")
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open queue: %w", err), q.unlock())
	}
	// One connection: SQLite has one writer, and a database in memory lives
	// as long as its connection.
	db.SetMaxOpenConns(1)
	db.SetMaxIdleConns(1)
	db.SetConnMaxLifetime(0)
	q.db = db
	switch err := q.prepare(steps); {
	case errors.Is(err, errNewer):
		return nil, errors.Join(fmt.Errorf("open queue %s: %w", path, err), db.Close(), q.unlock())
	case err != nil:
		err = fmt.Errorf("open queue %s: %w; it holds nothing that can't be rebuilt: if the file is damaged, stop rung, delete it and start again", path, err)
		return nil, errors.Join(err, db.Close(), q.unlock())
	}
	return q, nil
}

// claimFile creates the database file with narrow permissions and takes the
// lock beside it.
func (q *Queue) claimFile(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("open queue: %w", err)
	}
	unlock, err := lockFile(path + ".lock")
	for look := 1; errors.Is(err, ErrInUse) && look < lockLooks; look++ {
		q.options.Pause(lockPause)
		unlock, err = lockFile(path + ".lock")
	}
	if err != nil {
		return fmt.Errorf("open queue %s: %w", path, err)
	}
	q.unlock = unlock
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600) // #nosec G304 -- the operator's own setting
	if err != nil {
		return errors.Join(fmt.Errorf("open queue: %w", err), unlock())
	}
	if err := file.Close(); err != nil {
		return errors.Join(fmt.Errorf("open queue: %w", err), unlock())
	}
	return nil
}

// prepare brings the schema up to date and frees the leases of whoever had
// the file before: the lock says that they are gone.
func (q *Queue) prepare(steps []step) error {
	return q.write(context.Background(), func(tx *sql.Tx) error {
		if err := migrate(tx, steps); err != nil {
			return err
		}
		now := stamp(q.options.Now())
		_, err := tx.Exec(`UPDATE work SET owner = '', ready_at = ?, next_at = NULL WHERE owner <> ''`, now)
		return err
	})
}

// Close ends the queue: what is being accepted is committed first, waiters
// get ErrClosed, and the lock is given back. A second Close does nothing.
func (q *Queue) Close() error {
	q.mu.Lock()
	if q.closed {
		q.mu.Unlock()
		return nil
	}
	q.closed = true
	close(q.changed)
	q.mu.Unlock()
	q.commits.Wait()
	return errors.Join(q.db.Close(), q.unlock())
}

// write runs f in one transaction and commits it. ctx bounds the wait for the
// connection only: a transaction that began is not interrupted, because it is
// short and an interrupted commit leaves its outcome unknown.
func (q *Queue) write(ctx context.Context, f func(*sql.Tx) error) error {
	conn, err := q.connection(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }() // gives it back to the pool
	tx, err := conn.BeginTx(context.WithoutCancel(ctx), nil)
	if err != nil {
		return err
	}
	if err := f(tx); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}

// read runs f on the connection.
func (q *Queue) read(ctx context.Context, f func(context.Context, *sql.Conn) error) error {
	conn, err := q.connection(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }() // gives it back to the pool
	return f(context.WithoutCancel(ctx), conn)
}

func (q *Queue) connection(ctx context.Context) (*sql.Conn, error) {
	conn, err := q.db.Conn(ctx)
	if err != nil && q.isClosed() {
		return nil, ErrClosed
	}
	return conn, err
}

func (q *Queue) isClosed() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.closed
}

// announce wakes everybody in Wait.
func (q *Queue) announce() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return
	}
	close(q.changed)
	q.changed = make(chan struct{})
}

func (o Options) withDefaults() Options {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Pause == nil {
		o.Pause = time.Sleep
	}
	if o.MaxHints <= 0 {
		o.MaxHints = 1000
	}
	if o.MaxUnfinished <= 0 {
		o.MaxUnfinished = 100_000
	}
	if o.MaxPayload <= 0 {
		o.MaxPayload = 64 << 10
	}
	if o.Retention <= 0 {
		o.Retention = 8 * 24 * time.Hour
	}
	if o.RetryFloor <= 0 {
		o.RetryFloor = 10 * time.Second
	}
	return o
}

// stamp is how a time is stored: nanoseconds since 1970, 0 for the zero time.
// What nanoseconds can't reach is stored as the nearest time that they can.
func stamp(t time.Time) int64 {
	switch year := t.Year(); {
	case t.IsZero():
		return 0
	case year < 1679:
		return math.MinInt64
	case year > 2261:
		return math.MaxInt64
	}
	return t.UnixNano()
}

// unstamp is the inverse of stamp, in UTC.
func unstamp(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(0, n).UTC()
}
