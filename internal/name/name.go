// Package name knows what kinds and queues may be called. It imports the standard
// library only.
package name

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxLen is the longest kind, queue, exchange or routing key, in bytes.
// AMQP's short strings hold 255; the rest is room for suffixes such as
// ".retry.60000".
const MaxLen = 200

// Check returns an error that names field if s cannot be the name of a
// kind or a queue: 1 to [MaxLen] bytes of letters, digits and "._:-", the
// first a letter or digit. Names starting with "amq." belong to the broker.
func Check(field, s string) error {
	switch {
	case s == "":
		return fmt.Errorf("ackbox: %s is empty: want 1 to %d letters, digits or any of ._:-", field, MaxLen)
	case len(s) > MaxLen:
		return fmt.Errorf("ackbox: %s is %d bytes long: at most %d are allowed", field, len(s), MaxLen)
	case len(s) >= 4 && s[:4] == "amq.":
		return fmt.Errorf("ackbox: %s %q starts with %q, which the broker reserves", field, s, "amq.")
	}
	for i := range len(s) {
		c := s[i]
		alnum := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if alnum || i > 0 && (c == '.' || c == '_' || c == ':' || c == '-') {
			continue
		}
		return fmt.Errorf("ackbox: %s %q: byte %d is %q: want letters, digits or any of ._:- and a letter or digit first", field, s, i, c)
	}
	return nil
}

// CheckTheirs is Check for the name of a queue or an exchange that somebody else has
// declared, and named as he liked: 1 to [MaxLen] bytes of printable UTF-8.
func CheckTheirs(field, s string) error {
	switch {
	case s == "":
		return fmt.Errorf("ackbox: %s is empty: want the name that its owner gave it", field)
	case len(s) > MaxLen:
		return fmt.Errorf("ackbox: %s is %d bytes long: at most %d are allowed", field, len(s), MaxLen)
	case !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl):
		return fmt.Errorf("ackbox: %s %q: want printable UTF-8", field, s)
	}
	return nil
}
