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

// maxURLs bounds Config.URLs: a cluster has a few nodes.
const maxURLs = 32

// target is a checked URL together with what may be shown of it.
type target struct {
	raw     string
	uri     amqp.URI
	display string
}

// parseURLs checks Config.URL or Config.URLs.
func parseURLs(c Config) ([]target, error) {
	switch {
	case len(c.URLs) == 0:
		t, err := parseURL("URL", c.URL)
		return []target{t}, err
	case c.URL != "":
		return nil, errors.New("rabbitmq: Config.URL and Config.URLs are both set: want one of them")
	case len(c.URLs) > maxURLs:
		return nil, fmt.Errorf("rabbitmq: Config.URLs has %d URLs: at most %d are allowed", len(c.URLs), maxURLs)
	}
	targets := make([]target, 0, len(c.URLs))
	var errs []error
	for i, raw := range c.URLs {
		field := fmt.Sprintf("URLs[%d]", i)
		t, err := parseURL(field, raw)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		targets = append(targets, t)
		// They are nodes of one broker: with another vhost half of the
		// connections would see other queues.
		first := targets[0].uri
		if t.uri.Scheme != first.Scheme {
			errs = append(errs, fmt.Errorf("rabbitmq: Config.%s has the scheme %s, those before it have %s: want one for all", field, t.uri.Scheme, first.Scheme))
		}
		if t.uri.Vhost != first.Vhost {
			errs = append(errs, fmt.Errorf("rabbitmq: Config.%s has another vhost than those before it: want one for all", field))
		}
	}
	return targets, errors.Join(errs...)
}

// displayed is what may be shown of all targets.
func displayed(targets []target) string {
	names := make([]string, len(targets))
	for i, t := range targets {
		names[i] = t.display
	}
	return strings.Join(names, ",")
}

// parseURL never wraps the errors below it: those of net/url quote the URL,
// password and all.
func parseURL(field, raw string) (target, error) {
	refuse := func(why string) (target, error) {
		return target{}, errors.New("rabbitmq: Config." + field + " " + why)
	}
	const unparsable = "cannot be parsed: want amqp://user:password@host:port/vhost or amqps://..., " +
		"reserved characters in user, password and vhost percent-encoded"
	if raw == "" {
		return refuse("is empty: want amqp://user:password@host:port/vhost or amqps://...")
	}
	scheme, rest, ok := strings.Cut(raw, "://")
	if !ok {
		return refuse(unparsable)
	}
	if scheme != "amqp" && scheme != "amqps" {
		return refuse("has an unknown scheme: want amqp or amqps")
	}
	// A password with a bare / ? or # ends the authority early, and the rest of
	// it would be shown as host, vhost or parameter.
	if i := strings.IndexAny(rest, "/?#"); i >= 0 && strings.Contains(rest[i:], "@") {
		return refuse(unparsable)
	}
	if _, err := url.Parse(raw); err != nil {
		return refuse(unparsable)
	}
	uri, err := amqp.ParseURI(raw)
	if err != nil || !utf8.ValidString(uri.Host) {
		return refuse(unparsable)
	}
	if uri.Port < 1 || uri.Port > 65535 {
		return refuse("names a port that cannot be: want 1 to 65535, or none for the default")
	}
	for _, m := range uri.AuthMechanism {
		switch strings.ToUpper(m) {
		case "PLAIN", "AMQPLAIN", "EXTERNAL":
		default:
			return refuse("names an unknown auth_mechanism: want PLAIN, AMQPLAIN or EXTERNAL")
		}
	}
	address := net.JoinHostPort(uri.Host, strconv.Itoa(uri.Port))
	return target{raw: raw, uri: uri, display: fmt.Sprintf("%s://%s/%s", uri.Scheme, address, url.PathEscape(uri.Vhost))}, nil
}
