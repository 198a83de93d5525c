// Package settings reads the process's settings from RUNG_* environment
// variables into one struct.
//
// State: none; Load is a function of the environment given to it and of the
// files that it names, read once. Invariants: everything wrong is told at once,
// each with its variable and what to do; an unknown RUNG_* variable is an
// error, with the nearest known name; secrets are of a type that never prints
// itself, come from the variable or from the file named by VARIABLE_FILE, and
// are never read from the data directory. The struct's doc comments are the
// source of docs/settings.md.
//
// What it does not do: it reads nothing of a repository's configuration (that
// is pipeline), parses no key (sign, forge), opens no port and creates no file.
package settings
