package dispatcher_test

import (
	"strings"
	"testing"
	"time"

	"github.com/ackbox/ackbox/dispatcher"
)

func TestNewNamesWhatIsWrong(t *testing.T) {
	t.Parallel()
	o, b := newOutbox(0), &broker{}
	tests := map[string]struct {
		outbox dispatcher.Outbox
		broker dispatcher.Broker
		cfg    dispatcher.Config
		want   []string
	}{
		"zero":      {o, b, dispatcher.Config{}, nil},
		"limits":    {o, b, dispatcher.Config{BatchSize: 5000, InFlight: 64, PollInterval: time.Millisecond, RefusalLimit: time.Millisecond}, nil},
		"no outbox": {nil, b, dispatcher.Config{}, []string{"the store is nil"}},
		"no broker": {o, nil, dispatcher.Config{}, []string{"the broker is nil"}},
		"too small": {
			o, b,
			dispatcher.Config{BatchSize: -1, InFlight: -1, PollInterval: 1, RefusalLimit: -1},
			[]string{"Config.BatchSize is -1: want 1 to 5000", "Config.InFlight is -1: want 1 to 64", "Config.PollInterval is 1ns: want at least 1ms", "Config.RefusalLimit is -1ns: want at least 1ms"},
		},
		"too large": {o, b, dispatcher.Config{BatchSize: 5001, InFlight: 65}, []string{"Config.BatchSize is 5001", "Config.InFlight is 65"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := dispatcher.New(tt.outbox, tt.broker, tt.cfg)
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
