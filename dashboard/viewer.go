package dashboard

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// Viewer is who looks at the page.
type Viewer struct {
	// Name is recorded with all that he does. Without a name one may read only.
	Name string
	// Can is what he may do.
	Can Permission
}

// Permission is what a [Viewer] may do: any of the constants, joined by |.
type Permission uint

// The permissions. None includes another: who may do nothing but Requeue sees nothing.
const (
	// Read shows every page, with payloads, headers and errors as [Config.Mask] leaves them.
	Read Permission = 1 << iota
	// Requeue gives dead and cancelled jobs their tries again, makes waiting ones due now or at
	// another time, and moves messages out of dead queues.
	Requeue
	// Cancel withdraws jobs that are not sent yet.
	Cancel
	// Pause stops queues, and lets them go on.
	Pause
	// Delete deletes finished jobs and messages of dead queues, for good.
	Delete

	// Everything is all of them.
	Everything = Read | Requeue | Cancel | Pause | Delete
)

// String names what p allows: "read, requeue".
func (p Permission) String() string {
	var names []string
	for i, name := range []string{"read", "requeue", "cancel", "pause", "delete"} {
		if p&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return "nothing"
	}
	return strings.Join(names, ", ")
}

// allows reports whether v may do all that p names.
func (v Viewer) allows(p Permission) bool {
	return v.Can&p == p && (p == Read || v.Name != "")
}

// Account is somebody who signs in with a password, see [BasicAuth].
type Account struct {
	// Name is who he says he is, and is recorded as who did what.
	Name string
	// PasswordSHA256 is the password's SHA-256 in hex, so that it stands in no
	// configuration: printf %s "$PASSWORD" | sha256sum. A hash this fast hides long
	// random passwords only: take 20 random characters or more.
	PasswordSHA256 string
	// Can is what he may do.
	Can Permission
}

// BasicAuth returns a [Config.Authorize] that asks for one of the accounts by HTTP basic
// authentication. Passwords go over the wire with every request: use it behind TLS, or on
// loopback. How often somebody may guess is not bounded.
func BasicAuth(accounts ...Account) (func(*http.Request) (Viewer, error), error) {
	if len(accounts) == 0 {
		return nil, errors.New("dashboard: BasicAuth has no accounts: nobody could sign in")
	}
	type known struct {
		name, password [sha256.Size]byte
		viewer         Viewer
	}
	all := make([]known, 0, len(accounts))
	var errs []error
	for i, a := range accounts {
		hash, err := hex.DecodeString(a.PasswordSHA256)
		switch {
		case a.Name == "" || strings.Contains(a.Name, ":"):
			errs = append(errs, fmt.Errorf("dashboard: BasicAuth: Account %d: Name is %.100q: want a name without colon", i, a.Name))
		case err != nil || len(hash) != sha256.Size:
			// Not what it is: somebody may have put the password there.
			errs = append(errs, fmt.Errorf("dashboard: BasicAuth: Account %d: PasswordSHA256 is no SHA-256: want 64 hex digits", i))
		case a.Can&^Everything != 0 || a.Can == 0:
			errs = append(errs, fmt.Errorf("dashboard: BasicAuth: Account %d: Can is %d: want some of Read, Requeue, Cancel, Pause, Delete", i, a.Can))
		case strings.EqualFold(a.PasswordSHA256, emptyPassword):
			errs = append(errs, fmt.Errorf("dashboard: BasicAuth: Account %d: PasswordSHA256 is that of the empty password", i))
		default:
			all = append(all, known{sha256.Sum256([]byte(a.Name)), [sha256.Size]byte(hash), Viewer{a.Name, a.Can}})
		}
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return func(r *http.Request) (Viewer, error) {
		name, password, ok := r.BasicAuth()
		if !ok {
			return Viewer{}, errSignIn
		}
		nameHash, passwordHash := sha256.Sum256([]byte(name)), sha256.Sum256([]byte(password))
		viewer, found := Viewer{}, 0
		for _, a := range all { // all of them, and whole: the time taken tells nothing
			same := subtle.ConstantTimeCompare(a.name[:], nameHash[:]) & subtle.ConstantTimeCompare(a.password[:], passwordHash[:])
			if same == 1 {
				viewer = a.viewer
			}
			found |= same
		}
		if found == 0 {
			return Viewer{}, errSignIn
		}
		return viewer, nil
	}, nil
}

// emptyPassword is the SHA-256 of nothing, which a script with an unset variable writes.
const emptyPassword = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" //nolint:gosec // not a secret: that of no password

// errSignIn is answered with 401, so that a browser asks for name and password.
var errSignIn = errors.New("dashboard: no such name and password")
