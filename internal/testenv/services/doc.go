// Package services finds the PostgreSQL and the RabbitMQ that tests run
// against, starts private instances where none is given, and stops exactly
// those again.
//
// Fault tests start nodes of their own, and others look at pages. So the programs of
// PostgreSQL, RabbitMQ and PgBouncer, and Chromium, are needed on this machine in any
// case; Debian's packages of those that are missing are installed if we are root, and
// if not, that is said.
//
// Then each server is looked for on its own, in this order: a URL in the
// environment; programs on this machine; a Docker engine that answers. Whatever is started keeps its data and
// its log in a git-ignored folder of the repository (or, where PostgreSQL's
// account cannot reach that, among the temporary files) and is recorded in
// state.json there before anything else happens to it.
package services
