// Command bench measures Ackbox beside what the machine can do and beside its
// peers, in the same run, in turns, over several rounds:
//
//	make bench ARGS='[-quick] [-case NAME,...] [-rounds N] [-json] [-cpuprofile DIR]'
//
// Two more modes measure Ackbox alone: how it holds with millions of rows, and how
// rates change with each setting, of which pictures can be drawn.
//
//	make bench ARGS='-scale [-rows N] [-steady DURATION] [-scale-step NAME,...]'
//	make bench ARGS='-grow [-quick] [-rounds N] [-case NAME,...]'
//	make bench ARGS='-plot DIR -from FILE'
//
// It is a module of its own, outside go.work: River asks for a newer Go than we do.
// The servers are those of ACKBOX_TEST_DATABASE_URL, ACKBOX_TEST_AMQP_URL and
// ACKBOX_TEST_RABBITMQ_API, or those that `make services-up` left running. Every
// side of every round gets a database and a vhost of its own, which are dropped
// afterwards.
//
// docs/performance.md says how to read the table, and has one.
package main
