// Package services finds the PostgreSQL and the RabbitMQ that tests run
// against, starts private instances where none is given, and stops exactly
// those again.
//
// Each server is looked for on its own, in this order: a URL in the
// environment; programs on this machine; a Docker engine that answers; Debian's
// package, installed if we are root. Whatever is started keeps its data and
// its log in a git-ignored folder of the repository (or, where PostgreSQL's
// account cannot reach that, among the temporary files) and is recorded in
// state.json there before anything else happens to it.
package services
