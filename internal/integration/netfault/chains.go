package netfault

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"sync"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/Shopify/toxiproxy/v2/stream"
	"github.com/rs/zerolog"
	"github.com/rs/zerolog/log"
)

// toxiproxy's bandwidth toxic tells zerolog's global logger, which writes to
// standard error, whenever it is removed.
func init() { log.Logger = zerolog.Nop() }

// toxic is a toxic as toxiproxy's API describes it.
type toxic struct {
	Name       string           `json:"name"`
	Type       string           `json:"type"`
	Stream     string           `json:"stream"`
	Attributes map[string]int64 `json:"attributes"`
}

// chains are toxiproxy's links, and the toxics in them.
type chains struct {
	server     *toxiproxy.ApiServer
	collection *toxiproxy.ToxicCollection

	mu      sync.Mutex // one change at a time
	present []toxic    // in the order of the chain
}

func newChains() *chains {
	return &chains{
		server:     toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop()),
		collection: toxiproxy.NewToxicCollection(&toxiproxy.Proxy{Name: "netfault"}),
	}
}

// link starts to pass on from one connection to another.
func (c *chains) link(name string, d stream.Direction, from io.Reader, to io.WriteCloser) {
	c.collection.StartLink(c.server, name+d.String(), from, to, d)
}

// set makes want the toxic of its type, in both directions of all links,
// present and future. It keeps the other types.
func (c *chains) set(want toxic) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	keep := slices.DeleteFunc(slices.Clone(c.present), func(t toxic) bool { return t.Type == want.Type })
	if err := c.remove(); err != nil {
		return err
	}
	for _, d := range []stream.Direction{stream.Upstream, stream.Downstream} {
		want.Name, want.Stream = want.Type+d.String(), d.String()
		keep = append(keep, want)
	}
	for _, t := range keep {
		body, err := json.Marshal(t)
		if err != nil {
			return fmt.Errorf("netfault: %s: %w", t.Name, err)
		}
		if _, err := c.collection.AddToxicJson(bytes.NewReader(body)); err != nil {
			return fmt.Errorf("netfault: add %s: %w", t.Name, err)
		}
		c.present = append(c.present, t)
	}
	return nil
}

// clear removes all toxics.
func (c *chains) clear() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.remove()
}

// remove begins with the last one: toxiproxy empties what it removes into the
// next, waits 5 s for it, and drops the rest. Our queue takes everything.
func (c *chains) remove() error {
	for len(c.present) > 0 {
		last := len(c.present) - 1
		if err := c.collection.RemoveToxic(context.Background(), c.present[last].Name); err != nil {
			return fmt.Errorf("netfault: remove %s: %w", c.present[last].Name, err)
		}
		c.present = c.present[:last]
	}
	return nil
}
