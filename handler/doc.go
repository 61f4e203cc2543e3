// Package handler owns how Go code is called for a job: the [Handler] interface,
// handlers and functions typed by their arguments ([Typed], [RegisterFunc]), the
// [Registry] of the kinds that an application can handle, and [Middleware] around
// every call.
//
// A handler needs one method, Consume. A second one, FailAction, may be left out: it
// is called once a job is given up.
//
// It promises that a panic of a handler or of middleware never leaves it (it becomes a
// [PanicError] with its stack), that a typed handler is never called without its
// arguments (a payload that does not decode into them is a [DecodeError], a failure
// like any other), and that every mistake in registering is reported by
// [Registry.Err], which worker.New asks.
//
// Payloads are JSON. Of messages that others publish, a content-encoding of gzip is undone
// for every handler (up to 64 MiB), and [Registry.Decode] or [WithDecoder] name decoders
// for other content types. [Strict] refuses JSON with fields that the arguments do not
// have. [FromReceiver] takes over receivers of the older form, Consumer(body) and
// FailAction(cause, body), as they are.
//
// It knows neither brokers nor databases and starts no goroutine.
package handler
