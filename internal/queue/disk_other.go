//go:build !(linux || darwin)

package queue

import "os"

// mayWrite reports whether the owner may write a file or directory.
func mayWrite(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().Perm()&0o200 != 0
}

// freeSpace is not known on this system.
func freeSpace(string) (uint64, bool) { return 0, false }
