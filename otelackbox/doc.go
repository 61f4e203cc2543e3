// Package otelackbox tells OpenTelemetry what happens to jobs: metrics of every step, and
// one trace from the request that enqueued a job to the handler that ran it. It is a module
// of its own, so that nobody else has its dependencies.
//
//	tel, err := otelackbox.New(otelackbox.Config{}) // the global providers
//	…
//	store, err := outbox.NewStore(db, outbox.Config{HeadersFrom: tel.HeadersFrom, Hooks: []ackbox.Hook{tel}})
//	d, err := dispatcher.New(store, mq, dispatcher.Config{Hooks: []ackbox.Hook{tel}})
//	reg.Use(tel.Middleware)
//	w, err := worker.New(store, mq, reg, worker.Config{Hooks: []ackbox.Hook{tel}})
//	stop, err := tel.Watch(otelackbox.Parts{Queues: store, Workers: …, Checks: …})
//
// Each line may be left out; what it would tell is missing then. docs/observability.md
// lists every metric and span.
//
// # Traces
//
// Enqueue makes a span "create", whose id goes into the row as a traceparent. The span of
// each publish ("send") and of each run ("process") is a child of it, in whichever process
// it is made, today or in a week. A run after a failed one links to that one where both
// were in the same process, and is told by its ackbox.job.attempt anywhere. A message
// without a row continues the trace of whoever published it.
//
// A span's attributes hold ids, kinds, keys and queues, and an error's text where a call
// failed; never payloads or headers.
//
// # Metrics
//
// Names and attributes are those of OpenTelemetry's semantic conventions where they have a
// word for it, and begin with "ackbox." elsewhere. Durations are in seconds. No attribute
// takes more values than an application has kinds and queues: of kinds that strangers choose
// there are at most Config.MaxKinds.
package otelackbox
