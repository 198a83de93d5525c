// Package progress tells a person at a terminal what a command that takes longer than
// a second is doing, and how far it has come.
//
// State: one Line for a command, carried by its context, with the Step that began
// last. Invariants: nothing is written in the first second; then one line is written
// over and over in its place, and it is gone when Stop returns and before anything is
// written through Writer. Outside text can't leave the line.
//
// Concurrency: everything may be called from several goroutines. Without a Line in the
// context all of it does nothing: rooms below say what they do, and only the command
// line knows whether somebody watches. What it does not do: it knows no terminal, and
// whether the line is wanted is decided by whoever calls Show.
package progress

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode"
)

const (
	// patience is how long a command may take before anything is said of it.
	patience = time.Second
	// pace is how often the line is written again at most.
	pace = 100 * time.Millisecond
	// longest is the longest line in runes. What the terminal has no room for is
	// cut off by itself: wrapping is off while the line is written.
	longest = 120

	erase  = "\r\x1b[K"
	narrow = "\x1b[?7l"
	wide   = "\x1b[?7h"
)

// Line is the line at the foot of a terminal.
type Line struct {
	out  io.Writer
	step atomic.Pointer[Step]
	quit func()
	gone chan struct{}

	mu sync.Mutex
	// shown is what stands there now, midway whether other output left its line open.
	shown  string
	midway bool
}

type key struct{}

// Show puts a line for what ctx's command does onto a terminal. Stop must be called.
func Show(ctx context.Context, terminal io.Writer) (context.Context, *Line) {
	quit := make(chan struct{})
	l := &Line{out: terminal, quit: sync.OnceFunc(func() { close(quit) }), gone: make(chan struct{})}
	go l.run(quit)
	return context.WithValue(ctx, key{}, l), l
}

func (l *Line) run(quit <-chan struct{}) {
	defer close(l.gone)
	next := time.NewTimer(patience)
	defer next.Stop()
	for {
		select {
		case <-quit:
			return
		case <-next.C:
			l.draw()
			next.Reset(pace)
		}
	}
}

// draw writes the line anew where it has changed.
func (l *Line) draw() {
	text := l.step.Load().text()
	l.mu.Lock()
	defer l.mu.Unlock()
	if text == l.shown || l.midway {
		return
	}
	l.shown = text
	_, _ = io.WriteString(l.out, erase+narrow+text+wide) // a terminal that is gone is nobody to tell
}

// clear takes the line away; l.mu is held.
func (l *Line) clear() {
	if l.shown != "" {
		l.shown = ""
		_, _ = io.WriteString(l.out, erase)
	}
}

// Stop takes the line away for good.
func (l *Line) Stop() {
	l.quit()
	<-l.gone
	l.mu.Lock()
	defer l.mu.Unlock()
	l.clear()
}

// Writer writes to w, which shares the line's terminal: the line is gone before.
func (l *Line) Writer(w io.Writer) io.Writer { return &above{l, w} }

type above struct {
	line *Line
	io.Writer
}

// Write writes where the line stood.
func (a *above) Write(p []byte) (int, error) {
	a.line.mu.Lock()
	defer a.line.mu.Unlock()
	a.line.clear()
	if len(p) > 0 {
		a.line.midway = p[len(p)-1] != '\n'
	}
	return a.Writer.Write(p)
}

// Unwrap is what is written to.
func (a *above) Unwrap() io.Writer { return a.Writer }

// Step is one thing that a command does. A nil Step counts nothing.
type Step struct {
	what, unit string
	of         int64
	done       atomic.Int64
}

// Begin says what is done from now on, such as "judging the ledger", and in which unit
// it is counted, such as "commits", of how many; 0 where that is not known.
func Begin(ctx context.Context, what, unit string, of int) *Step {
	l, _ := ctx.Value(key{}).(*Line)
	if l == nil {
		return nil
	}
	s := &Step{what: what, unit: unit, of: int64(of)}
	l.step.Store(s)
	return s
}

// Add counts n more that are done.
func (s *Step) Add(n int) {
	if s != nil {
		s.done.Add(int64(n))
	}
}

// text is the line.
func (s *Step) text() string {
	if s == nil {
		return ""
	}
	line := "rung: " + s.what
	switch done := s.done.Load(); {
	case s.of > 0:
		line += fmt.Sprintf(": %s of %s %s", grouped(done), grouped(s.of), s.unit)
	case done > 0:
		line += fmt.Sprintf(": %s %s", grouped(done), s.unit)
	}
	line = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '·'
		}
		return r
	}, line)
	if runes := []rune(line); len(runes) > longest {
		line = string(runes[:longest-1]) + "…"
	}
	return line
}

// grouped writes a number with a comma at each thousand.
func grouped(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
