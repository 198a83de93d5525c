//go:build unix

package audit

import (
	"fmt"
	"os"
	"syscall"
)

// isMapped says whether mapped maps files.
const isMapped = true

// mapped maps a file of some size into memory.
func mapped(f *os.File, size int) (data []byte, unmap func(), err error) {
	data, err = syscall.Mmap(int(f.Fd()), 0, size, syscall.PROT_READ, syscall.MAP_SHARED) //nolint:gosec // a file descriptor
	if err != nil {
		return nil, nil, fmt.Errorf("%s can't be mapped: %w", f.Name(), err)
	}
	return data, func() { _ = syscall.Munmap(data) }, nil
}
