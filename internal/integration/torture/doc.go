// Package torture lets the shop run while everything under it is broken at
// random, and then balances its books.
//
// Producers commit and roll back orders, two dispatcher and two worker
// processes run (one of each behind PgBouncer), and every few seconds something strikes: a server is killed,
// frozen, wiped or restarted, a network is cut or goes silent, a process dies at
// a named moment. Which strikes come, in which order and how hard is decided by
// the seed before anything starts, so a seed replays its schedule. When the time
// is up everything is mended, the shop comes to rest, and [shop.Take] reads from
// the database alone what was lost, invented or done twice.
//
// A strike is over when its function returns: what it broke is mended by then.
package torture
