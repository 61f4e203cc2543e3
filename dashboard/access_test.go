package dashboard_test

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/ackbox/ackbox/dashboard"
)

// Without an Authorize nobody sees or changes anything, and is told how that is mended.
func TestClosedUntilTheApplicationSaysWho(t *testing.T) {
	t.Parallel()
	s := newSite(t, dashboard.Everything, func(c *dashboard.Config) { c.Authorize = nil })
	for _, path := range pagesOf() {
		a := s.get(path)
		s.wantStatus(a, http.StatusForbidden)
		s.wantText(a, "dashboard.Config.Authorize")
		if strings.Contains(a.body, "order:") || strings.Contains(a.body, "mail.send") {
			t.Errorf("%s: tells what is in the ledger", path)
		}
		s.wantStatus(s.json(path), http.StatusForbidden)
	}
	for _, w := range writesOf() {
		s.wantStatus(s.post(w.path, w.form), http.StatusForbidden)
	}
	if len(s.ledger.calls)+len(s.broker.calls) > 0 {
		t.Errorf("changed: %q %q", s.ledger.calls, s.broker.calls)
	}
}

func TestAuthorizeRefuses(t *testing.T) {
	t.Parallel()
	s := newSite(t, 0, func(c *dashboard.Config) {
		c.Authorize = func(*http.Request) (dashboard.Viewer, error) {
			return dashboard.Viewer{Name: "eve", Can: dashboard.Everything}, errors.New("eve is not on call")
		}
	})
	for _, path := range pagesOf() {
		a := s.get(path)
		s.wantStatus(a, http.StatusForbidden)
		if strings.Contains(a.body, "eve") {
			t.Errorf("%s: tells the asker the application's reason", path)
		}
	}
	if !strings.Contains(s.log.String(), "eve is not on call") {
		t.Errorf("the log does not say why: %s", s.log)
	}
}

// Every write needs its own permission, whatever else one may do.
func TestPermissions(t *testing.T) {
	t.Parallel()
	for _, w := range writesOf() {
		s := newSite(t, dashboard.Everything&^w.needs)
		a := s.post(w.path, w.form)
		s.wantStatus(a, http.StatusForbidden)
		s.wantText(a, "permission to "+w.needs.String())
		if len(s.ledger.calls)+len(s.broker.calls) > 0 {
			t.Errorf("%s without %s: changed: %q %q", w.path, w.needs, s.ledger.calls, s.broker.calls)
		}
		s.viewer.Can = dashboard.Read | w.needs
		s.wantStatus(s.post(w.path, w.form), http.StatusSeeOther)
		if len(s.ledger.calls)+len(s.broker.calls) != 1 {
			t.Errorf("%s with %s: changed: %q %q", w.path, w.needs, s.ledger.calls, s.broker.calls)
		}
		s.viewer.Name = ""
		s.wantStatus(s.post(w.path, w.form), http.StatusForbidden)
		if len(s.ledger.calls)+len(s.broker.calls) != 1 {
			t.Errorf("%s without a name: changed: %q %q", w.path, s.ledger.calls, s.broker.calls)
		}
	}
	s := newSite(t, dashboard.Everything&^dashboard.Read)
	for _, path := range pagesOf() {
		s.wantStatus(s.get(path), http.StatusForbidden)
	}
}

// Who may only read is shown no button that would be refused.
func TestReadersSeeNoButtons(t *testing.T) {
	t.Parallel()
	s := newSite(t, dashboard.Read)
	for _, path := range pagesOf() {
		a := s.get(path)
		for _, action := range []string{"requeue", "run-now", "reschedule", "cancel", "delete", "pause", "resume", "dead/requeue"} {
			if strings.Contains(a.body, `action="./`+action+`"`) || strings.Contains(a.body, `action="./../`+action+`"`) {
				if !strings.Contains(a.body, `class="list"`) { // the list's form has no button
					t.Errorf("%s has a form that does %s", path, action)
				}
			}
		}
		if n := strings.Count(a.body, "formaction="); n > 0 {
			t.Errorf("%s has %d buttons", path, n)
		}
	}
}

// A page of somebody else must not act in the name of who looks at it.
func TestCrossOriginWritesAreRefused(t *testing.T) {
	t.Parallel()
	for _, w := range writesOf() {
		s := newSite(t, dashboard.Everything)
		for _, header := range [][]string{
			{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}, {"Origin", "https://evil.example"}, {"Origin", "null"},
		} {
			a := s.post(w.path, w.form, header...)
			s.wantStatus(a, http.StatusForbidden)
			s.wantText(a, "another site")
		}
		if len(s.ledger.calls)+len(s.broker.calls) > 0 {
			t.Errorf("%s from elsewhere: changed: %q %q", w.path, s.ledger.calls, s.broker.calls)
		}
		s.wantStatus(s.post(w.path, w.form, "Sec-Fetch-Site", "same-origin", "Origin", "http://example.com"), http.StatusSeeOther)
	}
}

// A link, a picture or a prefetch changes nothing.
func TestWritesTakePOSTAlone(t *testing.T) {
	t.Parallel()
	s := newSite(t, dashboard.Everything)
	for _, w := range writesOf() {
		if w.path == "bulk" {
			continue // GET is its dry run
		}
		for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPut, http.MethodDelete} {
			a := s.do(httptest.NewRequest(method, prefix+w.path+"?"+w.form.Encode(), nil))
			s.wantStatus(a, http.StatusMethodNotAllowed)
			if a.Header.Get("Allow") != http.MethodPost {
				t.Errorf("%s %s: Allow is %q", method, w.path, a.Header.Get("Allow"))
			}
		}
	}
	s.wantStatus(s.get("bulk?action=requeue&state=dead&q=kind:mail.send&expected=32"), http.StatusOK)
	// What a form says in its address does not count.
	s.wantStatus(s.post("requeue?id="+jobID(3979), nil), http.StatusBadRequest)
	if len(s.ledger.calls)+len(s.broker.calls) > 0 {
		t.Errorf("changed: %q %q", s.ledger.calls, s.broker.calls)
	}
}

func hash(password string) string {
	sum := sha256.Sum256([]byte(password))
	return hex.EncodeToString(sum[:])
}

func TestBasicAuth(t *testing.T) {
	t.Parallel()
	auth, err := dashboard.BasicAuth(
		dashboard.Account{Name: "ada", PasswordSHA256: hash("one"), Can: dashboard.Everything},
		dashboard.Account{Name: "bob", PasswordSHA256: strings.ToUpper(hash("two")), Can: dashboard.Read},
	)
	if err != nil {
		t.Fatal(err)
	}
	s := newSite(t, 0, func(c *dashboard.Config) { c.Authorize = auth })
	for _, who := range [][3]string{
		{"", "", "401"},
		{"ada", "", "401"},
		{"ada", "two", "401"},
		{"", "one", "401"},
		{"eve", "one", "401"},
		{"ada", "one", "200"},
		{"bob", "two", "200"},
		{"bob", "one", "401"},
	} {
		r := httptest.NewRequest(http.MethodGet, prefix, nil)
		if who[0]+who[1] != "" {
			r.SetBasicAuth(who[0], who[1])
		}
		a := s.do(r)
		if got := a.Status[:3]; got != who[2] {
			t.Errorf("%s with %q: %s, want %s", who[0], who[1], got, who[2])
		}
		if who[2] == "401" && !strings.HasPrefix(a.Header.Get("WWW-Authenticate"), "Basic ") {
			t.Errorf("%s: no challenge", who[0])
		}
	}
	r := httptest.NewRequest(http.MethodPost, prefix+"requeue", strings.NewReader(url.Values{"id": {jobID(3979)}}.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth("bob", "two")
	s.wantStatus(s.do(r), http.StatusForbidden)
}

func TestBasicAuthRefusesBadAccounts(t *testing.T) {
	t.Parallel()
	for name, accounts := range map[string][]dashboard.Account{
		"no accounts":           nil,
		"Name":                  {{PasswordSHA256: hash("x"), Can: dashboard.Read}},
		"without colon":         {{Name: "a:b", PasswordSHA256: hash("x"), Can: dashboard.Read}},
		"PasswordSHA256 is no":  {{Name: "a", PasswordSHA256: "hunter2", Can: dashboard.Read}},
		"empty password":        {{Name: "a", PasswordSHA256: hash(""), Can: dashboard.Read}},
		"Can is 0":              {{Name: "a", PasswordSHA256: hash("x")}},
		"Can is 64":             {{Name: "a", PasswordSHA256: hash("x"), Can: 64}},
		"Account 1: Name is \"": {{Name: "a", PasswordSHA256: hash("x"), Can: dashboard.Read}, {PasswordSHA256: hash("x"), Can: dashboard.Read}},
	} {
		_, err := dashboard.BasicAuth(accounts...)
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%q: %v", name, err)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("the error shows what may be a password: %v", err)
		}
	}
}

func TestConfigIsChecked(t *testing.T) {
	t.Parallel()
	for want, cfg := range map[string]dashboard.Config{
		"Config.Name":   {Name: "a\nb"},
		"Config.Late":   {Late: time.Millisecond},
		"Config.Broker": {Broker: (*fakeBroker)(nil)},
	} {
		_, err := dashboard.New(&fake{}, cfg)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	for _, ledger := range []dashboard.Ledger{nil, (*fake)(nil)} {
		if _, err := dashboard.New(ledger, dashboard.Config{}); err == nil || !strings.Contains(err.Error(), "the ledger is nil") {
			t.Errorf("nil ledger: %v", err)
		}
	}
}
