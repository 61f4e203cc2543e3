//go:build unix

package main

// mutant is a way to break an invariant by a change of a few words, and the
// tests that must notice.
type mutant struct {
	invariant int
	name      string
	file      string // from the repository's root
	from, to  string // from occurs once in file
	tests     []suite
}

// suite are tests of one package.
type suite struct {
	pkg  string // from the repository's root
	test string
}

const (
	inRabbitMQ     = "internal/integration/rabbitmq"
	inRoot         = "."
	inMemory       = "internal/integration/memory"
	inOutbox       = "internal/integration/outbox"
	inFaults       = "internal/integration/faults"
	inDispatcher   = "dispatcher"
	inWorker       = "worker"
	inHandler      = "handler"
	inContent      = "internal/content"
	inUnitRabbitMQ = "rabbitmq"
	inRetry        = "retry"
	inUnitOutbox   = "outbox"
)

// general are those that have no file of their own.
var general = []mutant{
	{
		6, "believe in a batch before its commit", "outbox/relay.go",
		"\tif err := tx.Commit(); err != nil {\n\t\treturn len(jobs), fmt.Errorf(\"outbox: commit the batch",
		"\ts.wire.committed(batch)\n\tif err := tx.Commit(); err != nil {\n\t\treturn len(jobs), fmt.Errorf(\"outbox: commit the batch",
		[]suite{{inOutbox, "TestPostgres"}},
	},
	{
		6, "acknowledge what lies below a tag, settled or not", "rabbitmq/receipt.go",
		"return u.first == nil || r.original", "return u.first != nil || r.original",
		[]suite{{inUnitRabbitMQ, "TestAckAllAcknowledgesNothingElse"}},
	},
	{
		3, "ignore a return", "rabbitmq/publisher.go",
		"ok && m.mandatory {", "ok && m.mandatory && false {",
		[]suite{{inRabbitMQ, "TestReturnedAlthoughAcked"}},
	},
	{
		3, "publish what a restart of the broker forgets", "rabbitmq/message.go",
		"DeliveryMode: amqp.Persistent,\n\t\t\tMessageId:    job.ID", "DeliveryMode: amqp.Transient,\n\t\t\tMessageId:    job.ID",
		[]suite{{inUnitRabbitMQ, "TestJobMessage"}},
	},
	{
		3, "mark sent before the confirm", "rabbitmq/publisher.go",
		"case confirm.Acked():", "case confirm.Acked() || true:",
		[]suite{{inRabbitMQ, "TestNackedByFullQueue"}, {inRabbitMQ, "TestCutMidBatchIsUnknownAndHeals"}},
	},
	{
		3, "take unknown for sent", "dispatcher/dispatcher.go",
		"\t\tt.To = ackbox.Pending\n\t\tif outcome.Stalled", "\t\tt.To = ackbox.Sent\n\t\tif outcome.Stalled",
		[]suite{{inDispatcher, "TestUnknownStaysPendingUncharged"}},
	},
	{
		3, "take unknown for refused", "dispatcher/dispatcher.go",
		"\t\tt.To = ackbox.Pending\n\t\tif outcome.Stalled", "\t\tt.To = ackbox.Nacked\n\t\tif outcome.Stalled",
		[]suite{{inDispatcher, "TestUnknownStaysPendingUncharged"}},
	},
	{
		2, "enqueue outside of a transaction", "outbox/transaction.go",
		"\treturn nil, ErrNotInTransaction\n}\n\n// ours refuses", "\treturn tx.Statement.ConnPool, nil\n}\n\n// ours refuses",
		[]suite{{inOutbox, "TestSQLiteOneConnection"}},
	},
	{
		2, "enqueue into another database", "outbox/transaction.go",
		"case theirs != own:", "case theirs == \"\":",
		[]suite{{inOutbox, "TestOtherDatabase"}},
	},
	{
		2, "take any *sql.Tx for one of the Store's pool", "outbox/transaction.go",
		"ok && poolOf(tx) == reflect.ValueOf(s.pool.DB).Pointer()", "ok && poolOf(tx) != 0",
		[]suite{{inOutbox, "TestOtherDatabase"}},
	},
	{
		4, "claim while the broker is away", "dispatcher/dispatcher.go",
		"err := d.broker.Ready(ctx)\n", "err := ctx.Err()\n",
		[]suite{{inDispatcher, "TestNothingIsClaimedWhileTheBrokerIsAway"}},
	},
	{
		5, "complete a job that is finished already", "outbox/statements.go",
		"WHERE id = {id ?} AND attempt = ? AND {unfinished} RETURNING {micros finished_at}`)\n\ts.giveUp", "WHERE id = {id ?} AND attempt = ? RETURNING {micros finished_at}`)\n\ts.giveUp",
		[]suite{{inOutbox, "TestSQLiteOneConnection"}},
	},
	{
		7, "resend what waits in its queue", "retry/lost.go",
		"case waiting == 0:", "case waiting >= 0:",
		[]suite{{inRetry, "TestResend"}},
	},
	{
		7, "resend what was seen a moment ago", "outbox/sweepsql.go",
		"AND holder IS NULL AND seen_at < {time ?} AND `+aged(\"seen_at\")", "AND holder IS NULL AND sent_at < {time ?} AND `+aged(\"sent_at\")",
		[]suite{{inOutbox, "TestSQLiteOneConnection"}},
	},
	{
		8, "let full batches of one queue keep every lane", "dispatcher/dispatcher.go",
		"leave = d.crowd.enter(jobs)", "_ = d.crowd.enter",
		[]suite{{inDispatcher, "TestQuietQueueBesideFullLanes"}},
	},
	{
		7, "tell how far a queue has come by what others have finished", "outbox/sweepsql.go",
		"t.queue = q.queue AND t.finished_at > {before ?}\n\t\tORDER BY t.queue DESC, ", "t.finished_at > {before ?}\n\t\tORDER BY ",
		[]suite{{inOutbox, "TestAgesBesideABusyQueue"}},
	},
	{
		8, "end a sweep although more remains", "retry/rounds.go",
		"if remain == 0 || n == 0 {", "if remain >= 0 {",
		[]suite{{inRetry, "TestSweepsGoOnWhileFull"}},
	},
	{
		10, "have a sweep read over all dead entries, or nothing", "outbox/walk.go",
		"return timedOut(err) && ctx.Err()", "return false && timedOut(err) && ctx.Err()",
		[]suite{{inOutbox, "TestSweepsBesideALongTransaction"}},
	},
	{
		1, "keep sessions that can only read", "outbox/pool.go",
		"if sqlState(err) != readOnlyState {", "if sqlState(err) != readOnlyState || true {",
		[]suite{{inOutbox, "TestReadOnlySessionsAreThrownAway"}},
	},
	{
		7, "take an outage of the ledger for the silence of workers", "retry/lost.go",
		"\t\ts.beginAnew()\n\t\treturn nil, err", "\t\treturn nil, err",
		[]suite{{inRetry, "TestResend"}},
	},
	{
		8, "call FailAction without its arguments", "handler/typed.go",
		"return fmt.Errorf(\"%w: %w\", registry.ErrNotCalled, err)", "_ = registry.ErrNotCalled",
		[]suite{{inHandler, "TestDecodeErrorKeepsThePayloadToItself"}},
	},
	{
		8, "accept a FailAction that would not be called", "handler/failaction.go",
		"found.Type() != want", "found.Type() != want && false",
		[]suite{{inHandler, "TestRegistryReportsMistakes"}},
	},
	{
		8, "keep FailAction from middleware", "handler/guard.go",
		"}, middleware)", "}, nil)",
		[]suite{{inHandler, "TestMiddlewareOrder"}},
	},
	{
		8, "claim the jobs of a stalled queue first again and again", "dispatcher/dispatcher.go",
		"t.After = min(max(0, d.cfg.Backoff.Next(job.Resend+1)), maxStall)", "_ = maxStall",
		[]suite{{inDispatcher, "TestStalledIsPutOff"}},
	},
	{
		8, "throw a connection away because of one stalled queue", "rabbitmq/lanes.go",
		"c.g.stuck.Load() > maxStuck || !c.g.answers(c.outer)", "c.g.stuck.Load() >= 0 || !c.g.answers(c.outer)",
		[]suite{{inFaults, "TestOneQueueStalls"}},
	},
	{
		8, "accept a header that the broker acts on", "outbox/headers.go",
		"case actedOn(header):", "case actedOn(header) && false:",
		[]suite{{inOutbox, "TestSQLiteOneConnection"}, {inRabbitMQ, "TestHeadersTheBrokerActsOn"}},
	},
	{
		8, "let one queue that cannot be declared stop all", "rabbitmq/publish.go",
		"err := d.trouble(c.needs(i)); err != nil", "err := d.trouble(d.all); err != nil",
		[]suite{{inRabbitMQ, "TestDriftStopsOneQueue"}},
	},
	{
		8, "kill a connection for a call that the broker does not answer", "rabbitmq/within.go",
		"g.stuck.Add(1) > maxStuck", "g.stuck.Add(1) > 0",
		[]suite{{inRabbitMQ, "TestSilentQueues"}},
	},
	{
		8, "subscribe to a queue that does not answer", "rabbitmq/consume.go",
		"err = b.answersFor(ctx, queue); err == nil {", "err = b.answersFor(ctx, queue); err == nil || true {",
		[]suite{{inRabbitMQ, "TestSilentQueues"}},
	},
	{
		7, "take a queue that cannot answer for an empty one", "rabbitmq/waiting.go",
		"\treturn 0, core.ErrUnsure\n}\n\n// isInDoubt", "\treturn 0, nil\n}\n\n// isInDoubt",
		[]suite{{inRabbitMQ, "TestSilentQueues"}},
	},
	{
		7, "take a queue whose node is down for a deleted one", "rabbitmq/errors.go",
		"e.Code == amqp.NotFound && strings.Contains", "e.Code == amqp.NotFound || strings.Contains",
		[]suite{{inUnitRabbitMQ, "TestDeletedIsNotDown"}},
	},
	{
		8, "put the jobs of a stalled queue off by their routes", "rabbitmq/stall.go",
		"if job.Queue != \"\" {", "if job.Queue != \"\" && job.Exchange == \"\" {",
		[]suite{{inUnitRabbitMQ, "TestStallsAreKeptByQueue"}},
	},
	{
		8, "wait for each new routing key of a silent exchange", "rabbitmq/stall.go",
		"x.keys >= maxStalledKeys", "x.keys >= 1_000*maxStalledKeys",
		[]suite{{inUnitRabbitMQ, "TestStallsOfOneExchange"}},
	},
	{
		8, "throw a connection away because it has too few channels", "rabbitmq/within.go",
		"if !errors.Is(err, amqp.ErrChannelMax) {", "if err != nil {",
		[]suite{{inRabbitMQ, "TestNegotiatedLimits"}},
	},
	{
		8, "let the broker refuse a header that it routes by", "rabbitmq/message.go",
		"if special(name) {", "if special(name) && false {",
		[]suite{{inRabbitMQ, "TestBadMessagesDoNotStopTheirNeighbours"}},
	},
	{
		4, "wait before another node is tried", "rabbitmq/slot.go",
		"if s.hops < len(s.nodes.targets)-1 {", "if s.hops < 0 {",
		[]suite{{inRabbitMQ, "TestNextNodeIsTaken"}},
	},
	{
		9, "change a row whatever its try", "outbox/statements.go",
		"ON r.id = t.id AND r.attempt = t.attempt AND (coalesce", "ON r.id = t.id AND (coalesce",
		[]suite{{inOutbox, "TestSQLiteOneConnection"}},
	},
	{
		8, "claim the oldest jobs, whatever their queue", "outbox/claimsql.go",
		"?::bigint / count(*) OVER () + (row_number()", "?::bigint + 0 * count(*) OVER () + (row_number()",
		[]suite{{inOutbox, "TestQuietQueueBesideABacklog"}},
	},
	{
		8, "claim what the broker has no queue for", "outbox/queues.go",
		"slices.Contains(except, name)", "false",
		[]suite{{inOutbox, "TestExceptIsPassedOver"}},
	},
	{
		8, "begin each claim with the same queue", "outbox/queues.go",
		"q.last = name", "_ = name",
		[]suite{{inOutbox, "TestEveryQueueIsServed"}},
	},
	{
		8, "never look for queues that nobody named", "outbox/queues.go",
		"\ts.queues.learn(found)", "\t_ = found",
		[]suite{{inOutbox, "TestNewQueueIsFound"}},
	},
	{
		4, "write rows of a queue that takes nothing", "dispatcher/dispatcher.go",
		"if outcome.Unpublished && (", "if false && (",
		[]suite{{inDispatcher, "TestUnavailableQueueIsLeftAlone"}},
	},
	{
		10, "look again at once for what was left as it is", "dispatcher/dispatcher.go",
		"case a.left == n:", "case a.left < 0:",
		[]suite{{inDispatcher, "TestUnpublishedIsNoHotLoop"}},
	},
	{
		10, "fetch all payloads of a batch", "outbox/batch.go",
		"string(list), max(1, bytes))", "string(list), 1<<40)",
		[]suite{{inOutbox, "TestBatchBytes"}},
	},
	{
		10, "claim as much after a deadline as before", "outbox/size.go",
		"z.rows, z.bytes = max(1, rows/2), max(1, bytes/2)", "z.rows, z.bytes = rows, bytes",
		[]suite{{inUnitOutbox, "TestSize"}},
	},
	{
		10, "write all payloads in one statement", "outbox/enqueue.go",
		"payloadOf(drafts[:1<<size]) > maxInsert", "payloadOf(drafts[:1<<size]) < 0",
		[]suite{{inOutbox, "TestEnqueueAllSplitsByBytes"}},
	},
	{
		9, "let a frozen reader hold its rows for ever", "outbox/claim.go",
		"unread := max(s.cfg.StatementTimeout, time.Second)", "unread := time.Hour",
		[]suite{{inOutbox, "TestFrozenWhileReadingAClaim"}},
	},
	{
		9, "read all that is dead in each claim", "outbox/front.go",
		"\tcase timedOut(l.err):", "\tcase false:",
		[]suite{{inUnitOutbox, "TestFrontAfterADeadline"}},
	},
	{
		9, "let a frozen dispatcher hold its rows for ever", "outbox/claim.go",
		"idle := s.cfg.WireTimeout + s.cfg.StatementTimeout", "idle := 1000 * s.cfg.WireTimeout",
		[]suite{{inOutbox, "TestFrozenDispatcher"}},
	},
	{
		8, "read a large default partition while everybody is kept from it", "outbox/partitions.go",
		"case needs:", "case needs && false:",
		[]suite{{inOutbox, "TestPartitionsAreMadeBesideALargeDefault"}},
	},
	{
		8, "leave the CHECK of a process that died, which refuses jobs", "outbox/partitions.go",
		"if err := s.uncheck(ctx); err != nil {", "if err := ctx.Err(); err != nil {",
		[]suite{{inOutbox, "TestPartitionsCheckIsTakenBack"}},
	},
	{
		8, "take a row that is missing for one that has moved on", "outbox/verdict.go",
		"case !ok:\n\t\t\tverdicts[i] = core.Missing", "case !ok:\n\t\t\tverdicts[i] = core.Stale",
		[]suite{{inOutbox, "TestSQLiteOneConnection"}},
	},
	{
		5, "run a copy that was put aside without asking the ledger", "rabbitmq/message.go",
		"ackbox.HeaderStrays: d.Strays,", "ackbox.HeaderStrays: 0 * d.Strays,",
		[]suite{{inRabbitMQ, "TestConformance"}},
	},
	{
		1, "drop a partition with a pending job in it", "outbox/partitiondrop.go",
		"WHERE state = 'pending'", "WHERE state = 'pending' AND due_at <= now()",
		[]suite{{inOutbox, "TestDropPartitions"}},
	},
	{
		1, "drop a partition with a dead job in it", "outbox/partitiondrop.go",
		"WHERE state = 'dead'", "WHERE state = 'dead' AND false",
		[]suite{{inOutbox, "TestDropPartitions"}},
	},
	{
		1, "drop a partition by what was there before its locks were had", "outbox/partitions.go",
		"sql.LevelReadCommitted", "sql.LevelRepeatableRead",
		[]suite{{inOutbox, "TestDropSeesWhatItWaitedFor"}},
	},
	{
		9, "wait for a partition's locks without an end", "outbox/partitions.go",
		"set_config('lock_timeout', $1, true)", "$1",
		[]suite{{inOutbox, "TestDropWaitsForNobody"}},
	},
}
