package netfault

import (
	"errors"
	"fmt"
	"syscall"
)

// port holds a port of 127.0.0.1 with a socket that is bound to it and does not
// listen. Nobody else, a client looking for a local port included, gets it while
// our listener is closed, and our listener gets it again.
type port struct {
	socket, number int
}

func holdPort() (*port, error) {
	// Between the socket's birth and close-on-exec no child may be started.
	syscall.ForkLock.RLock()
	socket, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err == nil {
		syscall.CloseOnExec(socket)
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return nil, fmt.Errorf("netfault: make a socket: %w", err)
	}
	held := &port{socket: socket}
	if err := held.bind(); err != nil {
		return nil, errors.Join(fmt.Errorf("netfault: find a port: %w", err), held.release())
	}
	return held, nil
}

func (h *port) bind() error {
	// As on Go's listeners: two sockets that both say so share a port as long
	// as one of them only listens.
	if err := syscall.SetsockoptInt(h.socket, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1); err != nil {
		return err
	}
	if err := syscall.Bind(h.socket, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return err
	}
	name, err := syscall.Getsockname(h.socket)
	if err != nil {
		return err
	}
	address, ok := name.(*syscall.SockaddrInet4)
	if !ok {
		return fmt.Errorf("the socket's address is a %T", name)
	}
	h.number = address.Port
	return nil
}

func (h *port) release() error {
	if err := syscall.Close(h.socket); err != nil {
		return fmt.Errorf("netfault: let go of port %d: %w", h.number, err)
	}
	return nil
}
