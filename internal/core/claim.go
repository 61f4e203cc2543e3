package core

// Claim says which due jobs a dispatcher asks the ledger for.
type Claim struct {
	// Limit is the most jobs of one batch.
	Limit int
	// Except are queues whose jobs stay where they are for now, because the
	// broker takes nothing for them. Their rows are neither locked nor written.
	Except []string
}
