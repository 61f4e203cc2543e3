// Package handler owns how Go code is called for a job: the [Handler]
// interface, handlers typed by their arguments ([Typed]), the [Registry] that
// finds the handler of a kind, and [Middleware] around Consume.
//
// It promises that a panic of a handler or of middleware never leaves it (it
// becomes a [PanicError] with its stack), that a payload which does not decode into a handler's arguments
// never reaches Consume (it becomes a [DecodeError], which no retry can mend),
// and that every mistake in registering is reported by [Registry.Err], which
// worker.New asks.
//
// It knows neither brokers nor databases and starts no goroutine.
package handler
