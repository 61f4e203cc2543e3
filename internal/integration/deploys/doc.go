// Package deploys lets the shop run while its workers are deployed anew, again
// and again, and then compares what the ledger has charged with what the handlers
// have written down.
//
// Every 20 s one of four worker processes, in turn, gets a successor: half of the
// time it is told to stop (SIGTERM), half of the time it is killed. 100 jobs come
// each second; one in a hundred runs longer than most processes live, one in a
// hundred fails its first tries. Most of those told to stop have the time to end
// what they run, the others interrupt it.
//
// The books are the handlers' own ([shop.Config].Accounts): each run says when it
// began, when it ended and how; those of a killed process ended when it was
// killed. From them follow
//
//   - the tries that had to be charged: those of which a run failed, and those that
//     were cut short as often as worker.Config.MaxStarts allows (a long job that is
//     killed by chance each time looks like one that kills). A try counts
//     once, however many of its runs failed: a process that is killed when its
//     handler has failed, and the ledger does not know yet, takes that knowledge
//     with it, and the try runs again;
//   - overlaps: two runs of one job at the same time;
//   - what was lost, and what had its effect twice ([shop.Take]).
//
// Dispatcher and sweeper are one process that is never restarted. What happens when
// they die is another question (package torture and the fault matrix ask it); here
// they are the witness without whom the ledger counts nobody as dead, and no worker
// lives long enough to be one when the times are scaled down.
package deploys
