// Package setup makes the GitHub App that rung is, by GitHub's manifest flow: a
// person opens a link that the console shows, presses a button, GitHub asks and
// makes the App, and the secrets that it gives for a code are written to files.
//
// State. A Setup has a listener on loopback, the token of the link, the state that
// goes to GitHub and comes back, and how far it is. New has checked all that can be
// checked before a person is asked for anything: the options, GitHub, the account,
// the directory. Run serves the pages until the App is made, or the time is over.
//
// Invariants. The link's token works once, for one browser; the state lies in that
// browser's cookie (HttpOnly, SameSite=Lax, because GitHub sends people back from
// another site) and is compared with what comes back before a code is looked at.
// Pages are given to loopback names only, so that a foreign name that is made to
// lead here gets nothing. Secrets go from GitHub's answer into new files of mode
// 0600, never over one that is there, never into the data directory, a page, a log
// or an error. Once the App is made the server is closed.
//
// Concurrency. Requests may come side by side; a code is exchanged by one of them.
//
// What it does not do: it installs nothing on the App's behalf, opens no browser
// and keeps the App's client secret nowhere, because rung signs nobody in.
package setup
