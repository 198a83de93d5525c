package demo

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"time"
)

// listening are the open ports of a World, and the address kept for rung.
type listening struct {
	rung                   string
	github, registry, apps net.Listener
}

// The ports from which one is taken for rung lie below those that systems give
// to outgoing connections, so that a rung that is killed and started again
// finds its port free.
const firstPort, portCount = 20000, 10000

// reserve opens the World's ports on loopback: port+1 and the two after it, or
// free ones if port is 0. The port for rung itself is closed again.
func reserve(ctx context.Context, port int) (listening, error) {
	var all listening
	var err error
	if port != 0 {
		if port < 1 || port > 65532 {
			return all, fmt.Errorf("port %d: it must lie between 1 and 65532, for four are taken in a row", port)
		}
		all.rung = "127.0.0.1:" + strconv.Itoa(port)
		if err := probePort(ctx, all.rung); err != nil {
			return all, err
		}
	}
	for range 50 {
		if all.rung != "" {
			break
		}
		candidate := "127.0.0.1:" + strconv.Itoa(firstPort+rand.IntN(portCount)) // #nosec G404 -- any free port will do
		if err = probePort(ctx, candidate); err == nil {
			all.rung = candidate
		}
	}
	if all.rung == "" {
		return all, fmt.Errorf("no free port for rung: %w", err)
	}
	var opened []net.Listener
	for i, to := range []*net.Listener{&all.github, &all.registry, &all.apps} {
		address := "127.0.0.1:0"
		if port != 0 {
			address = "127.0.0.1:" + strconv.Itoa(port+1+i)
		}
		l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
		if err != nil {
			for _, l := range opened {
				err = errors.Join(err, l.Close())
			}
			return all, err
		}
		opened, *to = append(opened, l), l
	}
	return all, nil
}

func probePort(ctx context.Context, address string) error {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return err
	}
	return l.Close()
}

// start serves a handler until Close.
func (w *World) start(l net.Listener, h http.Handler) {
	s := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, MaxHeaderBytes: 64 << 10}
	w.servers = append(w.servers, s)
	go func() { _ = s.Serve(l) }() // it ends with ErrServerClosed
}
