package management

import (
	"context"
	"errors"
	"net/http"
)

// Open counts the connections of a vhost and the channels in them. The server's
// counts lag by seconds.
func (c *Client) Open(ctx context.Context, vhost string) (connections, channels int, err error) {
	var conns, chans []struct{}
	err = errors.Join(
		c.call(ctx, http.MethodGet, nil, &conns, "vhosts", vhost, "connections"),
		c.call(ctx, http.MethodGet, nil, &chans, "vhosts", vhost, "channels"),
	)
	return len(conns), len(chans), err
}
