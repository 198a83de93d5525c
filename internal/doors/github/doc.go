// Package github is the door for GitHub's webhooks: it authenticates a
// delivery, reads from it which keys to look at again and why, has that
// written durably, and answers 202.
//
// State: counters, and the bytes in flight. Everything else is in the queue.
//
// Invariants: nothing is read from a body before its HMAC-SHA256 over the raw
// bytes matched one of the secrets; there is no unsigned mode. 202 is answered
// only for what is on disk, or for what is ignored on purpose and counted. A
// payload is a hint, never a truth: hints name what to read again. Every
// string in a hint passed a strict grammar; one that didn't becomes a Refused
// hint with a sentence, so that a person can see it. Bodies, bytes in flight
// and the time to read one are bounded; nothing of a body is echoed, and no
// header is logged but the delivery's id and event.
//
// Concurrency: a Door may serve any number of requests at once. Decode is
// pure.
//
// What it does not do: it asks GitHub nothing, decides nothing, and does not
// parse commands beyond "this line is one" (command does). Deliveries that
// GitHub could not deliver are found by the sweep, which hands their payloads
// to Replay.
package github
