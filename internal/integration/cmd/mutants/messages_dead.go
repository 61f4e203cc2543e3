//go:build unix

package main

// sifted are those of the dead queues that are looked into.
var sifted = []mutant{
	{
		1, "muddle what a look gives back", "rabbitmq/giveback.go",
		"flock = 32", "flock = 1000",
		[]suite{{inRabbitMQ, "TestDeadKeepsItsOrder"}},
	},
	{
		1, "have the closing of a channel give it back", "rabbitmq/browse.go",
		"defer br.close(ctx)", "defer br.g.hangUp(br.ch)",
		[]suite{{inRabbitMQ, "TestDeadKeepsItsOrder"}},
	},
	{
		1, "spend what others' dead queue bears", "rabbitmq/browser.go",
		"br.bears = min(br.bears, filter.DeliveryLimit/2)", "_ = filter.DeliveryLimit",
		[]suite{{inRabbitMQ, "TestDeadOfOthersWithALimit"}},
	},
	{
		8, "put a dead message on the wire that fits no frame", "rabbitmq/browser.go",
		"size > limit {", "size > 2*limit {",
		[]suite{{inRabbitMQ, "TestDeadMessageThatDoesNotFit"}},
	},
	{
		8, "stop at the first dead message that cannot be moved", "rabbitmq/browse.go",
		"if errors.Is(err, errOfMessage) {", "if errors.Is(err, errOfMessage) && ctx.Err() != nil {",
		[]suite{{inRabbitMQ, "TestDeadMessageThatDoesNotFit"}},
	},
	{
		1, "let go of a dead message before its copy is confirmed", "rabbitmq/requeue.go",
		"if err := br.place(ctx, queue, revived(queue, d)); err != nil {", "if err := errors.Join(br.forget(ctx, d), br.place(ctx, queue, revived(queue, d))); err != nil {",
		[]suite{{inRabbitMQ, "TestDeadMessageThatDoesNotFit"}},
	},
	{
		1, "take the broker's notes for a copy's way", "rabbitmq/dead.go",
		"[ackbox.HeaderExchange].(string); known {", "[ackbox.HeaderExchange].(string); known && false {",
		[]suite{{inRabbitMQ, "TestDeadWayOfACopy"}},
	},
	{
		1, "delete from another work queue", "rabbitmq/browse.go",
		"slices.Contains(b.Queues(), filter.In)", "slices.Contains([]string{queue}, filter.In)",
		[]suite{{inRabbitMQ, "TestDeadInAWorkQueue"}},
	},
	{
		1, "take a zero time in another zone for a choice", "dead.go",
		"f.DiedAfter.IsZero() && f.DiedBefore.IsZero() {", "f.DiedAfter == (time.Time{}) && f.DiedBefore == (time.Time{}) {",
		[]suite{{inRoot, "TestDeadFilterDeletes"}},
	},
	{
		1, "requeue what the filter does not choose", "memory/dead.go",
		"if err == nil && filter.Match(dead) {", "if err == nil {",
		[]suite{{inMemory, "TestConformance/DeadIsMoved"}},
	},
}
