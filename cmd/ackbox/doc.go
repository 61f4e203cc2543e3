// Command ackbox is what people on call have beside the dashboard: it looks at jobs, queues
// and servers, and mends what is not well.
//
//	ackbox migrate up|status|sql       the jobs table and those beside it
//	ackbox stats                       what happened, by minute or hour
//	ackbox jobs list|show              jobs, and one with its history
//	ackbox jobs requeue|cancel|run-now|delete
//	                                   some by their ids, or all that match a filter
//	ackbox queues list|pause|resume    how queues stand, over all instances
//	ackbox dead list|requeue           the broker's dead queues
//	ackbox operations list|show|stop   what people did to many jobs at once
//	ackbox verify                      compares ledger and broker; changes nothing
//	ackbox doctor                      examines both servers, says what to do; changes nothing
//	ackbox top                         a table that lives
//	ackbox completion bash|zsh|fish    for the shell
//
// The servers are those of DATABASE_URL (PostgreSQL) and AMQP_URL (RabbitMQ; several nodes
// with commas between them), or of the flags of those names. Give them by the environment: a
// flag is seen by everybody who may list processes. No password is ever printed, and neither
// are payloads, but by "jobs show --payload".
//
// Everything that prints a table prints JSON with --json. What is written to jobs is recorded
// with a name, that of --as, which is user@host unless set.
//
// Exit codes:
//
//	0  done, and all is well
//	1  it could not be done: a server is away, or has refused
//	2  the command is wrong: nothing was tried
//	3  done, and something is not well: doctor, verify, migrate status
//	4  what was named, or matched, is not there: nothing was changed
//	130  interrupted; what was begun as an operation goes on, see "ackbox operations"
package main
