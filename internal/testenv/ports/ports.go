//go:build unix

package ports

import (
	"errors"
	"fmt"
	"syscall"
)

// Port is a port of 127.0.0.1 on Linux that is held by a socket that is bound to it and
// does not listen. Nobody else, a client looking for a local port included, gets it while
// the server that it is for is down, and the server gets it again, since servers say
// SO_REUSEADDR: two sockets that both say so share a port as long as one of them only
// listens. Elsewhere than on Linux they may not.
type Port struct {
	// Number is the port.
	Number int
	socket int
}

// Hold finds a free port and holds it until Release, or until this process ends.
func Hold() (*Port, error) {
	// Between the socket's birth and close-on-exec no child may be started.
	syscall.ForkLock.RLock()
	socket, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err == nil {
		syscall.CloseOnExec(socket)
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return nil, fmt.Errorf("find a free port: make a socket: %w", err)
	}
	held := &Port{socket: socket}
	if err := held.bind(); err != nil {
		return nil, errors.Join(fmt.Errorf("find a free port: %w", err), held.Release())
	}
	return held, nil
}

func (p *Port) bind() error {
	if err := syscall.SetsockoptInt(p.socket, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1); err != nil {
		return err
	}
	if err := syscall.Bind(p.socket, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return err
	}
	name, err := syscall.Getsockname(p.socket)
	if err != nil {
		return err
	}
	address, ok := name.(*syscall.SockaddrInet4)
	if !ok {
		return fmt.Errorf("the socket's address is a %T", name)
	}
	p.Number = address.Port
	return nil
}

// Release lets go of the port.
func (p *Port) Release() error {
	if err := syscall.Close(p.socket); err != nil {
		return fmt.Errorf("let go of port %d: %w", p.Number, err)
	}
	return nil
}
