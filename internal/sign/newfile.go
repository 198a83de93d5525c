package sign

import (
	"errors"
	"io/fs"
	"os"
)

// WriteNewKey makes a key and writes it to a file of mode 0600 in OpenSSH's form,
// and its public half beside it with .pub behind the name: both or none. Neither
// may be there yet.
func WriteNewKey(name, comment string) (PublicKey, error) {
	key, err := GenerateKey()
	if err != nil {
		return PublicKey{}, err
	}
	private, err := key.MarshalOpenSSH(comment)
	if err != nil {
		return PublicKey{}, err
	}
	if err := WriteNewFile(name, private, 0o600); err != nil {
		return PublicKey{}, err
	}
	if err := WriteNewFile(name+".pub", []byte(key.Public().AuthorizedKey()+" "+comment+"\n"), 0o644); err != nil {
		return PublicKey{}, errors.Join(err, os.Remove(name))
	}
	return key.Public(), nil
}

// WriteNewFile writes a file that is not there yet, whatever the umask, and makes
// sure that it stays; what could not be written whole is removed. Its error is
// fs.ErrExist where there is one.
func WriteNewFile(name string, data []byte, mode fs.FileMode) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode&0o700) // #nosec G304 -- the operator names it
	if errors.Is(err, fs.ErrExist) {
		return existsError(name)
	}
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close()); err != nil {
		return errors.Join(err, os.Remove(name))
	}
	return nil
}

// existsError is the name of a file that is in the way.
type existsError string

// Error says what to do.
func (e existsError) Error() string {
	return string(e) + " is there already, and is not overwritten: move it away, or name another directory"
}

// Is makes it fs.ErrExist.
func (existsError) Is(target error) bool { return target == fs.ErrExist }
