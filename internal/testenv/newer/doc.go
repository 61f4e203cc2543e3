// Package newer runs commands inside a root folder of Debian's next release, with
// that release's PostgreSQL, RabbitMQ and PgBouncer, on a machine that has older
// ones.
//
// From outside it would not do: many tests start nodes of their own, from the
// programs that they find. So the whole run moves in, into namespaces of its own:
// mounts, processes and a network that has nothing but loopback. All three end with
// the run, whatever becomes of it: nothing has to be unmounted, and no process can
// be left. The checkout is seen read-only, with a .services folder of its own.
//
// It takes Linux and root, and Debian's mirror the first time; debootstrap is
// installed if it is missing.
package newer
