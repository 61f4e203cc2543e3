package rabbitmq_test

import (
	"crypto/tls"
	"strings"
	"testing"
	"time"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/rabbitmq"
)

const localURL = "amqp://guest:hunter2@127.0.0.1:5672/"

func TestNewZeroConfigNeedsOnlyURL(t *testing.T) {
	t.Parallel()
	b, err := rabbitmq.New(rabbitmq.Config{URL: localURL})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := b.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
}

func TestNewRefusesNonsense(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		change func(*rabbitmq.Config)
		want   []string // in the error
	}{
		"no URL":             {func(c *rabbitmq.Config) { c.URL = "" }, []string{"URL", "amqp://"}},
		"scheme":             {func(c *rabbitmq.Config) { c.URL = "http://localhost" }, []string{"URL", "amqp or amqps"}},
		"TLS without amqps":  {func(c *rabbitmq.Config) { c.TLS = &tls.Config{} }, []string{"TLS", "amqps"}},
		"auth mechanism":     {func(c *rabbitmq.Config) { c.URL += "?auth_mechanism=magic" }, []string{"auth_mechanism", "EXTERNAL"}},
		"window":             {func(c *rabbitmq.Config) { c.Window = -1 }, []string{"Window is -1", "1 to 65536"}},
		"huge window":        {func(c *rabbitmq.Config) { c.Window = 1 << 20 }, []string{"Window"}},
		"confirm timeout":    {func(c *rabbitmq.Config) { c.ConfirmTimeout = -time.Second }, []string{"ConfirmTimeout is -1s"}},
		"dial timeout":       {func(c *rabbitmq.Config) { c.DialTimeout = 48 * time.Hour }, []string{"DialTimeout"}},
		"write timeout":      {func(c *rabbitmq.Config) { c.WriteTimeout = 1 }, []string{"WriteTimeout is 1ns", "1ms"}},
		"heartbeat":          {func(c *rabbitmq.Config) { c.Heartbeat = time.Millisecond }, []string{"Heartbeat", "1s"}},
		"message size":       {func(c *rabbitmq.Config) { c.MaxMessageBytes = -5 }, []string{"MaxMessageBytes is -5"}},
		"backoff":            {func(c *rabbitmq.Config) { c.MinBackoff, c.MaxBackoff = time.Minute, time.Second }, []string{"MaxBackoff", "1m0s"}},
		"rung":               {func(c *rabbitmq.Config) { c.RetryLadder = []time.Duration{0, time.Second} }, []string{"RetryLadder[0]"}},
		"rung not ascending": {func(c *rabbitmq.Config) { c.RetryLadder = []time.Duration{2 * time.Second, time.Second} }, []string{"RetryLadder[1] is 1s", "2s"}},
		"rung of microseconds": {
			func(c *rabbitmq.Config) { c.RetryLadder = []time.Duration{1500 * time.Microsecond} }, []string{"RetryLadder[0]", "whole milliseconds"},
		},
		"too many rungs": {func(c *rabbitmq.Config) {
			for i := range 33 {
				c.RetryLadder = append(c.RetryLadder, time.Duration(i+1)*time.Second)
			}
		}, []string{"RetryLadder has 33"}},
		"name": {func(c *rabbitmq.Config) { c.Name = strings.Repeat("n", 201) }, []string{"Name", "200"}},
		"topology": {func(c *rabbitmq.Config) {
			c.Topology.Queues = []ackbox.Queue{{Name: "a", Type: "lazy"}}
		}, []string{"Topology", "Queues[0].Type", "quorum"}},
		"URL and URLs": {func(c *rabbitmq.Config) { c.URLs = []string{localURL} }, []string{"Config.URL and Config.URLs", "one of them"}},
		"one of URLs": {func(c *rabbitmq.Config) {
			c.URL, c.URLs = "", []string{localURL, "amqp://guest:hunter2@[::1/", ""}
		}, []string{"Config.URLs[1]", "Config.URLs[2] is empty"}},
		"URLs of two vhosts": {func(c *rabbitmq.Config) {
			c.URL, c.URLs = "", []string{localURL, localURL + "other"}
		}, []string{"Config.URLs[1]", "vhost"}},
		"URLs of two schemes": {func(c *rabbitmq.Config) {
			c.URL, c.URLs = "", []string{localURL, "amqps://guest:hunter2@127.0.0.1/"}
		}, []string{"Config.URLs[1]", "scheme amqps"}},
		"too many URLs": {func(c *rabbitmq.Config) {
			c.URL = ""
			for range 33 {
				c.URLs = append(c.URLs, localURL)
			}
		}, []string{"Config.URLs has 33"}},
		"TLS with URLs without amqps": {func(c *rabbitmq.Config) {
			c.URL, c.URLs, c.TLS = "", []string{localURL, localURL}, &tls.Config{}
		}, []string{"TLS", "amqps"}},
		"two at once": {func(c *rabbitmq.Config) { c.Window, c.Heartbeat = -1, -1 }, []string{"Window", "Heartbeat"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := rabbitmq.Config{URL: localURL}
			test.change(&cfg)
			_, err := rabbitmq.New(cfg)
			if err == nil {
				t.Fatal("New accepts it")
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q does not name %q", err, want)
				}
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("error %q shows the password", err)
			}
		})
	}
}

func TestNewAcceptsOneBackoffBound(t *testing.T) {
	t.Parallel()
	for _, cfg := range []rabbitmq.Config{
		{URL: localURL, MinBackoff: time.Minute},
		{URL: localURL, MaxBackoff: 10 * time.Millisecond},
	} {
		if _, err := rabbitmq.New(cfg); err != nil {
			t.Error(err)
		}
	}
}
