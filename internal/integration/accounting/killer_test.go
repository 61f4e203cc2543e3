//go:build unix

package accounting_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"gorm.io/driver/postgres"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/handler"
	"github.com/ackbox/ackbox/internal/testenv"
	"github.com/ackbox/ackbox/outbox"
	"github.com/ackbox/ackbox/rabbitmq"
	"github.com/ackbox/ackbox/worker"
)

// roleVar has this program be a worker instead of testing: with the database's and
// the broker's address, and the id of the job that kills it.
const roleVar = "ACCOUNTING_ROLE"

// play is the worker that a job kills. It has one slot, and the others wait.
func play(role string) int {
	args := strings.Fields(role)
	db, err := gorm.Open(postgres.Open(args[0]), &gorm.Config{Logger: logger.Discard})
	if err != nil {
		return 1
	}
	store, err := outbox.NewStore(db, outbox.Config{})
	if err != nil {
		return 1
	}
	mq, err := rabbitmq.New(rabbitmq.Config{URL: args[1], Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return 1
	}
	reg := handler.NewRegistry()
	reg.Handle("kills", newCalls(func(context.Context, ackbox.Job) error {
		return syscall.Kill(os.Getpid(), syscall.SIGKILL)
	}))
	reg.Handle("plain", newCalls(nil))
	cfg := worker.Config{Logger: slog.New(slog.NewTextHandler(os.Stderr, nil))}
	slots(1, 8)(&cfg)
	p := newPrefetch(mq, args[2], make(chan struct{})) // never free
	w, err := worker.New(store, p, reg, cfg)
	if err != nil {
		return 1
	}
	fmt.Fprintln(os.Stderr, w.Run(context.Background()))
	return 1
}

// A job kills the process ten times; another, which has one try, waits beside it.
// Only who runs is charged.
func TestNeighbourKillsTheProcess(t *testing.T) {
	t.Parallel()
	const kills = 10
	s := newStage(t)
	s.dispatch()
	killer := s.enqueue("kills", outbox.MaxAttempts(1000))
	waits := s.enqueue("plain", outbox.MaxAttempts(1))
	s.sees("both are sent", func() bool { return s.entry(killer).State == ackbox.Sent && s.entry(waits).State == ackbox.Sent })
	self, err := os.Executable()
	s.must("find this program", err)
	for range kills {
		cmd := exec.CommandContext(s.ctx, self)
		cmd.Env = append(cmd.Environ(), roleVar+"="+strings.Join([]string{testenv.DatabaseURL(t), s.amqp, killer}, " "))
		cmd.Stderr = s.log
		err := cmd.Run()
		if !wasKilled(err) {
			t.Fatalf("the process was not killed: %v", err)
		}
		s.forget(cmd.Process.Pid)
	}
	if e := s.entry(waits); e.State.Final() || e.Attempt != 1 {
		t.Errorf("the one that waits is %s at try %d", e.State, e.Attempt)
	}
	mended, plain := newCalls(nil), newCalls(nil)
	s.run("the last worker", s.worker(s.broker("worker"), map[string]*calls{"kills": mended, "plain": plain}, slots(1, 8)).Run)
	s.final(killer, waits)
	s.wants("the one that waited", waits, ackbox.Done, 1, plain.of(waits), count{1, 0, 1})
	s.wants("the one that killed, mended", killer, ackbox.Done, 1, mended.of(killer), count{1, 0, 1})
}

func wasKilled(err error) bool {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return false
	}
	status, ok := exit.Sys().(syscall.WaitStatus)
	return ok && status.Signaled()
}
