// Package demo is a world for rung to work in, and a play that it is watched
// in: `rung demo`, and the ground under stories and kill tests.
//
// A World is everything but rung, on loopback: the GitHub emulator over bare
// repositories that stock git reads, an OCI registry with small random images,
// sample applications that answer health probes by what main holds, keys, and
// people: alice (admin), bob (write, team acme/sre), carol (write, whose
// builds publish) and mallory (triage). The sample repository is the one that
// the program carries, with loopback hosts and pinned digests written in.
// A Show adds rung itself, tells what happens as it happens, and can play the
// people's part as well.
//
// State: DIR holds github/OWNER/NAME.git, keys/ and data/; what is not git or
// keys lives in memory. Invariants: rung is met over HTTP and by its settings
// alone, as any installation would be; what is told and counted is read from
// the world (branches, pull requests, checks, the ledger), never from the play;
// keys have mode 0600 and lie outside of data/. Concurrency: a World may be
// used by several goroutines. What it does not do: it survives no restart; a
// directory is played in once.
package demo
