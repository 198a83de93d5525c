// Package forge is the adapter to GitHub: the only package that speaks
// GitHub's REST and GraphQL and knows its accounts, tokens, limits and errors.
//
// State. An App holds the private key, one Client per installation, and the
// counters of requests. A Client holds its installation token (renewed when
// less than five minutes remain), what GitHub told it about limits, the times
// of its latest writes, cached answers with their ETags, and the access of
// people for at most a minute. All of it can be lost: a new App finds it again.
//
// Invariants. What is judged is read whole or marked incomplete: a list that
// could not be read to its end never looks like a short one. Nothing is sent
// while GitHub said to wait; the caller gets a *RateLimitedError with the time
// instead, and nobody sleeps here. A write is never repeated blindly: when its
// outcome is unknown the error is ErrUnknownOutcome, and each write can be
// called again because it looks up what an earlier call may have done. Writes
// don't follow redirects. Tokens are sent to the host of the API only, and no
// error text carries one.
//
// Concurrency. Every exported method may be called from several goroutines.
//
// What it does not do: it doesn't judge (an unknown word of GitHub is passed
// on, as pending or unknown), keeps nothing on disk, and moves no git objects;
// it only hands out the token for that.
package forge
