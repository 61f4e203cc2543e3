package outbox

import (
	"context"
	"fmt"
	"maps"
	"strings"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/name"
)

func (s *Store) addContextHeaders(ctx context.Context, d *draft) error {
	if s.cfg.HeadersFrom != nil {
		headers := maps.Clone(s.cfg.HeadersFrom(ctx, d.job))
		if headers == nil {
			headers = make(map[string]string)
		}
		maps.Copy(headers, d.job.Headers)
		d.job.Headers = headers
	}
	size := 0
	for header, value := range d.job.Headers {
		size += len(header) + len(value) + headerOverhead
		switch {
		case header == "" || len(header) > name.MaxLen || !plain(header):
			return fmt.Errorf("header name %.100q: want 1 to %d bytes of valid UTF-8 without NUL", header, name.MaxLen)
		case strings.HasPrefix(strings.ToLower(header), ackbox.HeaderPrefix):
			return fmt.Errorf("header %.100q: names that start with %q are reserved", header, ackbox.HeaderPrefix)
		case actedOn(header):
			return fmt.Errorf("header %.100q: the broker acts on headers of this name, in whatever case, and would refuse the message and its neighbours with it, or keep it from the handler: choose another", header)
		case !plain(value):
			return fmt.Errorf("header %.100q: its value is not valid UTF-8, or has a NUL byte", header)
		}
	}
	if size > s.cfg.MaxHeaderBytes {
		return fmt.Errorf("%w: headers are %d bytes (names, values and %d for each), Config.MaxHeaderBytes allows %d", ErrTooLarge, size, headerOverhead, s.cfg.MaxHeaderBytes)
	}
	return nil
}

// headerOverhead is what a header takes on the wire beside its name and its value.
const headerOverhead = 6

// actedOn reports whether RabbitMQ does something of its own with headers of that
// name. CC and BCC are lists of further routing keys: a text there closes the
// channel, and with it go all that were published by it and are not confirmed yet.
// The others are the broker's notes about a message's way, which a worker leaves out.
func actedOn(name string) bool {
	switch name = strings.ToLower(name); name {
	case "cc", "bcc", "x-death", "x-delivery-count", "x-acquired-count":
		return true
	}
	return strings.HasPrefix(name, "x-first-death-") || strings.HasPrefix(name, "x-last-death-")
}
