package interop_test

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// progress is a line that a client prints.
type progress struct{ Confirmed, Published, Again, Connections int }

// program is a child process: a client or a worker.
type program struct {
	name string
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
	err  error         // how; valid after done

	mu   sync.Mutex
	log  bytes.Buffer
	last progress
}

// start runs a command until the test ends. env is added to the environment.
func start(t *testing.T, name string, env []string, command ...string) *program {
	t.Helper()
	p := &program{name: name, done: make(chan struct{})}
	p.cmd = exec.Command(command[0], command[1:]...)
	p.cmd.Env = append(p.cmd.Environ(), env...)
	p.cmd.Stderr = p
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("start %s: %v (make services-up installs what is missing, as root)", name, err)
	}
	go func() { // ends with the process, which Cleanup ends
		defer close(p.done)
		p.read(out)
		p.err = p.cmd.Wait()
	}()
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			p.mu.Lock()
			defer p.mu.Unlock()
			text := p.log.String()
			t.Logf("log of %s:\n%s", name, text[max(0, len(text)-4000):])
		}
	})
	return p
}

func (p *program) read(out io.Reader) {
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		p.mu.Lock()
		_ = json.Unmarshal(lines.Bytes(), &p.last) // what is no progress is none
		p.mu.Unlock()
	}
}

// Write implements io.Writer: the process's log.
func (p *program) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.Write(b)
}

func (p *program) progress() progress {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.last
}

// kill ends the process with SIGKILL and waits for its end.
func (p *program) kill() {
	_ = p.cmd.Process.Kill() // it may have ended by itself
	<-p.done
}

// terminate sends SIGTERM: the process has to end with status 0.
func (p *program) terminate(t *testing.T) {
	t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatalf("terminate %s: %v", p.name, err)
	}
	p.wait(t, time.Minute)
}

// wait waits for the process's end, with status 0.
func (p *program) wait(t *testing.T, limit time.Duration) {
	t.Helper()
	select {
	case <-p.done:
		if p.err != nil {
			t.Fatalf("%s ended with %v", p.name, p.err)
		}
	case <-time.After(limit):
		t.Fatalf("%s has not ended within %v", p.name, limit)
	}
}

// modules unpacks amqplib for Node's NODE_PATH.
func modules(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	raw, err := os.ReadFile("testdata/amqplib.tgz")
	if err != nil {
		t.Fatal(err)
	}
	if err := unpack(raw, filepath.Join(dir, "amqplib")); err != nil {
		t.Fatal(err)
	}
	return dir
}

// unpack unpacks an npm package, all of which is in a folder "package", into dir.
func unpack(tgz []byte, dir string) error {
	zipped, err := gzip.NewReader(bytes.NewReader(tgz))
	if err != nil {
		return err
	}
	files := tar.NewReader(zipped)
	for {
		head, err := files.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		name := strings.TrimPrefix(head.Name, "package/")
		if head.Typeflag != tar.TypeReg || !filepath.IsLocal(name) {
			continue
		}
		text, err := io.ReadAll(files)
		if err != nil {
			return err
		}
		target := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(target), 0o750), os.WriteFile(target, text, 0o600)); err != nil {
			return err
		}
	}
}

// python is Debian's own, which alone sees Debian's python3-pika.
const python = "/usr/bin/python3"

// What is vendored is what VENDOR says.
func TestVendored(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("testdata/amqplib.tgz")
	if err != nil {
		t.Fatal(err)
	}
	says, err := os.ReadFile("testdata/VENDOR")
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(raw)
	if line := "sha256: " + hex.EncodeToString(sum[:]) + "\n"; !strings.Contains(string(says), line) {
		t.Errorf("VENDOR lacks the line %q", line)
	}
	text, err := os.ReadFile(filepath.Join(modules(t), "amqplib", "package.json"))
	if err != nil {
		t.Fatal(err)
	}
	var p struct{ Name, Version, License string }
	if err := json.Unmarshal(text, &p); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"name: " + p.Name + "\n", "version: " + p.Version + "\n", "licence: " + p.License + " "} {
		if !strings.Contains(string(says), line) {
			t.Errorf("VENDOR lacks %q", line)
		}
	}
}
