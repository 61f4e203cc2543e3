// Package storetest is the conformance suite of package outbox: what business
// code, dispatcher, worker, sweeps and operators rely on, checked in the same
// words on every database and on every way to open it.
//
// No test waits for time to pass: where a job must be due, or old, its row is
// moved in time.
package storetest

import (
	"context"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/ackbox/ackbox/outbox"
)

// deadline bounds every single test of the suite. It is generous: it passes
// only if something hangs.
const deadline = 3 * time.Minute

// Factory returns a database of the test's own that holds nothing yet, and
// closes it when the test has ended. It fails the test if it cannot.
type Factory func(t *testing.T) *gorm.DB

// Run runs the suite on the databases that factory makes, one for each subtest.
// base is the Config of every Store: its Schema, Table and Partitioned are kept.
func Run(t *testing.T, factory Factory, base outbox.Config) {
	tests := []struct {
		name string
		run  func(*env)
	}{
		{"Migrate/Twice", migrateTwice},
		{"Migrate/AtOnce", migrateAtOnce},
		{"Migrate/ByHand", migrateByHand},
		{"Migrate/Refused", migrateRefused},
		{"Migrate/Check", checkRefusesImpossibleRows},
		{"Migrate/Identity", identities},
		{"Migrate/EditedRows", editedRows},
		{"Config", badConfig},
		{"Enqueue/CommitAndRollback", commitAndRollback},
		{"Enqueue/Savepoints", savepoints},
		{"Enqueue/Hook", hook},
		{"Enqueue/NotInTransaction", notInTransaction},
		{"Enqueue/OwnTransaction", ownTransaction},
		{"Enqueue/NoStore", noStore},
		{"Enqueue/TwoStores", twoStores},
		{"Enqueue/BadInput", badInput},
		{"Enqueue/Many", many},
		{"Enqueue/SameIDTwice", sameIDTwice},
		{"Enqueue/SQLTx", sqlTx},
		{"Enqueue/RoundTrip", roundTrip},
		{"Enqueue/HeadersFrom", headersFrom},
		{"Enqueue/Hooks", enqueueHooks},
		{"Enqueue/Wake", wake},
		{"Enqueue/Key", key},
		{"Enqueue/Concurrently", concurrently},
		{"Relay/Due", due},
		{"Relay/Waited", relayWaited},
		{"Relay/OrderAndLimit", orderAndLimit},
		{"Relay/Fair", relayFair},
		{"Relay/Except", relayExcept},
		{"Relay/LeftAsItIs", relayLeft},
		{"Relay/Bytes", relayBytes},
		{"Relay/Outcomes", relayOutcomes},
		{"Relay/Event", event},
		{"Relay/Misplaced", misplaced},
		{"Relay/Cancelled", relayCancelled},
		{"Relay/Panic", relayPanics},
		{"Relay/FastWorker", fastWorker},
		{"Relay/OldCopy", answerForOldCopy},
		{"Relay/DoneOnWire", doneOnWire},
		{"Relay/DoneOnLostWire", doneOnLostWire},
		{"Relay/DoneOnRefusedWire", doneOnRefusedWire},
		{"Relay/DoneOnBrokenWire", doneOnBrokenWire},
		{"Relay/AtOnce", relaysAtOnce},
		{"Finish/MatrixSingly", finishSingly},
		{"Finish/MatrixTogether", finishTogether},
		{"Finish/Duplicates", finishDuplicates},
		{"Finish/Foreign", finishForeign},
		{"Finish/Many", finishMany},
		{"Finish/Errors", finishErrors},
		{"Finish/Cancelled", finishCancelled},
		{"Finish/Holder", finishByHolder},
		{"Finish/Starts", finishCountsStarts},
		{"Finish/Refusals", finishRefusals},
		{"History", history},
		{"History/Roads", historyOfRoads},
		{"History/Edited", historyEdited},
		{"Start", start},
		{"Start/Holder", startByHolder},
		{"Start/Again", startAgain},
		{"Hold", hold},
		{"Hold/Holder", holdByHolder},
		{"Reconcile", reconcile},
		{"Refused", refused},
		{"Claim/Held", claimLeavesOutHeld},
		{"Claim/Fields", claimFields},
		{"Instances/Beat", beats},
		{"Instances/Leave", leave},
		{"Instances/List", instanceList},
		{"Instances/NotBreathing", notBreathing},
		{"Stats/Relay", statsOfRelay},
		{"Stats/OldJobs", statsOfOldJobs},
		{"Stats/Runs", statsOfRuns},
		{"Stats/ManyKinds", statsOfManyKinds},
		{"Stats/AtOnce", statsAtOnce},
		{"Stats/Purge", statsPurge},
		{"Stats/Refused", statsRefused},
		{"TakeBack", takeBack},
		{"TakeBack/Outage", outageKillsNobody},
		{"Unattended", unattended},
		{"Balances", balances},
		{"NotMigrated", notMigrated},
		{"Rearm", rearm},
		{"Ages", ages},
		{"Resend", resend},
		{"Purge", purge},
		{"Limits", limits},
		{"Get", get},
		{"List", list},
		{"List/Pages", listPages},
		{"List/Filters", listFilters},
		{"GivenUp", givenUp},
		{"QueueStatus", queueStatus},
		{"Counts", counts},
		{"Requeue", requeue},
		{"Cancel", cancelJobs},
		{"Acts/RunNow", runNow},
		{"Acts/Reschedule", reschedule},
		{"Acts/Delete", deleteJobs},
		{"Acts/Recorded", actsAreRecorded},
		{"Acts/RolledBack", actsWithoutRecord},
		{"Pause", pause},
		{"Pause/Refused", pauseRefused},
		{"Pause/Unattended", pausedAreAttended},
		{"Operations/List", listOperations},
		{"Operations/Refused", operationRefused},
		{"Operations/States", operationStates},
		{"Operations/Filter", operationFilter},
		{"Operations/Once", operationOnce},
		{"Operations/Stopped", operationStopped},
		{"Operations/AtOnce", operationAtOnce},
		{"Operations/Broken", operationBroken},
		{"Complete/InHandler", completeInHandler},
		{"Complete/InFailAction", completeInFailAction},
		{"Complete/WhileOnWire", completeBeforeSent},
		{"Complete/Refused", completeRefused},
		{"Complete/SQLTx", completeSQLTx},
		{"Complete/Finished", finishedTransaction},
		{"Complete/Twice", completeTwice},
		{"Complete/Savepoint", completeInSavepoint},
		{"Complete/Zombie", completeByZombie},
		{"Inbox/Once", inboxOnce},
		{"Inbox/GivenUp", inboxGivenUp},
		{"Inbox/Twice", inboxTwice},
		{"Inbox/Refuses", inboxRefuses},
		{"Inbox/OfEachTable", inboxOfEachTable},
		{"Inbox/AtOnce", inboxAtOnce},
		{"Inbox/Purge", inboxPurge},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), deadline)
			defer cancel()
			tt.run(&env{T: t, ctx: ctx, db: factory(t), base: base})
		})
	}
}
