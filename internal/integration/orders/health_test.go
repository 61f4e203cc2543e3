package orders_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/testenv"
)

// Each role says of its parts how they are. Without a broker all live: a restart would mend
// nothing. Those that need it are not ready and say why; orders are taken all the same.
func TestHealthOfEachRole(t *testing.T) {
	t.Parallel()
	dsn, away := testenv.DatabaseURL(t), "amqp://user:secret@127.0.0.1:1/"
	for role, parts := range map[string][]string{
		"web":        {"store", "rabbitmq"},
		"dispatcher": {"store", "rabbitmq", "dispatcher", "sweeper"},
		"worker":     {"store", "rabbitmq", "worker"},
		"all":        {"store", "rabbitmq", "dispatcher", "sweeper", "worker"},
	} {
		for broker, url := range map[string]string{"there": testenv.AMQPURL(t), "away": away} {
			p := start(t, role, "DATABASE_URL="+dsn, "AMQP_URL="+url, "ADDR=127.0.0.1:0")
			base := address(p)
			ready := http.StatusOK
			if broker == "away" && (role == "dispatcher" || role == "worker") {
				ready = http.StatusServiceUnavailable
			}
			eventually(t, 30*time.Second, role+" is as it should be with its broker "+broker, func() error {
				return healthy(t, base, parts, broker == "there", ready)
			})
			p.Terminate()
		}
	}
}

// healthy says what is wrong with the answers of a process.
func healthy(t *testing.T, base string, parts []string, connected bool, ready int) error {
	t.Helper()
	for path, want := range map[string]int{"/healthz": http.StatusOK, "/readyz": ready} {
		status, text, err := request(t.Context(), http.MethodGet, base+path, "")
		if err != nil || status != want {
			return fmt.Errorf("%s: %d %s %w, want %d", path, status, text, err, want)
		}
		var list []ackbox.Health
		if err := json.Unmarshal([]byte(text), &list); err != nil {
			return fmt.Errorf("%s: %s: %w", path, text, err)
		}
		var names []string
		for _, h := range list {
			names = append(names, h.Part)
			if h.Part == "rabbitmq" && h.Ready != connected {
				return fmt.Errorf("%s: %s, while the broker is there: %t", path, text, connected)
			}
			if !h.Ready && h.Why == "" || strings.Contains(text, "secret") {
				return fmt.Errorf("%s: %s gives no reason, or a password", path, text)
			}
		}
		if !slices.Equal(names, parts) {
			return fmt.Errorf("%s: parts %q, want %q", path, names, parts)
		}
	}
	return nil
}
