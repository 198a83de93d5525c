//go:build linux || darwin

package queue

import "syscall"

// mayWrite reports whether this process may write a file or directory.
func mayWrite(path string) bool {
	const write = 2 // W_OK
	return syscall.Access(path, write) == nil
}

// freeSpace is the room that is left for this process on a directory's disk.
func freeSpace(dir string) (uint64, bool) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		return 0, false
	}
	return s.Bavail * uint64(s.Bsize), true //nolint:gosec // a block size is positive
}
