// Package testenv gives tests a PostgreSQL database and a RabbitMQ vhost of
// their own, in servers that `make test` starts (or `make services-up`, which
// prints the variables to export).
//
// What a helper makes belongs to one test: it is made at the first call,
// returned again by further calls with the same testing.TB, and gone when the
// test has ended. A subtest is a test of its own. Helpers must be called from
// the test's goroutine.
//
// A missing server fails the test. No helper ever skips one: a test that did
// not run must not look like a test that passed.
package testenv
