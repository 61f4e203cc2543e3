//go:build unix

package accounting_test

// forget takes a dead process's instances out of the ledger, so that nobody has to
// wait for 15 s until they count as dead.
func (s *stage) forget(pid int) {
	s.t.Helper()
	s.must("forget an instance", s.db.Exec(`DELETE FROM ackbox_jobs_instances WHERE pid = ?`, pid).Error)
}
