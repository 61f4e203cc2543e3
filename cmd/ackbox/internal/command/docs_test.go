package command_test

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

var inline = regexp.MustCompile("`(ackbox [^`]+)`")

// Every command that docs/operations.md tells people to run exists, with those flags.
func TestOperationsMdNamesRealCommands(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile("../../../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	var commands []string
	for _, m := range inline.FindAllStringSubmatch(string(doc), -1) {
		commands = append(commands, m[1])
	}
	for line := range strings.Lines(string(doc)) {
		line = strings.TrimPrefix(strings.TrimSpace(line), "$ ")
		if line, _, _ = strings.Cut(line, " #"); strings.HasPrefix(line, "ackbox ") {
			commands = append(commands, line)
		}
	}
	if len(commands) < 30 {
		t.Errorf("only %d commands are found", len(commands))
	}
	sh := &shell{t: t}
	for _, c := range commands {
		args := strings.Fields(c)[1:]
		o := sh.run(append(args, "--help")...)
		if o.code != 0 || strings.Contains(o.out, "Available Commands:") {
			t.Errorf("%s: exit code %d: %s", c, o.code, o.err)
		}
	}
}

// What the pages show of doctor is what it says of real servers: each of its lines is in
// the program.
func TestOperationsMdShowsRealOutput(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile("../../../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	contains(t, string(doc), "all is well:", "it is the primary, and can be written", "→ ALTER TABLE", "sent and lost", "idle in transaction for")
	lacks(t, string(doc), "@@", "opensesame")
}
