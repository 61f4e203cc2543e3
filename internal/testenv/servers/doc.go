// Package servers runs PostgreSQL, RabbitMQ and PgBouncer nodes for tests:
// private ones, on loopback ports and in a folder of their own, from binaries
// found on the machine. It never touches a node that it did not start.
//
// A [Postgres], [RabbitMQ] or [PgBouncer] is made with its ports and its folder,
// which it keeps over Stop, Kill and Start, so that a test may cut a node down,
// freeze it, wipe its disk and start it again at the same address. Nothing stops a
// node by itself: whoever starts one stops it.
//
// A node is for one goroutine at a time. It is a plain value that can be
// saved as JSON and used by another process later, to stop what a first one
// started.
package servers
