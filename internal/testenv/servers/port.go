//go:build unix

package servers

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"slices"

	"github.com/ackbox/ackbox/internal/testenv/ports"
)

// Host is the only address that nodes listen on.
const Host = "127.0.0.1"

// FreePorts returns n different ports that nobody listens on at Host now. On Linux they
// are nobody else's as long as this process lives: not before their node is started, and
// not while it is down. A client's own end would take one of them sooner or later.
func FreePorts(n int) ([]int, error) {
	if runtime.GOOS != "linux" {
		return listenedPorts(n)
	}
	free := make([]int, n)
	for i := range free {
		p, err := ports.Hold()
		if err != nil {
			return nil, err
		}
		free[i] = p.Number
	}
	return free, nil
}

func listenedPorts(n int) (free []int, err error) {
	// All are held at once: one closed too early could be given out twice.
	var lc net.ListenConfig
	for range n {
		l, errListen := lc.Listen(context.Background(), "tcp", net.JoinHostPort(Host, "0"))
		if errListen != nil {
			return nil, fmt.Errorf("find a free port: %w", errListen)
		}
		defer func() { err = errors.Join(err, l.Close()) }()
		addr, ok := l.Addr().(*net.TCPAddr)
		if !ok {
			return nil, fmt.Errorf("find a free port: %v is no TCP address", l.Addr())
		}
		free = append(free, addr.Port)
	}
	return free, nil
}

// fillPorts gives a free port to each that is zero.
func fillPorts(wanted ...*int) error {
	wanted = slices.DeleteFunc(wanted, func(p *int) bool { return *p != 0 })
	free, err := FreePorts(len(wanted))
	for i := range free {
		*wanted[i] = free[i]
	}
	return err
}
