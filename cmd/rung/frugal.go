package main

import (
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	// memoryAim is what a command that reads a whole history should stay below, in
	// bytes; the pages of the program itself, and of mapped files, come on top.
	memoryAim = 160 << 20
	// memoryRoom is how much of what is in use must be free to work in, in percent:
	// less, and collecting garbage would be all that is done.
	memoryRoom = 30
)

// frugal keeps the process's memory near to what it needs, until stop is called:
// garbage is collected more often as it comes near the aim, and the aim rises with
// what is in use.
func frugal() (stop func()) {
	before := debug.SetMemoryLimit(memoryAim)
	done := make(chan struct{})
	go func() {
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
		for {
			select {
			case <-done:
				return
			case <-tick.C:
			}
			metrics.Read(live)
			if live[0].Value.Kind() != metrics.KindUint64 {
				continue
			}
			if need := int64(live[0].Value.Uint64()) / 100 * (100 + memoryRoom); need > memoryAim { //nolint:gosec // far below 2^63
				debug.SetMemoryLimit(need)
			}
		}
	}()
	return func() {
		close(done)
		debug.SetMemoryLimit(before)
	}
}
