// Package oracle says whether what rung did was right. It imports nothing of
// rung: it reads the repository, the emulator's state and the ledger with
// parsers of its own, so that rung and it can't share a mistake.
//
// State. An Oracle follows one repository: the ledger's records as they were
// pushed, the releases that settled, what is barred and frozen, and every
// violation found. Before and After are called around each write of rung's;
// what the world looked like in between is what the write is judged by. Final
// looks at a world that has come to rest.
//
// The rules are rung's invariants, and each violation is named by its number:
// 1 gates, 2 once, 3 quarantine and health, 4 scope, 5 reasons, 6 restart and
// records, 7 bounded. It is stricter than rung only where the design is; where
// the design leaves a choice it accepts every answer.
//
// Concurrency: one goroutine. What it does not do: it verifies no commit
// signatures (audit's tests do, and stock git), and it never drives anything.
package oracle
