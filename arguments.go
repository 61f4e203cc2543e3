package ackbox

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	// maxArgumentName is AMQP's bound for the name of an argument, in bytes.
	maxArgumentName = 255
	// maxArguments bounds the bytes of a table of arguments. A declaration travels in one
	// frame, of which the smallest that AMQP allows has 4096 bytes; one that is too large
	// ends the connection of all others.
	maxArguments = 2048
)

// said are the arguments that a field of [Queue] says.
var said = map[string]string{
	"x-queue-type":     "Type",
	"x-max-length":     "MaxLength",
	"x-delivery-limit": "DeliveryLimit",
}

// checkArguments reports what is wrong with a table of arguments in field.
func checkArguments(field string, args map[string]any) (errs []error) {
	size := 0
	for _, key := range slices.Sorted(maps.Keys(args)) {
		size += len(key)
		if text, ok := args[key].(string); ok {
			size += len(text)
		}
		if key == "" || len(key) > maxArgumentName || !utf8.ValidString(key) || strings.ContainsFunc(key, unicode.IsControl) {
			errs = append(errs, fmt.Errorf("ackbox: %s has the name %.100q: want 1 to %d bytes of printable UTF-8", field, key, maxArgumentName))
		}
		switch v := args[key].(type) {
		case string, bool, int, int32, int64, float64:
		default:
			errs = append(errs, fmt.Errorf("ackbox: %s[%.100q] is a %T: want a string, bool, int, int32, int64 or float64", field, key, v))
		}
	}
	if size > maxArguments {
		errs = append(errs, fmt.Errorf("ackbox: %s has %d bytes of names and texts: at most %d are allowed", field, size, maxArguments))
	}
	return errs
}

// checkQueueArguments reports what is wrong with the arguments of q, and with what
// is said beside them.
func checkQueueArguments(field string, q Queue) (errs []error) {
	errs = checkArguments(field+".Arguments", q.Arguments)
	for _, key := range slices.Sorted(maps.Keys(said)) {
		if _, ok := q.Arguments[key]; ok {
			errs = append(errs, fmt.Errorf("ackbox: %s.Arguments has %s: say it by %s.%s", field, key, field, said[key]))
		}
	}
	if _, ok := q.Arguments["x-overflow"]; ok && q.MaxLength > 0 {
		errs = append(errs, fmt.Errorf("ackbox: %s.Arguments has x-overflow beside MaxLength, which says reject-publish: want one of the two", field))
	}
	switch {
	case q.DeliveryLimit < 0 || q.DeliveryLimit == 1 || q.DeliveryLimit > maxDeliveryLimit:
		errs = append(errs, fmt.Errorf("ackbox: %s.DeliveryLimit is %d: want 2 to %d, or 0 for the default", field, q.DeliveryLimit, maxDeliveryLimit))
	case q.DeliveryLimit > 0 && q.Type == Classic && !q.Passive:
		errs = append(errs, fmt.Errorf("ackbox: %s.DeliveryLimit is %d: a queue of the type %q has none; want 0", field, q.DeliveryLimit, Classic))
	}
	if !q.Passive {
		return errs
	}
	for _, is := range []struct {
		what string
		set  bool
	}{{"MaxLength", q.MaxLength != 0}, {"Arguments", len(q.Arguments) > 0}, {"Bindings", len(q.Bindings) > 0}} {
		if is.set {
			errs = append(errs, fmt.Errorf("ackbox: %s.%s is set, and so is Passive: they are the owner's to declare; want one of the two", field, is.what))
		}
	}
	return errs
}

// rabbitDeliveryLimit is what RabbitMQ 4 gives a quorum queue that sets none.
const rabbitDeliveryLimit = 20

// maxDeliveryLimit is so high that no message reaches it: what is ours is declared with
// it. RabbitMQ 3.10 refuses -1, which says "none" to RabbitMQ 4, and a queue's argument
// must not differ between the two.
const maxDeliveryLimit = 1_000_000_000
