package browser_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// touring bounds the whole tour, in which a job fails four times.
const touring = time.Minute

// stop is what the tour does between two texts: a command, and what it is said to
// print, or nothing if the page says nothing of it.
type stop struct {
	command, prints string
	told            bool
}

// The tour of docs/dashboard.md is taken as it is printed, and every address of the
// dashboard is on it.
func TestTourOfTheDocs(t *testing.T) {
	t.Parallel()
	stops := readTour(t)
	s := open(t, "the mail server does not answer")
	s.stranger("0197c2c0-0000-7000-8000-000000000001", `{"order_id":`)
	printed := s.take(stops)
	for i, stop := range stops {
		if stop.told && printed[i] != stop.prints {
			t.Errorf("the tour's command\n%s\nprints\n%s\nand not\n%s", stop.command, printed[i], stop.prints)
		}
	}
	var all strings.Builder
	for _, stop := range stops {
		all.WriteString(stop.command)
	}
	for _, address := range addresses(t) {
		pattern := regexp.MustCompile(`\\\{\w+\\\}`).ReplaceAllString(regexp.QuoteMeta(address), `[^/" ]+`)
		pattern = `\$OPS` + strings.TrimSuffix(pattern, `\{\$\}`) + `["? ]`
		if !regexp.MustCompile(pattern).MatchString(all.String()) {
			t.Errorf("the tour does not go to %s", address)
		}
	}
}

// readTour takes the commands out of the page: each block of sh, with the block of
// text that follows it.
func readTour(t *testing.T) (stops []stop) {
	t.Helper()
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "dashboard.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, tour, found := strings.Cut(string(page), "\n## A tour with curl\n")
	if !found {
		t.Fatal("docs/dashboard.md has no tour")
	}
	tour, _, _ = strings.Cut(tour, "\n## ")
	for _, block := range regexp.MustCompile("(?s)```(sh|text)\n(.*?)```").FindAllStringSubmatch(tour, -1) {
		if block[1] == "sh" {
			stops = append(stops, stop{command: block[2]})
			continue
		}
		last := &stops[len(stops)-1]
		last.prints, last.told = block[2], true
	}
	if len(stops) < 10 {
		t.Fatalf("the tour has %d stops only", len(stops))
	}
	return stops
}

// take runs the commands in one shell, and returns what each has printed.
func (s *site) take(stops []stop) []string {
	s.tb.Helper()
	const mark = "\x1e\n" // between two stops
	var script strings.Builder
	script.WriteString("set -eu\n")
	for _, stop := range stops {
		fmt.Fprintf(&script, "%sprintf '\\036\\n'\n", stop.command)
	}
	ctx, cancel := context.WithTimeout(context.Background(), touring)
	defer cancel()
	shell := exec.CommandContext(ctx, "sh")
	shell.Env = append(os.Environ(), "ORDERS="+s.base, "OPS="+strings.TrimSuffix(s.at(""), "/"), "LOGIN="+operator+":"+password)
	shell.Stdin = strings.NewReader(script.String())
	var said bytes.Buffer
	shell.Stderr = &said
	out, err := shell.Output()
	printed := strings.Split(string(out), mark)
	if err != nil || len(printed) != len(stops)+1 {
		s.tb.Fatalf("the tour ends at stop %d, with %v\n%s\nit has printed\n%s", len(printed), err, said.String(), printed[len(printed)-1])
	}
	return printed
}

// addresses are those that the dashboard's source gives a page or an action.
func addresses(t *testing.T) (all []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", "..", "dashboard", "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range regexp.MustCompile(`(?m)^\t\t"(/[^"]*)": +(?:d\.|\{)`).FindAllSubmatch(source, -1) {
			all = append(all, string(match[1]))
		}
	}
	if len(all) < 20 {
		t.Fatalf("only %d addresses were found in the dashboard's source", len(all))
	}
	return all
}
