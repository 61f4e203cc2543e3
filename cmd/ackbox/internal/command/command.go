// Package command is the commands of the program ackbox.
package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
)

// Env is what a command sees of the process it runs in.
type Env struct {
	In       io.Reader
	Out, Err io.Writer
	// Getenv reads the environment.
	Getenv func(name string) string
	// Terminal says that In is a person's, who can be asked, and Out is a screen.
	Terminal bool
}

// Process is the Env of this process.
func Process() Env {
	return Env{
		In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Getenv: os.Getenv,
		Terminal: isTerminal(os.Stdin) && isTerminal(os.Stdout),
	}
}

func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// Run runs one command and returns its exit code. It returns soon after ctx ends.
func Run(ctx context.Context, env Env, args []string) int {
	a := &app{env: env}
	defer a.close()
	root := a.root()
	root.SetArgs(args)
	root.SetIn(env.In)
	root.SetOut(env.Out)
	root.SetErr(env.Err)
	err := root.ExecuteContext(ctx)
	if err != nil && !a.began { // it did not get past flags and arguments
		err = usageError{err}
	}
	code := exitCode(ctx, err)
	if err != nil && !errors.Is(err, errUnwell) {
		a.complain(err)
	}
	return code
}

// complain prints an error, which may quote what it was given.
func (a *app) complain(err error) {
	text := a.conceal(err.Error())
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		lines[i] = clean(strings.ReplaceAll(line, "\t", "  "))
	}
	_, _ = fmt.Fprintf(a.env.Err, "ackbox: %s\n", strings.Join(lines, "\n        "))
	var usage usageError
	if errors.As(err, &usage) {
		_, _ = fmt.Fprintln(a.env.Err, "ackbox: --help says what there is")
	}
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:           "ackbox",
		Short:         "See the jobs of Ackbox, and mend them",
		Long:          "ackbox looks at the jobs of Ackbox, at its queues and its servers, and mends what is not well.\n\n" + exitHelp,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.NoArgs,
		PersistentPreRunE: func(*cobra.Command, []string) error {
			a.began = true
			return a.checkFlags()
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	a.flags(root.PersistentFlags())
	root.AddCommand(a.migrate(), a.stats(), a.jobs(), a.queues(), a.dead(), a.operations(), a.verify(), a.doctor(), a.top())
	return root
}

const exitHelp = `Exit codes: 0 done; 1 could not be done; 2 the command is wrong; 3 done, and something is
not well (doctor, verify, migrate status); 4 nothing matches; 130 interrupted.`

// group is a command that only has others.
func group(use, short string, commands ...*cobra.Command) *cobra.Command {
	g := &cobra.Command{
		Use: use, Short: short, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var names []string
			for _, c := range cmd.Commands() {
				names = append(names, c.Name())
			}
			return usagef("%s: want one of: %s", cmd.CommandPath(), strings.Join(names, ", "))
		},
	}
	g.AddCommand(commands...)
	return g
}
