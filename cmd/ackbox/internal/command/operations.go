package command

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ackbox/ackbox/outbox"
)

func (a *app) operations() *cobra.Command {
	var after string
	var limit int
	list := &cobra.Command{
		Use: "list", Short: "List what people did, the newest first", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if limit < 1 || limit > 1000 {
				return usagef("--limit is %d: want 1 to 1000", limit)
			}
			s, err := a.store()
			if err != nil {
				return err
			}
			ops, next, err := s.Operations(cmd.Context(), after, limit)
			if err != nil {
				return err
			}
			return a.showOperations(ops, next)
		},
	}
	list.Flags().IntVarP(&limit, "limit", "n", 50, "how many at most, 1 to 1000")
	list.Flags().StringVar(&after, "from", "", "continue a list from where it ended")
	show := &cobra.Command{
		Use: "show ID", Short: "Show one operation", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, ids []string) error {
			s, err := a.store()
			if err != nil {
				return err
			}
			op, err := s.Operation(cmd.Context(), ids[0])
			if err != nil {
				return err
			}
			return a.showOperations([]outbox.Operation{op}, "")
		},
	}
	stop := &cobra.Command{
		Use: "stop ID", Short: "Stop an operation after its present step; what it has changed stays", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, ids []string) error {
			s, err := a.store()
			if err != nil {
				return err
			}
			if err := s.StopOperation(a.by(cmd.Context()), ids[0]); err != nil {
				return err
			}
			op, err := s.Operation(cmd.Context(), ids[0])
			if err != nil {
				return err
			}
			return a.showOperations([]outbox.Operation{op}, "")
		},
	}
	return group("operations", "What people did to jobs and queues: the record, and what still goes on", list, show, stop)
}

// operationJSON is an operation as programs are given it.
type operationJSON struct {
	ID         string                `json:"id"`
	Action     outbox.Action         `json:"action"`
	State      outbox.OperationState `json:"state"`
	IDs        []string              `json:"ids,omitempty"`
	Queue      string                `json:"queue,omitempty"`
	Filter     *outbox.Filter        `json:"filter,omitempty"`
	By         string                `json:"by"`
	Reason     string                `json:"reason,omitempty"`
	CreatedAt  time.Time             `json:"created_at"`
	FinishedAt *time.Time            `json:"finished_at,omitempty"`
	Expected   int                   `json:"expected"`
	More       bool                  `json:"more,omitempty"`
	Changed    int64                 `json:"changed"`
	LookedAt   int64                 `json:"looked_at"`
	Error      string                `json:"error,omitempty"`
}

func (a *app) showOperations(ops []outbox.Operation, next string) error {
	if a.json {
		list := make([]operationJSON, 0, len(ops))
		for i := range ops {
			o := &ops[i]
			list = append(list, operationJSON{
				o.ID, o.Action, o.State, o.IDs, o.Queue, o.Filter, o.By, o.Reason, o.CreatedAt, o.FinishedAt,
				o.Expected.N, o.Expected.More, o.Changed, o.LookedAt, o.Error,
			})
		}
		return a.printJSON(struct {
			Operations []operationJSON `json:"operations"`
			Next       string          `json:"next,omitempty"`
		}{list, next})
	}
	rows := make([][]string, 0, len(ops))
	for i := range ops {
		o := &ops[i]
		rows = append(rows, []string{
			o.ID, stamp(&o.CreatedAt), o.By, string(o.Action), target(o), string(o.State),
			strconv.FormatInt(o.Changed, 10) + " of " + count(o.Expected), dash(short(strings.TrimSpace(o.Reason+" "+o.Error), 60)),
		})
	}
	if err := a.printTable("nobody has done anything", []string{"ID", "AT", "BY", "ACTION", "TO", "STATE", "CHANGED", "WHY"}, rows); err != nil {
		return err
	}
	if next != "" {
		a.note("there is more: --from %s", clean(next))
	}
	return nil
}

// target is to whom an operation was done.
func target(o *outbox.Operation) string {
	switch {
	case o.Filter != nil:
		return described(*o.Filter)
	case o.Queue != "":
		return "queue " + o.Queue
	case len(o.IDs) == 1:
		return "job " + o.IDs[0]
	}
	return fmt.Sprintf("%d jobs", len(o.IDs))
}

const (
	// stepJobs is how many jobs one step of an operation looks at, followPause how long it
	// is waited between two steps where somebody else is at it.
	stepJobs    = 500
	followPause = 250 * time.Millisecond
)

// follow carries an operation on beside the instances' sweeps, so that it ends where none
// lives, and tells how far it is. Who ends it ends only the telling.
func (a *app) follow(ctx context.Context, s *outbox.Store, op outbox.Operation) error {
	progress := a.progress()
	for op.State == outbox.OperationRunning {
		_, more, err := s.CarryOn(ctx, stepJobs)
		if err == nil {
			op, err = s.Operation(ctx, op.ID)
		}
		if err != nil {
			progress.end()
			return fmt.Errorf("operation %s goes on without us ('ackbox operations show' and 'stop'): %w", op.ID, err)
		}
		progress.tell(fmt.Sprintf("%s: %d changed, %d looked at, of %s", op.Action, op.Changed, op.LookedAt, count(op.Expected)))
		if more || op.State != outbox.OperationRunning {
			continue
		}
		select {
		case <-time.After(followPause):
		case <-ctx.Done():
			// The next call says so.
		}
	}
	progress.end()
	if err := a.showOperations([]outbox.Operation{op}, ""); err != nil {
		return err
	}
	switch {
	case op.State == outbox.OperationFailed:
		return fmt.Errorf("operation %s has failed: %s", op.ID, op.Error)
	case op.State == outbox.OperationStopped:
		return fmt.Errorf("operation %s was stopped: %d jobs changed", op.ID, op.Changed)
	case op.Changed == 0:
		return errNothing
	}
	return nil
}
