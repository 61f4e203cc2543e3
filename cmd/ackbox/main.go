package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/ackbox/ackbox/cmd/ackbox/internal/command"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := command.Run(ctx, command.Process(), os.Args[1:])
	stop()
	os.Exit(code)
}
