package ackbox_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/name"
)

func TestTopologyValidate(t *testing.T) {
	t.Parallel()
	queue := func(q ackbox.Queue) ackbox.Topology { return ackbox.Topology{Queues: []ackbox.Queue{q}} }
	shop := []ackbox.Exchange{{Name: "shop"}}
	long := strings.Repeat("k", name.MaxLen+1)
	tests := map[string]struct {
		topology ackbox.Topology
		want     []string // parts of the error; none for no error
	}{
		"zero": {},
		"everything": {topology: ackbox.Topology{
			Exchanges: []ackbox.Exchange{{Name: "a"}, {Name: "b", Kind: ackbox.Topic}, {Name: "c", Kind: ackbox.Fanout}},
			Queues: []ackbox.Queue{
				{Name: "p", Type: ackbox.Classic, MaxLength: 9, Bindings: []ackbox.Binding{{Exchange: "a", RoutingKey: "k"}, {Exchange: "b", RoutingKey: "#.x"}, {Exchange: "c"}}},
				{Name: "q", Type: ackbox.Quorum},
			},
		}},
		"exchange name":     {ackbox.Topology{Exchanges: []ackbox.Exchange{{}}}, []string{"Exchanges[0].Name is empty"}},
		"reserved exchange": {ackbox.Topology{Exchanges: []ackbox.Exchange{{Name: "amq.topic"}}}, []string{"Exchanges[0].Name", "reserves"}},
		"exchange twice":    {ackbox.Topology{Exchanges: slices.Repeat(shop, 2)}, []string{`Exchanges[1].Name "shop" is listed twice`}},
		"exchange kind":     {ackbox.Topology{Exchanges: []ackbox.Exchange{{Name: "x", Kind: "x-delayed"}}}, []string{`Exchanges[0].Kind "x-delayed": want "direct", "topic", "fanout" or "headers"`}},
		"queue name":        {queue(ackbox.Queue{Name: "a b"}), []string{`Queues[0].Name "a b"`}},
		"empty queue name":  {queue(ackbox.Queue{}), []string{"Queues[0].Name is empty"}},
		"queue twice":       {ackbox.Topology{Queues: []ackbox.Queue{{Name: "q"}, {Name: "q"}}}, []string{`Queues[1].Name "q" is listed twice`}},
		"queue type":        {queue(ackbox.Queue{Name: "q", Type: "stream"}), []string{`Queues[0].Type "stream": want "quorum" or "classic"`}},
		"negative length":   {queue(ackbox.Queue{Name: "q", MaxLength: -1}), []string{"Queues[0].MaxLength is -1"}},
		"unknown exchange":  {queue(ackbox.Queue{Name: "q", Bindings: []ackbox.Binding{{Exchange: "shop", RoutingKey: "k"}}}), []string{`Queues[0].Bindings[0].Exchange "shop" is not among Exchanges`}},
		"default exchange":  {queue(ackbox.Queue{Name: "q", Bindings: []ackbox.Binding{{RoutingKey: "q"}}}), []string{`Bindings[0].Exchange ""`}},
		"long routing key":  {ackbox.Topology{Exchanges: shop, Queues: []ackbox.Queue{{Name: "q", Bindings: []ackbox.Binding{{Exchange: "shop", RoutingKey: long}}}}}, []string{"Bindings[0].RoutingKey is 201 bytes long"}},
		"arguments": {topology: queue(ackbox.Queue{Name: "q", DeliveryLimit: 2, Arguments: map[string]any{
			"x-message-ttl": 1000, "x-single-active-consumer": true, "x-dead-letter-exchange": "dlx", "x-a": int32(1), "x-b": int64(1), "x-c": 0.5,
		}})},
		"somebody else's":         {topology: queue(ackbox.Queue{Name: "q", Type: ackbox.Classic, Passive: true, DeliveryLimit: 3})},
		"type as an argument":     {queue(ackbox.Queue{Name: "q", Arguments: map[string]any{"x-queue-type": "classic"}}), []string{"Queues[0].Arguments has x-queue-type: say it by Queues[0].Type"}},
		"length as an argument":   {queue(ackbox.Queue{Name: "q", Arguments: map[string]any{"x-max-length": 1}}), []string{"say it by Queues[0].MaxLength"}},
		"limit as an argument":    {queue(ackbox.Queue{Name: "q", Arguments: map[string]any{"x-delivery-limit": 1}}), []string{"say it by Queues[0].DeliveryLimit"}},
		"two overflows":           {queue(ackbox.Queue{Name: "q", MaxLength: 1, Arguments: map[string]any{"x-overflow": "drop-head"}}), []string{"Queues[0].Arguments has x-overflow beside MaxLength"}},
		"argument of a bad type":  {queue(ackbox.Queue{Name: "q", Arguments: map[string]any{"x-a": []string{}}}), []string{"Queues[0].Arguments[\"x-a\"] is a []string: want a string, bool"}},
		"a lot of arguments":      {queue(ackbox.Queue{Name: "q", Arguments: map[string]any{"x-a": strings.Repeat("a", 2048)}}), []string{"Queues[0].Arguments has 2051 bytes of names and texts: at most 2048 are allowed"}},
		"argument without a name": {queue(ackbox.Queue{Name: "q", Arguments: map[string]any{"": 1}}), []string{`Queues[0].Arguments has the name ""`}},
		"limit of 1":              {queue(ackbox.Queue{Name: "q", DeliveryLimit: 1}), []string{"Queues[0].DeliveryLimit is 1: want 2 to 1000000000, or 0"}},
		"limit of a classic":      {queue(ackbox.Queue{Name: "q", Type: ackbox.Classic, DeliveryLimit: 5}), []string{`a queue of the type "classic" has none`}},
		"passive and more": {
			ackbox.Topology{Exchanges: shop, Queues: []ackbox.Queue{{Name: "q", Passive: true, MaxLength: 1, Arguments: map[string]any{"x-a": 1}, Bindings: []ackbox.Binding{{Exchange: "shop"}}}}},
			[]string{"Queues[0].MaxLength is set, and so is Passive", "Queues[0].Arguments is set", "Queues[0].Bindings is set"},
		},
		"exchange arguments":         {topology: ackbox.Topology{Exchanges: []ackbox.Exchange{{Name: "x", Kind: ackbox.Headers, Arguments: map[string]any{"alternate-exchange": "y"}}}}},
		"passive exchange with more": {ackbox.Topology{Exchanges: []ackbox.Exchange{{Name: "x", Passive: true, Arguments: map[string]any{"a": 1}}}}, []string{"Exchanges[0].Arguments is set, and so is Passive"}},
		"binding arguments": {
			ackbox.Topology{Exchanges: shop, Queues: []ackbox.Queue{{Name: "q", Bindings: []ackbox.Binding{{Exchange: "shop", Arguments: map[string]any{"x-match": 1i}}}}}},
			[]string{`Queues[0].Bindings[0].Arguments["x-match"] is a complex128`},
		},
		"names of others": {topology: ackbox.Topology{
			Exchanges: []ackbox.Exchange{{Name: "amq.topic", Passive: true}, {Name: "Shop/Orders: Éu", Passive: true}},
			Queues:    []ackbox.Queue{{Name: "the mail queue (old)", Passive: true}, {Name: "mail", Bindings: []ackbox.Binding{{Exchange: "amq.topic", RoutingKey: "#"}}}},
		}},
		"a bad name of others": {queue(ackbox.Queue{Name: "a\nb", Passive: true}), []string{`Queues[0].Name "a\nb": want printable UTF-8`}},
		"no name of others":    {queue(ackbox.Queue{Passive: true}), []string{"Queues[0].Name is empty: want the name that its owner gave it"}},
		"everything that is wrong": {
			ackbox.Topology{Exchanges: []ackbox.Exchange{{Kind: "x"}}, Queues: []ackbox.Queue{{Type: "x", MaxLength: -1}}},
			[]string{"Exchanges[0].Name", "Exchanges[0].Kind", "Queues[0].Name", "Queues[0].Type", "Queues[0].MaxLength"},
		},
	}
	for title, tt := range tests {
		t.Run(title, func(t *testing.T) {
			t.Parallel()
			err := tt.topology.Validate()
			if len(tt.want) == 0 && err != nil {
				t.Errorf("got %v, want no error", err)
			}
			for _, want := range tt.want {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("got %v, want an error that says %q", err, want)
				}
			}
		})
	}
}

// Whoever has a topology with defaults declares it for as long as it lives.
func TestTopologyWithDefaultsSharesNothing(t *testing.T) {
	t.Parallel()
	given := ackbox.Topology{
		Exchanges: []ackbox.Exchange{{Name: "x", Arguments: map[string]any{"a": 1}}},
		Queues: []ackbox.Queue{{Name: "q", Arguments: map[string]any{"a": 1}, Bindings: []ackbox.Binding{
			{Exchange: "x", RoutingKey: "k", Arguments: map[string]any{"a": 1}},
		}}},
	}
	full := given.WithDefaults()
	given.Exchanges[0].Arguments["a"] = 2
	given.Queues[0].Arguments["a"] = 2
	given.Queues[0].Bindings[0].Arguments["a"] = 2
	given.Queues[0].Bindings[0].RoutingKey = "changed"
	q := full.Queues[0]
	if full.Exchanges[0].Arguments["a"] != 1 || q.Arguments["a"] != 1 || q.Bindings[0].Arguments["a"] != 1 || q.Bindings[0].RoutingKey != "k" {
		t.Errorf("a change of the original is seen: %+v", full)
	}
}

func TestTopologyWithDefaultsIsACopy(t *testing.T) {
	t.Parallel()
	given := ackbox.Topology{Queues: []ackbox.Queue{{Name: "a"}, {Name: "b", Type: ackbox.Classic}}, Exchanges: []ackbox.Exchange{{Name: "x"}}}
	full := given.WithDefaults()
	if given.Queues[0].Type != "" || given.Exchanges[0].Kind != "" {
		t.Errorf("the original was changed: %+v", given)
	}
	if full.Queues[0].Type != ackbox.Quorum || full.Queues[1].Type != ackbox.Classic || full.Exchanges[0].Kind != ackbox.Direct {
		t.Errorf("defaults: %+v", full)
	}
	if !reflect.DeepEqual(full, full.WithDefaults()) {
		t.Error("defaults are not idempotent")
	}
	if names := given.QueueNames(); !slices.Equal(names, []string{"a", "b"}) {
		t.Errorf("names %v", names)
	}
	if names := (ackbox.Topology{}).QueueNames(); !slices.Equal(names, []string{ackbox.DefaultQueue}) {
		t.Errorf("names of the zero topology: %v", names)
	}
}
