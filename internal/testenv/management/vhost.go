package management

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// Queue is a queue and what is in it. The counts are as old as the server's
// statistics interval (half a second on our nodes, 5 s by default; a quorum
// queue's may be 5 s old).
type Queue struct {
	Name      string `json:"name"`
	Type      string `json:"type"`
	Ready     int    `json:"messages_ready"`
	Unacked   int    `json:"messages_unacknowledged"`
	Consumers int    `json:"consumers"`
}

// CreateVhost makes a vhost and a user who may do everything in it and nothing
// elsewhere.
func (c *Client) CreateVhost(ctx context.Context, vhost, user, password string) error {
	all := map[string]string{"configure": ".*", "write": ".*", "read": ".*"}
	if err := c.call(ctx, http.MethodPut, nil, nil, "vhosts", vhost); err != nil {
		return err
	}
	account := map[string]string{"password": password, "tags": ""}
	if err := c.call(ctx, http.MethodPut, account, nil, "users", user); err != nil {
		return err
	}
	return c.call(ctx, http.MethodPut, all, nil, "permissions", vhost, user)
}

// SetPermissions changes what a user may do in a vhost: patterns of names, "^$" for nothing.
func (c *Client) SetPermissions(ctx context.Context, vhost, user, configure, write, read string) error {
	may := map[string]string{"configure": configure, "write": write, "read": read}
	return c.call(ctx, http.MethodPut, may, nil, "permissions", vhost, user)
}

// DeleteVhost deletes a vhost, with all that is in it, and its user.
func (c *Client) DeleteVhost(ctx context.Context, vhost, user string) error {
	return errors.Join(
		c.call(ctx, http.MethodDelete, nil, nil, "vhosts", vhost),
		c.call(ctx, http.MethodDelete, nil, nil, "users", user),
	)
}

// HasVhost reports whether a vhost exists.
func (c *Client) HasVhost(ctx context.Context, vhost string) (bool, error) {
	err := c.call(ctx, http.MethodGet, nil, nil, "vhosts", vhost)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// connection is an open connection of a client.
type connection struct {
	Name string `json:"name"`
}

// CloseConnections waits until a user has at least so many connections, cuts
// them all, as an administrator would, and returns how many there were.
func (c *Client) CloseConnections(ctx context.Context, user string, atLeast int) (int, error) {
	open, err := c.connections(ctx, user, atLeast)
	if err != nil {
		return 0, err
	}
	// Not one by one: a connection is known by its name only after seconds.
	return len(open), c.call(ctx, http.MethodDelete, nil, nil, "connections", "username", user)
}

func (c *Client) connections(ctx context.Context, user string, atLeast int) ([]connection, error) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		// The list by user comes from the broker's own registry and lags by
		// milliseconds; the list by vhost lags by seconds.
		var open []connection
		err := c.call(ctx, http.MethodGet, nil, &open, "connections", "username", user)
		if err != nil || len(open) >= atLeast {
			return open, err
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%d connections are open, %d were expected: %w", len(open), atLeast, ctx.Err())
		case <-tick.C:
		}
	}
}

// Queues lists the queues of a vhost.
func (c *Client) Queues(ctx context.Context, vhost string) ([]Queue, error) {
	var queues []Queue
	err := c.call(ctx, http.MethodGet, nil, &queues, "queues", vhost)
	return queues, err
}

// DeclareQueue declares a durable queue.
func (c *Client) DeclareQueue(ctx context.Context, vhost, name string, args map[string]any) error {
	if args == nil {
		args = map[string]any{} // null is an internal error to the server
	}
	return c.call(ctx, http.MethodPut, map[string]any{"durable": true, "arguments": args}, nil, "queues", vhost, name)
}

// DeleteQueue deletes a queue and what is in it.
func (c *Client) DeleteQueue(ctx context.Context, vhost, name string) error {
	return c.call(ctx, http.MethodDelete, nil, nil, "queues", vhost, name)
}

// DeclareExchange declares a durable exchange of a kind such as "topic".
func (c *Client) DeclareExchange(ctx context.Context, vhost, name, kind string) error {
	if kind == "" {
		return fmt.Errorf("exchange %s: its kind is missing", name)
	}
	return c.call(ctx, http.MethodPut, map[string]any{"durable": true, "type": kind}, nil, "exchanges", vhost, name)
}

// DeleteExchange deletes an exchange and its bindings.
func (c *Client) DeleteExchange(ctx context.Context, vhost, name string) error {
	return c.call(ctx, http.MethodDelete, nil, nil, "exchanges", vhost, name)
}
