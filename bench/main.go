package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// options are the flags.
type options struct {
	quick    bool
	only     []string
	rounds   int
	json     bool
	profiles string
	role     string
	scale    scaleOptions
	grow     bool
	plot     string
	from     string
}

func parse(args []string, usage io.Writer) (options, error) {
	var o options
	var only string
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(usage)
	flags.BoolVar(&o.quick, "quick", false, "small sizes, few rounds: all in under 3 minutes, less exact")
	flags.StringVar(&only, "case", "", "only the cases that have one of these names, or a row whose name begins with it, separated by commas")
	flags.IntVar(&o.rounds, "rounds", 0, "rounds of each case (default 3)")
	flags.BoolVar(&o.json, "json", false, "print one JSON object per line instead of the table")
	flags.StringVar(&o.profiles, "cpuprofile", "", "existing folder for a CPU profile of our side of each case and round")
	flags.StringVar(&o.role, "role", "", "used by the bench itself, to run a part in a process of its own")
	flags.BoolVar(&o.grow, "grow", false, "measure how rates change with one setting at a time, and print a JSON object per point; -case names sweeps then")
	flags.StringVar(&o.plot, "plot", "", "folder to draw PNGs into of what -grow has printed; measures nothing")
	flags.StringVar(&o.from, "from", "", "the file to draw")
	o.scale.register(flags)
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q: want flags only", flags.Arg(0))
	}
	if o.rounds < 0 {
		return o, fmt.Errorf("-rounds is %d: want 1 or more", o.rounds)
	}
	if o.rounds == 0 {
		o.rounds = 3
	}
	if only != "" {
		o.only = strings.Split(only, ",")
	}
	return o, nil
}

func run(ctx context.Context, args []string, out, progress io.Writer) error {
	o, err := parse(args, progress)
	if err != nil {
		return err
	}
	if o.role != "" {
		return play(ctx, o.role, os.Stdin, out)
	}
	if o.plot != "" {
		return drawPlots(o.plot, o.from)
	}
	if o.grow {
		return grow(ctx, o, out, progress)
	}
	if o.scale.on {
		return runScale(ctx, o.scale, out, progress)
	}
	cases, err := choose(allCases(), o.only, o.quick)
	if err != nil {
		return err
	}
	servers, err := findServers(ctx)
	if err != nil {
		return err
	}
	r := runner{servers: servers, options: o, progress: progress}
	var all []result
	for _, c := range cases {
		var results []result
		if results, err = r.run(ctx, c); err != nil {
			err = fmt.Errorf("%s: %w", c.name, err)
			break
		}
		all = append(all, results...)
		if o.json {
			if err := writeJSON(out, results); err != nil {
				return err
			}
		}
	}
	if o.json || len(all) == 0 {
		return err
	}
	// What was measured before something failed is worth showing.
	return errors.Join(writeTable(out, all), err)
}
