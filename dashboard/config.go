package dashboard

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"reflect"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/ackbox/ackbox/outbox"
)

// DefaultLate is for how long a due job may wait before [Config.Late] calls it late.
const DefaultLate = time.Minute

// Config configures a [Dashboard]. The zero Config works, and shows nobody anything.
type Config struct {
	// Authorize says who asks, and what he may see and do. It is called for every request
	// but those for the style sheet and the script, and must be safe for concurrent use. Its
	// error is answered with 403 and goes to the log; that of [BasicAuth] with 401. Default:
	// nobody may do anything, and the page says how to change that.
	Authorize func(*http.Request) (Viewer, error)
	// Broker, if set, is asked how it is, how many messages wait in each queue, and
	// what lies in its dead queues.
	Broker Broker
	// Mask, if set, returns a job as it may be shown: without what readers of this page
	// have no business with. A search still finds by what is masked: it goes to the database.
	// Mask must not change Payload, Headers or History in place, be safe for concurrent use,
	// and return soon. Running jobs, messages of a dead queue and groups of jobs come as an
	// Entry of what is known of them.
	Mask func(outbox.Entry) outbox.Entry
	// Name stands at the head of every page, to tell production from the rest: "orders,
	// production". Up to 100 printable bytes; default none.
	Name string
	// Late is for how long a due job may wait to be sent before it needs somebody's
	// attention. Default 1 min; 1 s to 24 h.
	Late time.Duration
	// Logger gets what could not be read, what was refused, and who did what. Default
	// slog.Default().
	Logger *slog.Logger
}

func (c Config) withDefaults() Config {
	if c.Late == 0 {
		c.Late = DefaultLate
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	return c
}

func (c Config) validate() error {
	var errs []error
	if len(c.Name) > 100 || !utf8.ValidString(c.Name) ||
		!allPrintable(c.Name) {
		errs = append(errs, fmt.Errorf("dashboard: Config.Name is %.100q: want up to 100 bytes of printable UTF-8", c.Name))
	}
	if c.Late < time.Second || c.Late > 24*time.Hour {
		errs = append(errs, fmt.Errorf("dashboard: Config.Late is %v: want 1s to 24h", c.Late))
	}
	if c.Broker != nil && isNil(c.Broker) {
		errs = append(errs, errors.New("dashboard: Config.Broker is a nil pointer: leave it out if there is none"))
	}
	return errors.Join(errs...)
}

func allPrintable(s string) bool {
	for _, r := range s {
		if !unicode.IsPrint(r) {
			return false
		}
	}
	return true
}

func isNil(v any) bool {
	value := reflect.ValueOf(v)
	return !value.IsValid() || value.Kind() == reflect.Pointer && value.IsNil()
}
