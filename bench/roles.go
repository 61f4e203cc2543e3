package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/riverqueue/river"

	"github.com/ackbox/ackbox/dispatcher"
)

// The variables by which a part in a process of its own is told its database
// and vhost.
const (
	roleDatabaseVar = "ACKBOX_BENCH_DATABASE_URL"
	roleAMQPVar     = "ACKBOX_BENCH_AMQP_URL"
)

// ready is the line by which a part says that it has started. Every line after
// it is a job's number and when its handler started, in Unix nanoseconds.
const ready = "ready"

// play is the program of a part in a process of its own. It ends when in does,
// which is when its parent ends.
func play(ctx context.Context, role string, in io.Reader, out io.Writer) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		// Not awaited: a read of standard input cannot be interrupted, and the
		// process ends after this function.
		_, _ = io.Copy(io.Discard, in)
		stop()
	}()
	told := &teller{out: out}
	switch role {
	case "dispatcher", "worker":
		return playOurs(ctx, role, told)
	case "river-default":
		return playRiver(ctx, riverDefault(), told)
	case "river-tuned":
		return playRiver(ctx, riverTuned(), told)
	}
	return fmt.Errorf("-role %q: there is no such role", role)
}

// teller writes the lines that the parent reads.
type teller struct {
	mu  sync.Mutex
	out io.Writer
}

func (t *teller) say(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	_, _ = fmt.Fprintf(t.out, format+"\n", args...) // without a parent there is nobody to tell
}

// began tells that a handler has started.
func (t *teller) began(o Order) { t.say("%d %d", o.Number, time.Now().UnixNano()) }

func playOurs(ctx context.Context, role string, told *teller) (err error) {
	a, err := openOurs(ctx, os.Getenv(roleDatabaseVar), os.Getenv(roleAMQPVar), oursDefault())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.close()) }()
	w, errWorker := a.newWorker(told.began)
	d, errDispatcher := dispatcher.New(a.store, a.broker, a.set.dispatcher)
	if err := errors.Join(errWorker, errDispatcher); err != nil {
		return err
	}
	told.say(ready)
	if role == "dispatcher" {
		return d.Run(ctx)
	}
	return w.Run(ctx)
}

func playRiver(ctx context.Context, config *river.Config, told *teller) (err error) {
	r, err := openRiver(ctx, os.Getenv(roleDatabaseVar), false, config, told.began)
	if err != nil {
		return err
	}
	defer r.close()
	// Start's context ends the work at once; Stop lets it finish.
	if err := r.client.Start(context.WithoutCancel(ctx)); err != nil {
		return fmt.Errorf("start River: %w", err)
	}
	told.say(ready)
	<-ctx.Done()
	return r.stop(ctx)
}

// readLines hands what a part tells to w, until it ends. It calls started when
// the part is ready.
func readLines(out io.Reader, w *watch, started func()) error {
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if lines.Text() == ready {
			started()
			continue
		}
		var number, nanos int64
		if _, err := fmt.Sscanf(lines.Text(), "%d %d", &number, &nanos); err != nil {
			return fmt.Errorf("a part of the bench said %q: %w", lines.Text(), err)
		}
		w.began(number, time.Unix(0, nanos))
	}
	return lines.Err()
}
