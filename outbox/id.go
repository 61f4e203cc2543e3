package outbox

import (
	"fmt"

	"github.com/google/uuid"
)

// NewID returns a new job id: a UUID version 7, which sorts by time, so that
// new rows land at the right end of the primary key's index.
func NewID() string { return uuid.Must(uuid.NewV7()).String() }

// validID reports whether id is a UUID in canonical form. Ids that come back
// from a broker are checked by it, too: a foreign message must not be able to
// fail a statement that serves its neighbours.
func validID(id string) bool {
	parsed, err := uuid.Parse(id)
	return err == nil && parsed.String() == id
}

// checkHolder refuses what a database would, as the id of an instance.
func checkHolder(id string) error {
	if !validID(id) {
		return fmt.Errorf("outbox: instance %.100q is not a UUID, such as outbox.NewID makes", id)
	}
	return nil
}
