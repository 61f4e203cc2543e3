package browser_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ackbox/ackbox/internal/browser"
	"github.com/ackbox/ackbox/internal/testenv"
	"github.com/ackbox/ackbox/internal/testenv/program"
)

// The operator of the tests.
const (
	operator = "olga"
	password = "a long password of the tests"
)

// site is the orders example on a database and a vhost of its own, as processes
// beside each other.
type site struct {
	tb                      testing.TB
	env                     []string
	web, dispatcher, worker *program.Process
	base                    string // of the web process
}

// open starts the site with a worker that cannot send mails, for the reason fault,
// if there is one. env is for all of its processes.
func open(tb testing.TB, fault string, env ...string) *site {
	tb.Helper()
	s := &site{tb: tb, env: append([]string{
		"DATABASE_URL=" + testenv.DatabaseURL(tb), "AMQP_URL=" + testenv.AMQPURL(tb), "ADDR=127.0.0.1:0",
		"OPS_USER=" + operator, fmt.Sprintf("OPS_PASSWORD_SHA256=%x", sha256.Sum256([]byte(password))),
	}, env...)}
	s.web = s.start("web")
	s.dispatcher = s.start("dispatcher")
	s.worker = s.start("worker", "MAIL_FAULT="+fault)
	s.base = s.web.Address("orders: listening")
	return s
}

func (s *site) start(role string, env ...string) *program.Process {
	s.tb.Helper()
	return program.Start(s.tb, role, orders, []string{"-role", role}, slices.Concat(s.env, env))
}

// mend restarts the worker, this time with a mail server that works, or as env says.
func (s *site) mend(env ...string) {
	s.tb.Helper()
	s.worker.Terminate()
	s.worker = s.start("worker", env...)
}

// page opens one of the dashboard's, as the operator.
func (s *site) page(path string) *browser.Page {
	s.tb.Helper()
	p := chromium.Page(s.tb)
	p.SignIn(operator, password)
	p.Open(s.at(path))
	return p
}

// at is the address of a page of the dashboard.
func (s *site) at(path string) string { return s.base + "/ops/jobs/" + path }

// order places orders, with ids that begin with a prefix.
func (s *site) order(prefix string, n int) {
	s.tb.Helper()
	for i := range n {
		body := fmt.Sprintf(`{"id":%q,"customer":"customer %d","amount_cents":%d}`, fmt.Sprintf("%s-%d", prefix, i+1), i+1, 100+i)
		status, text := s.request(http.MethodPost, s.base+"/orders", "application/json", body)
		if status != http.StatusCreated {
			s.tb.Fatalf("order %d: %d %s", i+1, status, text)
		}
	}
}

var client = &http.Client{Timeout: 15 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}

// request sends one as the operator's program would, not a browser.
func (s *site) request(method, url, kind, body string) (status int, text string) {
	s.tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), client.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		s.tb.Fatal(err)
	}
	req.SetBasicAuth(operator, password)
	req.Header.Set("Accept", "application/json")
	req.Header.Set("Content-Type", kind)
	resp, err := client.Do(req)
	if err != nil {
		s.tb.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		s.tb.Fatal(err)
	}
	return resp.StatusCode, string(raw)
}
