// Package browser drives the pages that people see in a real Chromium, because only
// one keeps a page to its Content-Security-Policy, cookies to their SameSite and a
// form to its target. make browser installs what it needs and runs it; the tests are
// behind the build tag browser.
//
// State: a Chromium for a test, driven over a pipe by driver.mjs with
// playwright-core. Invariants: the tests are in Go and assert on the world, on what
// a person reads and on every answer the browser got; the driver judges nothing.
// Concurrency: a Chromium is used by one goroutine. What it does not do: it compares
// no pictures; RUNG_SCREENS names a directory where they are left to be looked at.
package browser
