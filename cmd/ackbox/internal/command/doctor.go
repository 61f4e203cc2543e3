package command

import (
	"context"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/outbox"
)

func (a *app) doctor() *cobra.Command {
	var queues []string
	var file string
	cmd := &cobra.Command{
		Use: "doctor", Short: "Examine PostgreSQL, RabbitMQ and the instances, and say what to do; changes nothing", Args: cobra.NoArgs,
		Long: "Examine PostgreSQL, RabbitMQ and the instances, and say what to do. It changes nothing: it publishes\n" +
			"two messages that no queue gets, and takes none. Exit code 3 says that something is bad, or will be.\n\n" +
			"The queues are those that the ledger knows, and those of --queue. Their arguments are compared with\n" +
			"those of --topology, a JSON file of the application's ackbox.Topology\n" +
			`({"Queues": [{"Name": "orders"}], "Exchanges": []}), else with the default of a queue of that name.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			topology, err := readTopology(file, queues)
			if err != nil {
				return err
			}
			return a.examine(cmd.Context(), topology, file != "")
		},
	}
	cmd.Flags().StringSliceVarP(&queues, "queue", "q", nil, "examine this queue, too")
	cmd.Flags().StringVar(&file, "topology", "", "a JSON file of the application's ackbox.Topology")
	return cmd
}

func (a *app) examine(ctx context.Context, topology ackbox.Topology, exact bool) error {
	var list findings
	var paused map[string]bool
	s, err := a.store()
	if err != nil {
		return err
	}
	d, err := s.Diagnose(ctx)
	if err != nil {
		list.add(bad, aboutDatabase, "see that the server runs, and that DATABASE_URL's host, user and password are right", "it cannot be asked: %s", a.conceal(err.Error()))
	} else {
		judgeDatabase(&list, d, a.schema, a.table)
		if d.Schema > 0 {
			paused = a.judgeLedger(ctx, &list, s)
			if !exact {
				topology = withQueues(topology, a.queueNames(ctx, s))
			}
		}
	}
	if len(a.amqpURLs()) == 0 {
		list.add(note, aboutBroker, "", "not checked: AMQP_URL is not set")
		return a.showFindings(list)
	}
	b, err := a.broker(topology)
	if err != nil {
		return err
	}
	e, err := b.Examine(ctx)
	judgeBroker(&list, e, err, judging{exact, paused})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return a.showFindings(list)
}

// queueNames are those that the ledger knows, as far as it can be asked.
func (a *app) queueNames(ctx context.Context, s *outbox.Store) []string {
	var names []string
	if balances, err := s.Balances(ctx, patience, 1); err == nil {
		for i := range balances {
			names = append(names, balances[i].Queue)
		}
	}
	if finished, err := s.FinishedQueues(ctx); err == nil {
		names = append(names, finished...)
	}
	if instances, err := s.Instances(ctx); err == nil {
		for i := range instances {
			names = append(names, instances[i].Queues...)
		}
	}
	names = slices.DeleteFunc(names, func(name string) bool { return name == "" })
	slices.Sort(names)
	return slices.Compact(names)
}

// withQueues adds queues that are not in t.
func withQueues(t ackbox.Topology, names []string) ackbox.Topology {
	for _, name := range names {
		if !slices.ContainsFunc(t.Queues, func(q ackbox.Queue) bool { return q.Name == name }) {
			t.Queues = append(t.Queues, ackbox.Queue{Name: name})
		}
	}
	return t
}

// in is a list in words.
func in(words []string) string { return strings.Join(words, ", ") }
