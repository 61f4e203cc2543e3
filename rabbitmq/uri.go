package rabbitmq

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"

	amqp "github.com/rabbitmq/amqp091-go"
)

// target is a checked URL together with what may be shown of it.
type target struct {
	uri     amqp.URI
	display string
}

var errURL = errors.New("rabbitmq: Config.URL cannot be parsed: want amqp://user:password@host:port/vhost or amqps://..., " +
	"reserved characters in user, password and vhost percent-encoded")

// parseURL never wraps the errors below it: those of net/url quote the URL,
// password and all.
func parseURL(raw string) (target, error) {
	if raw == "" {
		return target{}, errors.New("rabbitmq: Config.URL is empty: want amqp://user:password@host:port/vhost or amqps://...")
	}
	scheme, rest, ok := strings.Cut(raw, "://")
	if !ok {
		return target{}, errURL
	}
	if scheme != "amqp" && scheme != "amqps" {
		return target{}, errors.New("rabbitmq: Config.URL has an unknown scheme: want amqp or amqps")
	}
	// A password with a bare / ? or # ends the authority early, and the rest of
	// it would be shown as host, vhost or parameter.
	if i := strings.IndexAny(rest, "/?#"); i >= 0 && strings.Contains(rest[i:], "@") {
		return target{}, errURL
	}
	if _, err := url.Parse(raw); err != nil {
		return target{}, errURL
	}
	uri, err := amqp.ParseURI(raw)
	if err != nil || !utf8.ValidString(uri.Host) {
		return target{}, errURL
	}
	if uri.Port < 1 || uri.Port > 65535 {
		return target{}, errors.New("rabbitmq: Config.URL names a port that cannot be: want 1 to 65535, or none for the default")
	}
	for _, m := range uri.AuthMechanism {
		switch strings.ToUpper(m) {
		case "PLAIN", "AMQPLAIN", "EXTERNAL":
		default:
			return target{}, errors.New("rabbitmq: Config.URL names an unknown auth_mechanism: want PLAIN, AMQPLAIN or EXTERNAL")
		}
	}
	address := net.JoinHostPort(uri.Host, strconv.Itoa(uri.Port))
	return target{uri: uri, display: fmt.Sprintf("%s://%s/%s", uri.Scheme, address, url.PathEscape(uri.Vhost))}, nil
}
