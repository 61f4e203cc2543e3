package command

import (
	"bytes"
	"encoding/json"
	"os"

	"github.com/ackbox/ackbox"
)

// maxTopology bounds the file: it names a few queues.
const maxTopology = 1 << 20

// readTopology reads an application's topology, and adds queues.
func readTopology(file string, queues []string) (ackbox.Topology, error) {
	var t ackbox.Topology
	if file != "" {
		text, err := os.ReadFile(file) //nolint:gosec // whoever calls says which
		switch {
		case err != nil:
			return t, usagef("--topology: %w", err)
		case len(text) > maxTopology:
			return t, usagef("--topology: %s has %d bytes: at most %d are read", file, len(text), maxTopology)
		}
		d := json.NewDecoder(bytes.NewReader(text))
		d.DisallowUnknownFields()
		d.UseNumber()
		if err := d.Decode(&t); err != nil {
			return t, usagef("--topology: %s: %w", file, err)
		}
		for i := range t.Queues {
			numbers(t.Queues[i].Arguments)
		}
		for i := range t.Exchanges {
			numbers(t.Exchanges[i].Arguments)
		}
	}
	t = withQueues(t, queues)
	if err := t.Validate(); err != nil {
		return t, usageError{err}
	}
	return t, nil
}

// numbers makes JSON's numbers into those that AMQP tells apart.
func numbers(args map[string]any) {
	for name, value := range args {
		n, ok := value.(json.Number)
		if !ok {
			continue
		}
		if whole, err := n.Int64(); err == nil {
			args[name] = whole
		} else if fraction, err := n.Float64(); err == nil {
			args[name] = fraction
		}
	}
}
