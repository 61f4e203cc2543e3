package retry_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ackbox/ackbox/internal/core"
	"github.com/ackbox/ackbox/retry"
)

// A handler's error chooses the job's course.
func Example() {
	charge := func(status int) error {
		switch status {
		case 402:
			return retry.Permanent(errors.New("card refused")) // straight to FailAction
		case 429:
			return retry.After(errors.New("too many requests"), time.Minute) // a try, but later
		case 503:
			return retry.Snooze(time.Hour) // too early: no try used up
		}
		return fmt.Errorf("status %d", status) // by the backoff policy
	}
	for _, status := range []int{402, 429, 503, 500} {
		err := charge(status)
		course, wait := retry.CourseOf(err)
		fmt.Println(err, course == retry.GiveUp, course == retry.Later, wait)
	}
	// Output:
	// card refused true false 0s
	// too many requests false false 1m0s
	// snoozed false true 1h0m0s
	// status 500 false false 0s
}

func ExampleExponential() {
	policy, err := retry.Exponential(time.Second, time.Minute, 0)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, attempt := range []int{1, 2, 3, 10, 1_000_000} {
		fmt.Println(attempt, policy.Next(attempt))
	}
	_, err = retry.Exponential(time.Second, time.Minute, 20)
	fmt.Println(err)
	// Output:
	// 1 1s
	// 2 2s
	// 3 4s
	// 10 1m0s
	// 1000000 1m0s
	// retry: Exponential: jitter is 20: want 0 to 1
}

// emptyLedger stands for an *outbox.Store.
type emptyLedger struct{}

func (emptyLedger) NackedQueues(context.Context) ([]string, error) { return []string{"mail"}, nil }

func (emptyLedger) FinishedQueues(context.Context) ([]string, error) {
	return []string{"default", "mail"}, nil
}

func (emptyLedger) Rearm(context.Context, string, int) (int, error) { return 2, nil }

func (emptyLedger) Purge(context.Context, string, time.Duration, int) (int, error) { return 20, nil }

func (emptyLedger) PurgeDead(context.Context, time.Duration, int) (int, error) { return 0, nil }

func (emptyLedger) CarryOn(context.Context, int) (int, bool, error) { return 0, false, nil }

func (emptyLedger) PurgeOperations(context.Context, time.Duration, int) (int, error) { return 0, nil }

func (emptyLedger) PurgeInbox(context.Context, time.Duration, int) (int, error) { return 0, nil }

func (emptyLedger) PurgeStats(context.Context, time.Duration, time.Duration, int) (int, error) {
	return 0, nil
}

func (emptyLedger) Ages(context.Context) ([]core.QueueAge, error) { return nil, nil }

func (emptyLedger) Resend(context.Context, string, time.Time, time.Duration, int) (int, error) {
	return 0, nil
}

func (emptyLedger) Beat(context.Context, core.Instance) (core.Census, error) {
	return core.Census{}, nil
}

func (emptyLedger) Leave(context.Context, string) error { return nil }

func (emptyLedger) TakeBack(context.Context, int) (int, error) { return 0, nil }

func (emptyLedger) Unattended(context.Context) ([]core.Unattended, error) { return nil, nil }

// Run a Sweeper beside dispatcher and worker, in every instance; or sweep by
// hand, as here.
func ExampleSweeper() {
	queues := waiting(func(string) (int, error) { return 0, nil }) // a *rabbitmq.Broker
	sweeper, err := retry.NewSweeper(emptyLedger{}, queues, retry.Config{
		Resend:    "@every 1m",
		Purge:     "30 3 * * *", // at half past three
		Retention: 24 * time.Hour,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	for _, sweep := range []func(context.Context) (int, error){sweeper.Rearm, sweeper.Resend, sweeper.Purge} {
		fmt.Println(sweep(ctx))
	}
	// Output:
	// 2 <nil>
	// 0 <nil>
	// 40 <nil>
}
