//go:build unix

package servers

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// Account is the operating-system account that a node runs as; a nil Account
// is our own.
type Account struct {
	Name     string
	UID, GID uint32
}

// PostgresAccount returns the account for PostgreSQL, which refuses to run as
// root: nil unless we are root, else postgres or, where that is missing,
// nobody.
func PostgresAccount() (*Account, error) {
	if os.Geteuid() != 0 {
		return nil, nil //nolint:nilnil // a nil Account is our own
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, errUID := strconv.ParseUint(u.Uid, 10, 32)
		gid, errGID := strconv.ParseUint(u.Gid, 10, 32)
		if err := errors.Join(errUID, errGID); err != nil {
			return nil, fmt.Errorf("account %s: %w", name, err)
		}
		return &Account{Name: name, UID: uint32(uid), GID: uint32(gid)}, nil
	}
	return nil, errors.New("PostgreSQL does not run as root, and there is no account postgres or nobody to run it as: create one, or run the tests as another user")
}

func (a *Account) credential() *syscall.Credential {
	if a == nil {
		return nil
	}
	return &syscall.Credential{Uid: a.UID, Gid: a.GID}
}

// own gives a folder to the account.
func (a *Account) own(dir string) error {
	if a == nil {
		return nil
	}
	return os.Chown(dir, int(a.UID), int(a.GID))
}

// Reaches reports whether the account may walk down to dir. The part of the
// path that does not exist yet is not looked at.
func (a *Account) Reaches(dir string) (bool, error) {
	if a == nil {
		return true, nil
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return false, err
	}
	for ; ; dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return false, err
		case !a.mayEnter(info):
			return false, nil
		}
		if dir == filepath.Dir(dir) {
			return true, nil
		}
	}
}

func (a *Account) mayEnter(info fs.FileInfo) bool {
	mode := info.Mode().Perm()
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		switch {
		case st.Uid == a.UID:
			return mode&0o100 != 0
		case st.Gid == a.GID:
			return mode&0o010 != 0
		}
	}
	return mode&0o001 != 0
}
