// Package githubemu is a GitHub that runs in this process: an http.Handler
// over git repositories that answers as GitHub Enterprise Server does. REST is
// at BASE/api/v3/…, GraphQL at BASE/api/graphql, git's smart HTTP at
// BASE/OWNER/NAME.git/…, pages for people at BASE/OWNER/NAME, and a control
// API for other processes at BASE/_emu/….
//
// It is a world, not a mock of calls: whoever uses it pushes, reviews and
// merges, and then looks at what has become of branches, pull requests and
// checks. It imports nothing of the program under test and meets it over HTTP
// alone, so that the two cannot share a mistake.
//
// State. One value of type world holds everything that is not git: accounts,
// Apps, installations, tokens, repositories with their pull requests, issues,
// checks, statuses, rules, and the deliveries of webhooks. It can be saved as
// JSON and loaded again. Commits, trees and refs live in the gitstore.Store and
// nowhere else; a branch's position is always asked of the store. Ids, tokens
// and delivery GUIDs come from counters, so the same acts in the same order
// give the same world.
//
// Concurrency. One mutex guards the world and every ref that moves. Each API
// request, each page, each git push and each exported method takes it once at
// the door and holds it until its effect is whole; unexported methods expect
// it held unless their comment says otherwise. It is never held while a body
// is read from a client, while an answer is written, while OnWrite runs or
// while a webhook is on the wire; git fetches do not take it at all after they
// have been authorised. The only goroutine is the webhook sender, which Close
// stops; with Config.Manual there is none and the caller delivers by hand.
//
// Invariants. A pull request's head is where its branch is. A webhook is
// queued in the same critical section as the change that it tells of, and only
// for Apps that are installed, not suspended, and subscribed. An answer that
// is a fault's doing never reflects a state that did not exist.
//
// Where GitHub differs from what one would guess, GitHub is followed: a pull
// request's base.sha and baseRefOid stay where the base was when the head last
// moved; a check run's conclusion alone completes it; of a strict rule a head
// that is behind is told that its checks are "expected"; GraphQL names a bot
// without its "[bot]".
//
// What it does not do: forks, code owners, code search, Actions, packages'
// contents, the signature itself of commits that GitHub signs (they count as
// verified, but carry none), and anything that no promotion bot asks for. An
// unknown path is a 404.
package githubemu
