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
				{Name: "p", Type: ackbox.Classic, MaxLength: 9, Bindings: []ackbox.Binding{{"a", "k"}, {"b", "#.x"}, {"c", ""}}},
				{Name: "q", Type: ackbox.Quorum},
			},
		}},
		"exchange name":     {ackbox.Topology{Exchanges: []ackbox.Exchange{{}}}, []string{"Exchanges[0].Name is empty"}},
		"reserved exchange": {ackbox.Topology{Exchanges: []ackbox.Exchange{{Name: "amq.topic"}}}, []string{"Exchanges[0].Name", "reserves"}},
		"exchange twice":    {ackbox.Topology{Exchanges: slices.Repeat(shop, 2)}, []string{`Exchanges[1].Name "shop" is listed twice`}},
		"exchange kind":     {ackbox.Topology{Exchanges: []ackbox.Exchange{{Name: "x", Kind: "headers"}}}, []string{`Exchanges[0].Kind "headers": want "direct", "topic" or "fanout"`}},
		"queue name":        {queue(ackbox.Queue{Name: "a b"}), []string{`Queues[0].Name "a b"`}},
		"empty queue name":  {queue(ackbox.Queue{}), []string{"Queues[0].Name is empty"}},
		"queue twice":       {ackbox.Topology{Queues: []ackbox.Queue{{Name: "q"}, {Name: "q"}}}, []string{`Queues[1].Name "q" is listed twice`}},
		"queue type":        {queue(ackbox.Queue{Name: "q", Type: "stream"}), []string{`Queues[0].Type "stream": want "quorum" or "classic"`}},
		"negative length":   {queue(ackbox.Queue{Name: "q", MaxLength: -1}), []string{"Queues[0].MaxLength is -1"}},
		"unknown exchange":  {queue(ackbox.Queue{Name: "q", Bindings: []ackbox.Binding{{"shop", "k"}}}), []string{`Queues[0].Bindings[0].Exchange "shop" is not among Exchanges`}},
		"default exchange":  {queue(ackbox.Queue{Name: "q", Bindings: []ackbox.Binding{{"", "q"}}}), []string{`Bindings[0].Exchange ""`}},
		"long routing key":  {ackbox.Topology{Exchanges: shop, Queues: []ackbox.Queue{{Name: "q", Bindings: []ackbox.Binding{{"shop", long}}}}}, []string{"Bindings[0].RoutingKey is 201 bytes long"}},
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
