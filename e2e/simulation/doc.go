// Package simulation runs the whole service against a whole world, by seed.
//
// One seed is one run under testing/synctest's clock: the GitHub emulator over
// repositories in memory, an OCI registry, health endpoints, and rung itself,
// every request answered in the caller's goroutine, no socket anywhere. The
// driver is single-threaded. It picks at random what happens next: versions are
// published, webhooks arrive late, twice, out of order or never, people review,
// merge, close, revert, edit and give commands, requests fail before or after
// their effect, the process dies between any two writes, time passes. Between
// these it lets rung make its passes.
//
// Afterwards the faults stop and the world must come to rest within a bounded
// time; a restart without the queue must then change nothing. Package oracle,
// which shares no code with rung's decisions, watches every write while it
// happens and looks at the end at what has become of the repository.
//
// Invariants of the driver: everything random comes from the seed; the order of
// map iteration inside rung is the one thing that does not, so that now and then
// a seed takes another path. A failing seed prints the command that runs it
// again and the trace of what happened.
//
// What it does not do: it does not judge (oracle does), and it runs no network,
// no stock git and no real clock; e2e's stories do that.
package simulation
