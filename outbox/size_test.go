package outbox

import "testing"

// What met its deadline is halved until it is one job, and grows again with what
// is quick, up to what is wanted.
func TestSize(t *testing.T) {
	t.Parallel()
	const wanted, most = 512, 8 << 20
	var z size
	claims := 0
	for rows, bytes := z.next(wanted, most); rows > 1; rows, bytes = z.next(wanted, most) {
		z.late(rows, bytes)
		if claims++; claims > 9 {
			t.Fatalf("%d rows after %d failures", rows, claims)
		}
	}
	rows, bytes := z.next(wanted, most)
	z.late(rows, bytes)
	if rows, _ := z.next(wanted, most); rows != 1 {
		t.Errorf("%d rows, want at least one and no more", rows)
	}
	z.good(rows, 0, false, true)     // found nothing: proves nothing
	z.good(rows, rows, false, false) // slow
	if rows, _ := z.next(wanted, most); rows != 1 {
		t.Errorf("it grew to %d rows for no reason", rows)
	}
	for range 9 {
		rows, _ = z.next(wanted, most)
		z.good(rows, rows, false, true)
	}
	if rows, bytes = z.next(wanted, most); rows != wanted || bytes < most/4 {
		t.Errorf("%d rows and %d bytes after 9 quick claims", rows, bytes)
	}
	for range 20 {
		z.good(wanted, wanted, false, true)
	}
	if rows, bytes = z.next(wanted, most); rows != wanted || bytes != most {
		t.Errorf("%d rows and %d bytes in the end", rows, bytes)
	}
}

// What is cut off by its bytes needs no locks the next time.
func TestSizeOfLargePayloads(t *testing.T) {
	t.Parallel()
	var z size
	for range 10 {
		rows, _ := z.next(512, 8<<20)
		z.good(rows, min(rows, 32), rows > 32, true)
	}
	if rows, bytes := z.next(512, 8<<20); rows > 128 || rows < 32 || bytes != 8<<20 {
		t.Errorf("%d rows and %d bytes where 32 rows fill a batch", rows, bytes)
	}
}
