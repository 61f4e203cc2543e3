//go:build unix

package main

// carrying are those of what the dispatcher and the sweeper promise about refusals and
// about the dead.
var carrying = []mutant{
	{
		8, "publish a full queue's jobs without end", "dispatcher/refusing.go",
		"r.queues[queue] = refusal{pause: pause, until: now.Add(pause)}", "r.queues[queue] = refusal{pause: pause, until: now}",
		[]suite{{"dispatcher", "TestQueueThatRefusesIsLeftAlone"}},
	},
	{
		8, "leave a queue alone for one message that nobody would take", "dispatcher/refusing.go",
		"if !outcomes[i].OfMessage {", "if true {",
		[]suite{{"dispatcher", "TestMessageThatIsRefusedPausesNothing"}},
	},
	{
		1, "give up a refused job without its FailAction", "dispatcher/dispatcher.go",
		"t.To = ackbox.Refused", "t.To = ackbox.Dead",
		[]suite{{"dispatcher", "TestOutcomesBecomeTransitions"}},
	},
	{
		1, "leave with a dead instance what it had in hand", "retry/presence.go",
		"n, err := p.store.TakeBack(ctx, p.cfg.Batch)", "n, err := 0, error(nil)",
		[]suite{{"retry", "TestSweeperTakesBack"}},
	},
	{
		1, "say nothing of jobs that nobody takes", "retry/presence.go",
		"time.Since(p.looked) >= unattendedInterval", "time.Since(p.looked) >= 1000*unattendedInterval",
		[]suite{{"retry", "TestUnattendedQueuesAreTold"}},
	},
	{
		7, "stay silent about what is in hand after an outage", "worker/heartbeat.go",
		"heard.After >= core.Silence", "heard.After >= 1000*core.Silence",
		[]suite{{"worker", "TestHeldAnewAfterSilence"}},
	},
	{
		9, "forget the tries before a requeue on the way", "rabbitmq/message.go",
		"AttemptsBefore: count(d.Headers[ackbox.HeaderAttemptsBefore]),", "AttemptsBefore: 0,",
		[]suite{{inRabbitMQ, "TestConformance"}},
	},
}
