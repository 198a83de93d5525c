// Package lazyregexp has regular expressions that are compiled on first use.
// Package variables are made before main runs, for every command of rung:
// compiling all expressions there took longer than most commands, also those
// that need none of them.
//
// State: each expression once it is compiled, for good. Safe for concurrent use.
//
// An expression that can't be compiled panics on first use; the test of this
// package compiles each one of the module.
package lazyregexp

import (
	"regexp"
	"sync"
)

// Regexp is a regexp.Regexp to be. Its methods are that one's own.
type Regexp struct {
	expression string
	once       sync.Once
	compiled   *regexp.Regexp
}

// New takes an expression, a constant, and does not look at it yet.
func New(expression string) *Regexp { return &Regexp{expression: expression} }

func (r *Regexp) get() *regexp.Regexp {
	r.once.Do(func() { r.compiled = regexp.MustCompile(r.expression) })
	return r.compiled
}

// String is the expression.
func (r *Regexp) String() string { return r.expression }

// Match is regexp.Regexp's.
func (r *Regexp) Match(b []byte) bool { return r.get().Match(b) }

// MatchString is regexp.Regexp's.
func (r *Regexp) MatchString(s string) bool { return r.get().MatchString(s) }

// FindSubmatch is regexp.Regexp's.
func (r *Regexp) FindSubmatch(b []byte) [][]byte { return r.get().FindSubmatch(b) }

// FindStringSubmatch is regexp.Regexp's.
func (r *Regexp) FindStringSubmatch(s string) []string { return r.get().FindStringSubmatch(s) }

// FindAllString is regexp.Regexp's.
func (r *Regexp) FindAllString(s string, n int) []string { return r.get().FindAllString(s, n) }

// FindAllStringSubmatch is regexp.Regexp's.
func (r *Regexp) FindAllStringSubmatch(s string, n int) [][]string {
	return r.get().FindAllStringSubmatch(s, n)
}

// ReplaceAllString is regexp.Regexp's.
func (r *Regexp) ReplaceAllString(s, by string) string { return r.get().ReplaceAllString(s, by) }

// Split is regexp.Regexp's.
func (r *Regexp) Split(s string, n int) []string { return r.get().Split(s, n) }
