// Command shopd is one instance of the shop as a process of its own, to be
// killed, frozen and restarted by tests. Its configuration is a shop.Config as
// JSON in SHOP_CONFIG. It logs to stderr and tells about itself on stdout, a
// [shop.Report] as JSON each second; SIGTERM stops it.
//
// Built with the tag ackbox_failpoints it kills itself where
// ACKBOX_FAILPOINTS says.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/ackbox/ackbox/internal/integration/shop"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "shopd:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) (err error) {
	var cfg shop.Config
	if err := json.Unmarshal([]byte(os.Getenv("SHOP_CONFIG")), &cfg); err != nil {
		return fmt.Errorf("SHOP_CONFIG is no configuration: %w", err)
	}
	slog.SetDefault(slog.New(slog.NewTextHandler(os.Stderr, nil)).With("instance", cfg.Name))
	app, err := shop.Open(cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, app.Close()) }()
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return app.Run(ctx) })
	g.Go(func() error { return report(ctx, app) })
	return g.Wait()
}

func report(ctx context.Context, app *shop.App) error {
	out := json.NewEncoder(os.Stdout)
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		if err := out.Encode(app.Report()); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}
