// Package retry owns when things are tried again: the policies that space the
// tries ([Exponential], [Fixed], [Steps]), the errors by which a handler
// chooses its own course ([Permanent], [After], [Snooze]), and the [Sweeper],
// the cron sweeps that mend what no event will: refused jobs whose time has
// come, jobs lost between dispatcher and worker, rows past their retention.
//
// It promises that each sweep is one bounded and idempotent statement at a
// time, which any number of instances may run at once without a leader; that it
// goes on while more remains, each queue in its turn; and that a job which is merely waiting in a long queue, or running, is not taken
// for a lost one.
package retry
