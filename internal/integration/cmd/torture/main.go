//go:build unix

// Command torture breaks everything under a small application, at random, for
// minutes, and counts what was lost. See package torture, and `make torture`.
//
//	torture [-seed N] [-minutes M] [-only TEXT] [-cluster]
//
// Its last line is the count; its status is 1 if anything was lost, invented or
// had its effect twice.
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

	"github.com/ackbox/ackbox/internal/integration/site"
	"github.com/ackbox/ackbox/internal/integration/torture"
)

func main() {
	seed := flag.Uint64("seed", 0, "decides which faults come when; 0 draws one")
	minutes := flag.Float64("minutes", 3, "how long faults come")
	only := flag.String("only", "", "only faults whose name contains this")
	cluster := flag.Bool("cluster", false, "three nodes of RabbitMQ instead of one, and faults of theirs")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, torture.Config{
		Seed: *seed, Duration: time.Duration(*minutes * float64(time.Minute)), Only: *only, Cluster: *cluster, Out: os.Stdout,
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

func run(ctx context.Context, cfg torture.Config) (err error) {
	if cfg.Duration <= 0 || flag.NArg() > 0 {
		return errors.New("usage: torture [-seed N] [-minutes M, more than 0] [-only TEXT] [-cluster]")
	}
	if cfg.Seed == 0 {
		var b [4]byte
		_, _ = rand.Read(b[:]) // never fails
		cfg.Seed = uint64(binary.BigEndian.Uint32(b[:]))
	}
	dir, err := os.MkdirTemp("", "ackbox-torture-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if cfg.Shopd, err = site.Build(ctx, dir); err != nil {
		return err
	}
	result, err := torture.Run(ctx, cfg)
	if err != nil {
		return err
	}
	if result.Growth != 0 {
		fmt.Printf("live heap of the instance that lived longest: %+.1f MiB from its second to its last quarter\n", float64(result.Growth)/(1<<20))
	}
	if err := result.Err(); err != nil {
		fmt.Println(err)
		fmt.Println(result)
		return errBooks
	}
	fmt.Println(result) // the last line, either way
	return nil
}
