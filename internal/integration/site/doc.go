// Package site is the ground on which the shop stands and that gives way under
// it: a PostgreSQL and a RabbitMQ of its own, a proxy before each, a PgBouncer,
// and the shop's processes.
//
// Everything here returns errors and waits for what it did to be done; it is
// used by tests and by the torture run alike. A Site is for one goroutine at a
// time, its proxies and processes for any.
package site
