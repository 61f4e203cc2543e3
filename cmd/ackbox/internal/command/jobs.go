package command

import (
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/outbox"
)

func (a *app) jobs() *cobra.Command {
	return group("jobs", "Jobs: look at them, and mend them",
		a.jobsList(), a.jobsShow(),
		a.jobsChange(change{
			action: outbox.ActionRequeue, use: "requeue", does: "Give dead or cancelled jobs all their tries again, due now",
			state: ackbox.Dead, some: (*outbox.Store).Requeue,
		}),
		a.jobsChange(change{
			action: outbox.ActionCancel, use: "cancel", does: "Withdraw jobs that wait: pending, nacked or refused",
			some: (*outbox.Store).Cancel,
		}),
		a.jobsChange(change{
			action: outbox.ActionRunNow, use: "run-now", does: "Make jobs due now that wait for their time, a retry or the broker",
			some: (*outbox.Store).RunNow,
		}),
		a.jobsChange(change{
			action: outbox.ActionDelete, use: "delete", does: "Delete finished jobs; there is no way back",
			some: (*outbox.Store).Delete,
		}),
	)
}

func (a *app) jobsList() *cobra.Command {
	var f filterFlags
	var after string
	var limit int
	cmd := &cobra.Command{
		Use: "list", Short: "List jobs, the newest first", Args: cobra.NoArgs,
		Example: "  ackbox jobs list --state dead --kind email.send --after 2h\n  ackbox jobs list --key order:42",
		RunE: func(cmd *cobra.Command, _ []string) error {
			filter, err := f.filter(time.Now())
			if err != nil {
				return err
			}
			if limit < 1 || limit > 10000 {
				return usagef("--limit is %d: want 1 to 10000", limit)
			}
			s, err := a.store()
			if err != nil {
				return err
			}
			page, err := s.List(cmd.Context(), filter, after, limit)
			if err != nil {
				return err
			}
			return a.showPage(page)
		},
	}
	f.add(cmd)
	cmd.Flags().IntVarP(&limit, "limit", "n", 50, "how many at most, 1 to 10000")
	cmd.Flags().StringVar(&after, "from", "", "continue a list from where it ended")
	return cmd
}

func (a *app) showPage(page outbox.Page) error {
	if a.json {
		jobs := make([]jobJSON, 0, len(page.Entries))
		for i := range page.Entries {
			jobs = append(jobs, asJSON(&page.Entries[i], false))
		}
		return a.printJSON(struct {
			Jobs     []jobJSON `json:"jobs"`
			Next     string    `json:"next,omitempty"`
			Searched int       `json:"searched"`
		}{jobs, page.Next, page.Searched})
	}
	rows := make([][]string, 0, len(page.Entries))
	now := time.Now()
	for i := range page.Entries {
		e := &page.Entries[i]
		rows = append(rows, []string{
			e.ID, string(e.State), e.Queue, e.Kind, dash(e.Key), strconv.Itoa(e.Attempt) + "/" + strconv.Itoa(e.MaxAttempts),
			ago(now, e.CreatedAt), since(now, e), short(e.LastError, 60),
		})
	}
	if err := a.printTable("no job matches", []string{"ID", "STATE", "QUEUE", "KIND", "KEY", "TRY", "AGE", "SINCE", "ERROR"}, rows); err != nil {
		return err
	}
	if page.Next != "" {
		a.note("%d rows were looked at; there is more: --from %s", page.Searched, clean(page.Next))
	}
	return nil
}

// since is for how long a job has been as it is, or when it will not be any more.
func since(now time.Time, e *outbox.Entry) string {
	switch {
	case e.FinishedAt != nil:
		return ago(now, *e.FinishedAt)
	case e.State == ackbox.Sent && e.SentAt != nil:
		return ago(now, *e.SentAt)
	}
	return ago(now, e.DueAt)
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func (a *app) jobsShow() *cobra.Command {
	var payload bool
	cmd := &cobra.Command{
		Use: "show ID...", Short: "Show jobs whole, with what happened to them", Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, ids []string) error {
			s, err := a.store()
			if err != nil {
				return err
			}
			var entries []outbox.Entry
			for _, id := range ids {
				e, err := s.Get(cmd.Context(), id)
				if err != nil {
					return err
				}
				entries = append(entries, e)
			}
			if a.json {
				list := make([]jobJSON, 0, len(entries))
				for i := range entries {
					list = append(list, asJSON(&entries[i], payload))
				}
				return a.printJSON(list)
			}
			for i := range entries {
				if i > 0 {
					a.printf("\n")
				}
				a.showJob(&entries[i], payload)
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&payload, "payload", false, "the payload, too")
	return cmd
}
