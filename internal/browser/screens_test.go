package browser_test

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/ackbox/ackbox/internal/browser"
	"github.com/ackbox/ackbox/internal/testenv"
)

// picturesVar names a folder to write pictures to: `make browser PICTURES=1`.
const picturesVar = "ACKBOX_TEST_PICTURES"

// Every screen, by day and by night, on a desk and in a hand: nothing sticks out at
// the side, what is to be read stands out from what it is on, and every field has a
// name. Those of docs/dashboard.md are taken here.
func TestScreens(t *testing.T) {
	t.Parallel()
	s := open(t, fault, "MAIL_TAKES=200ms")
	s.badDay()
	p := s.page("")
	p.Expect("404") // the last one
	for _, screen := range s.screens() {
		p.Open(s.at(screen.path))
		p.ReadsAnew("main", screen.shows)
		for _, on := range []browser.Screen{browser.Desktop, browser.Phone} {
			for _, colours := range []browser.Colours{browser.Light, browser.Dark} {
				p.Look(on, colours)
				if wider := p.Wider(); wider > 0 {
					t.Errorf("%s on a %s is %d px wider than it", screen.name, on.Name, wider)
				}
				for _, faint := range p.Faint() {
					t.Errorf("%s, %s, %s: hard to read: %s", screen.name, on.Name, colours, faint)
				}
				if dir := os.Getenv(picturesVar); dir != "" {
					p.Shoot(filepath.Join(dir, screen.name+"-"+on.Name+"-"+string(colours)+".png"))
				}
			}
		}
		for _, nameless := range p.Nameless() {
			t.Errorf("%s: nobody can say what this is: %s", screen.name, nameless)
		}
	}
}

type screen struct{ name, path, shows string }

// screens are all that there are; those of one thing show the one of the bad day.
func (s *site) screens() []screen {
	s.tb.Helper()
	one := func(query string) (id string) {
		if err := testenv.Postgres(s.tb).Raw(query).Scan(&id).Error; err != nil || id == "" {
			s.tb.Fatalf("%s: %q, %v", query, id, err)
		}
		return id
	}
	return []screen{
		{"now", "", "Needs attention"},
		{"jobs", "jobs", "order.confirm"},
		{"job", "jobs/" + one("SELECT id FROM ackbox_jobs WHERE kind = 'order.confirm' AND state = 'dead' LIMIT 1"), "It was given up."},
		{"given-up", "given-up", fault},
		{"dead", "dead?queue=orders", "no kind was found"},
		{"queues", "queues", "Paused by"},
		{"instances", "instances", "order.confirm"},
		{"operations", "operations", operator},
		{"operation", "operations/" + one("SELECT id FROM ackbox_jobs_operations WHERE action = 'cancel' LIMIT 1"), "cancel"},
		{"bulk", "bulk?action=requeue&state=dead&q=kind:order.confirm", "Nothing is changed yet"},
		{"error", "jobs/0197c2c0-0000-7000-8000-000000000000", "It is not in the ledger"},
	}
}

// badDay has something on every screen.
func (s *site) badDay() {
	s.tb.Helper()
	s.history()
	s.order("order", 6)
	s.enqueueLater(40)
	s.stranger("0197c2c0-0000-7000-8000-00000000000c", `{"order_id":`)
	s.eventually("the mails are given up", 6, given)
	s.mend()
	s.order("later", 12)
	s.eventually("mails are sent again", 12, done)
	p := s.page("bulk?action=cancel&state=pending&q=kind:order.cancel_unpaid")
	p.Fill("input[name=reason]", "the import was wrong")
	p.Click("form.begin button")
	p.Reads(".id-line", "by "+operator)
	p.ReadsAnew(".id-line", "done")
	p.Open(s.at("jobs?state=dead"))
	p.Click("table.rows tbody tr:nth-child(1) [data-open]")
	p.Choose("Requeue")
	p.Reads(".told", "1 job requeued.")
	s.eventually("one is done after all", 13, done)
	s.mend("MAIL_TAKES=1m") // so that something runs
	s.order("slow", 4)
	s.eventually("slow mails are on record as running", 4, "SELECT count(*) FROM ackbox_jobs WHERE state = 'sent' AND started_at IS NOT NULL")
	p.Open(s.at("queues"))
	p.Choose("Pause…")
	p.Fill("input[name=reason]", "the mail server is being moved")
	p.Click("form[action$=pause] button")
	p.Reads(".told", "Paused.")
	s.order("waits", 3)
}

// docs/dashboard.md shows each screen four times, and every picture that it shows is
// there and is one of a screen.
func TestDocsShowEveryScreen(t *testing.T) {
	t.Parallel()
	docs := filepath.Join("..", "..", "docs")
	page, err := os.ReadFile(filepath.Join(docs, "dashboard.md"))
	if err != nil {
		t.Fatal(err)
	}
	shown := make(map[string]bool)
	for _, match := range regexp.MustCompile(`\(images/([^)]+)\)`).FindAllSubmatch(page, -1) {
		shown[string(match[1])] = true
	}
	for _, name := range []string{"now", "jobs", "job", "given-up", "dead", "queues", "instances", "operations", "operation", "bulk", "error"} {
		for _, on := range []string{"desktop-light", "desktop-dark", "phone-light", "phone-dark"} {
			file := name + "-" + on + ".png"
			if _, err := os.Stat(filepath.Join(docs, "images", file)); err != nil || !shown[file] {
				t.Errorf("%s: shown: %v, %v", file, shown[file], err)
			}
			delete(shown, file)
		}
	}
	for file := range shown {
		t.Errorf("docs/dashboard.md shows %s, which is no screen", file)
	}
}
