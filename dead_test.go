package ackbox_test

import (
	"testing"
	"time"

	"github.com/ackbox/ackbox"
)

// What chooses everything deletes nothing, unless that is meant.
func TestDeadFilterDeletes(t *testing.T) {
	t.Parallel()
	elsewhere := time.Time{}.In(time.FixedZone("elsewhere", 3600))
	for name, tt := range map[string]struct {
		filter  ackbox.DeadFilter
		deletes bool
	}{
		"nothing":                     {ackbox.DeadFilter{}, false},
		"where alone":                 {ackbox.DeadFilter{In: "dlq"}, false},
		"a zero time in another zone": {ackbox.DeadFilter{DiedAfter: elsewhere, DiedBefore: elsewhere}, false},
		"all":                         {ackbox.DeadFilter{All: true}, true},
		"an id":                       {ackbox.DeadFilter{ID: "1"}, true},
		"a kind":                      {ackbox.DeadFilter{Kind: "k"}, true},
		"an exchange":                 {ackbox.DeadFilter{Exchange: "x"}, true},
		"a routing key":               {ackbox.DeadFilter{RoutingKey: "r"}, true},
		"an error":                    {ackbox.DeadFilter{Error: "e"}, true},
		"a time":                      {ackbox.DeadFilter{DiedBefore: time.Unix(1, 0)}, true},
	} {
		if err := tt.filter.Deletes(); (err == nil) != tt.deletes {
			t.Errorf("%s: %v", name, err)
		}
	}
}
