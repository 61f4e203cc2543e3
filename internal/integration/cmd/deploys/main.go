//go:build unix

// Command deploys restarts the shop's workers again and again, half of them by
// SIGKILL, and compares what the ledger charged with what the handlers wrote down.
// See package deploys, and `make deploys`.
//
//	deploys [-seed N] [-minutes M] [-pace P]
//
// Its last line is the count; its status is 1 if a try was charged that did not
// fail, or the other way round, if a job ran twice at once, or if anything was lost
// or had its effect twice.
package main

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/ackbox/ackbox/internal/integration/deploys"
	"github.com/ackbox/ackbox/internal/integration/site"
)

func main() {
	seed := flag.Uint64("seed", 0, "decides who is killed when; 0 draws one")
	minutes := flag.Float64("minutes", 3, "how long deploys come")
	pace := flag.Float64("pace", 1, "how many times faster deploys come, and long jobs run")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, deploys.Config{
		Seed: *seed, Duration: time.Duration(*minutes * float64(time.Minute)), Pace: *pace, Out: os.Stdout,
	})
	stop()
	switch {
	case errors.Is(err, errBooks): // told already
		os.Exit(1)
	case err != nil:
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

var errBooks = errors.New("the books do not balance")

func run(ctx context.Context, cfg deploys.Config) (err error) {
	if cfg.Duration <= 0 || cfg.Pace <= 0 || flag.NArg() > 0 {
		return errors.New("usage: deploys [-seed N] [-minutes M, more than 0] [-pace P, more than 0]")
	}
	if cfg.Seed == 0 {
		var b [4]byte
		_, _ = rand.Read(b[:]) // never fails
		cfg.Seed = uint64(binary.BigEndian.Uint32(b[:]))
	}
	dir, err := os.MkdirTemp("", "ackbox-deploys-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if cfg.Shopd, err = site.Build(ctx, dir); err != nil {
		return err
	}
	result, err := deploys.Run(ctx, cfg)
	if err != nil {
		return err
	}
	fmt.Printf("runs cut short: %d, interrupted: %d; sent again: %d\n", result.CutShort, result.Interrupted, result.Resent)
	if err := result.Err(); err != nil {
		fmt.Println(err)
		fmt.Println(result)
		return errBooks
	}
	fmt.Println(result) // the last line, either way
	return nil
}
