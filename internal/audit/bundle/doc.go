// Package bundle keeps a repository's evidence in one file: both branches with
// their whole history as a git bundle, the trust root, and reports, so that it can
// be checked years later without the forge, without rung's service, and with stock
// git alone.
//
// State: none between calls; Open unpacks a file into a temporary directory that
// Close removes. The file is a plain tar with its entries in one order:
//
//	manifest.json      what it is of, and the SHA-256 of each other entry but the next
//	SHA256SUMS         the same for sha256sum -c, the manifest included
//	README.txt         how to check it by hand
//	allowed_signers    the trust list of the ledger's first commit
//	…                  the caller's reports
//	repository.bundle  a git bundle (version 2) of the base branch and rung/ledger
//
// Invariants: the same repository and program give the same bytes: nothing in it
// tells when or where it was written. What is not whole is not written. Whoever
// reads one trusts nothing that it says of itself: the branches are verified anew
// from their objects, and the rest must agree with what that finds. Reading is
// bounded: no entry is taken whose name is not expected, and nothing is inflated
// beyond what a file of its size may hold.
//
// Concurrency: each call has its own state. What it does not do: it signs nothing
// (what it holds is signed), judges nothing (audit does), and keeps no only copy.
package bundle
