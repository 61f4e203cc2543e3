package testenv

import "context"

// Open counts the vhost's connections and the channels in them. The server's
// counts lag by seconds.
func (b *Broker) Open() (connections, channels int) {
	b.tb.Helper()
	call(b.tb, "count connections and channels", func(ctx context.Context) (err error) {
		connections, channels, err = b.api.Open(ctx, b.vhost)
		return err
	})
	return connections, channels
}
