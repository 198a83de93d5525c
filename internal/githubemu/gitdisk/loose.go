package gitdisk

import (
	"compress/zlib"
	"context"
	"crypto/sha1" // #nosec G505 -- git's object ids are SHA-1
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
)

// A compressor is a large thing to make for each of many small objects.
var compressors = sync.Pool{New: func() any {
	w, _ := zlib.NewWriterLevel(io.Discard, zlib.BestSpeed) // fails only for an unknown level
	return w
}}

// WriteObject writes a loose object in process, by a temporary file and a
// rename as git does.
func (r *repository) WriteObject(ctx context.Context, kind string, data []byte) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	switch kind {
	case "commit", "tree", "blob", "tag":
	default:
		return "", fmt.Errorf("write object: %q is not a kind of object", kind)
	}
	header := fmt.Appendf(nil, "%s %d\x00", kind, len(data))
	h := sha1.New() // #nosec G401 -- git's object ids are SHA-1
	h.Write(header)
	h.Write(data)
	id := hex.EncodeToString(h.Sum(nil))
	path := filepath.Join(r.path(), "objects", id[:2], id[2:])
	if exists(path) {
		return id, nil
	}
	if err := writeLoose(path, header, data); err != nil {
		return "", fmt.Errorf("write %s %s: %w", kind, id, err)
	}
	return id, nil
}

func writeLoose(path string, header, data []byte) error {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, "tmp_obj_*")
	if errors.Is(err, os.ErrNotExist) {
		if err := os.MkdirAll(dir, 0o750); err != nil {
			return err
		}
		f, err = os.CreateTemp(dir, "tmp_obj_*")
	}
	if err != nil {
		return err
	}
	z := compressors.Get().(*zlib.Writer)
	z.Reset(f)
	_, errHeader := z.Write(header)
	_, errData := z.Write(data)
	err = errors.Join(errHeader, errData, z.Close(), f.Close())
	compressors.Put(z)
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}
