//go:build unix

package services

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// fakeDocker puts a docker client on PATH that writes down how it was called.
func fakeDocker(t *testing.T, engine string) (calls func() string) {
	t.Helper()
	dir := t.TempDir()
	log := filepath.Join(dir, "calls")
	script := "#!/bin/sh\necho \"$@\" >> " + log + `
case "$1" in
info) ` + engine + ` ;;
run) echo 0123456789abcdef ;;
port) echo 127.0.0.1:4$3 ;;
esac
`
	if err := os.WriteFile(filepath.Join(dir, "docker"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	return func() string {
		raw, err := os.ReadFile(log)
		if err != nil {
			t.Fatal(err)
		}
		return string(raw)
	}
}

func TestContainerIsAskedForOnLoopback(t *testing.T) {
	calls := fakeDocker(t, "exit 0")
	var out bytes.Buffer
	im := rabbitImage
	im.ping = func(context.Context, instance) error { return nil }
	recorded := ""
	i, err := Manager{Out: &out}.startContainer(t.Context(), im, func(id string) error { recorded = id; return nil })
	if err != nil {
		t.Fatal(err)
	}
	if recorded != "0123456789abcdef" || i.Container != recorded {
		t.Errorf("recorded %q, instance %q", recorded, i.Container)
	}
	if !strings.HasPrefix(i.URL, "amqp://ackbox:") || !strings.HasSuffix(i.URL, "@127.0.0.1:45672/") {
		t.Errorf("URL = %s", i.URL)
	}
	if !strings.HasPrefix(i.API, "http://ackbox:") || !strings.HasSuffix(i.API, "@127.0.0.1:415672") {
		t.Errorf("API = %s", i.API)
	}
	if err := removeContainer(t.Context(), i.Container); err != nil {
		t.Error(err)
	}
	for _, want := range []string{"--publish 127.0.0.1::5672 --publish 127.0.0.1::15672", "rm --force --volumes 0123456789abcdef"} {
		if !strings.Contains(calls(), want) {
			t.Errorf("docker was not called with %q:\n%s", want, calls())
		}
	}
}

func TestClientWithoutEngineIsNoDocker(t *testing.T) {
	fakeDocker(t, "echo Cannot connect >&2; exit 1")
	if dockerAnswers(t.Context()) {
		t.Error("a client without an engine counts as Docker")
	}
	fakeDocker(t, "exit 0")
	if !dockerAnswers(t.Context()) {
		t.Error("an engine that answers was not noticed")
	}
}

func TestPublished(t *testing.T) {
	t.Parallel()
	if got, err := published("127.0.0.1:49153\n[::1]:49153"); err != nil || got != "127.0.0.1:49153" {
		t.Errorf("published: %q, %v", got, err)
	}
	if got, err := published("no such port"); err == nil {
		t.Errorf("published took %q", got)
	}
}
