//go:build !(linux || darwin || freebsd || netbsd || openbsd || dragonfly)

package queue

import "errors"

// lockFile refuses: without an advisory lock two processes could share the
// file.
func lockFile(string) (unlock func() error, err error) {
	return nil, errors.New("this system has no file lock that rung knows: run rung on Linux, macOS or a BSD")
}
