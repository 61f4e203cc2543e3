package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"gorm.io/gorm"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/outbox"
)

// quiet keeps the worker's log out of the story: what it would say of dead
// jobs, FailAction prints.
var quiet = slog.New(slog.DiscardHandler)

const orders = 300

// placeAll places the orders from several goroutines and returns how many jobs
// their transactions committed, by its own count.
func placeAll(ctx context.Context, db *gorm.DB) (int, error) {
	fmt.Printf("placing %d orders from 4 goroutines, some of them by mistake\n", orders)
	var jobs, mistakes atomic.Int64
	var g errgroup.Group
	g.SetLimit(4)
	for id := 1; id <= orders; id++ {
		g.Go(func() error {
			err := place(ctx, db, id)
			if errors.Is(err, errMistake) {
				mistakes.Add(1)
				return nil
			}
			if id%25 == 1 {
				jobs.Add(1)
			}
			jobs.Add(1)
			return err
		})
	}
	err := g.Wait()
	fmt.Printf("%d orders committed, %d rolled back together with their jobs\n", orders-mistakes.Load(), mistakes.Load())
	return int(jobs.Load()), err
}

// account waits until the ledger has no open job, then balances it.
func account(ctx context.Context, store *outbox.Store, committed int) error {
	shown := ""
	for {
		counts, err := store.Counts(ctx)
		if err != nil {
			return err
		}
		open := counts[ackbox.Pending] + counts[ackbox.Nacked] + counts[ackbox.Sent]
		line := fmt.Sprintf("ledger: %d open, %d done, %d dead", open, counts[ackbox.Done], counts[ackbox.Dead])
		if line != shown {
			fmt.Println(line)
			shown = line
		}
		if open == 0 {
			return balance(counts, committed)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("out of time with %d open jobs: %w", open, ctx.Err())
		case <-time.After(250 * time.Millisecond):
		}
	}
}

func balance(counts map[ackbox.State]int, committed int) error {
	rows := 0
	for _, n := range counts {
		rows += n
	}
	done, dead := counts[ackbox.Done], counts[ackbox.Dead]
	lost := committed - done - dead
	fmt.Printf("quickstart: %d committed, %d done, %d dead, %d lost\n", committed, done, dead, lost)
	if lost != 0 || dead == 0 || rows != committed {
		return fmt.Errorf("the numbers do not add up: %d committed, %d rows", committed, rows)
	}
	return nil
}
