// Package e2e holds the stories: one short script in testdata for each promise
// that a user was made, named for the promise, and played against rung itself.
//
// State: each story has a world of its own: the GitHub emulator over git in
// memory, an OCI registry, a health server, people, and rung, either in this
// process through package app (the default; most stories) or as `rung serve`
// (`world -real`). Invariants: a script says what people do and what the world
// then shows; it waits by looking until something holds, for a bounded time,
// and never sleeps; that something does not happen is looked at once rung has
// nothing left to do (`stay`). Stories run side by side.
//
// What it does not do: it tests no package by itself, and no race of a crash
// with a write; those are e2e/kill and e2e/simulation. The commands are listed
// in stories_test.go.
package e2e
