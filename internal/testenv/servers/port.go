//go:build unix

package servers

import (
	"context"
	"errors"
	"fmt"
	"net"
)

// Host is the only address that nodes listen on.
const Host = "127.0.0.1"

// FreePorts returns n different ports that nobody listens on at Host now.
func FreePorts(n int) (ports []int, err error) {
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
		ports = append(ports, addr.Port)
	}
	return ports, nil
}

// fillPorts gives a free port to each that is zero.
func fillPorts(ports ...*int) error {
	free, err := FreePorts(len(ports))
	if err != nil {
		return err
	}
	for i, p := range ports {
		if *p == 0 {
			*p = free[i]
		}
	}
	return nil
}
