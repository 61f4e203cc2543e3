package outbox

import (
	"errors"
	"fmt"

	"github.com/ackbox/ackbox"
)

// conditions are f's, but for the state, on a row t whose order goes by the time in a column.
func (f Filter) conditions(d *dialect, column string) (where []string, args []any) {
	add := func(condition string, arg any) {
		where, args = append(where, condition), append(args, arg)
	}
	if f.Queue != "" {
		add("t.queue = ?", f.Queue)
	}
	if f.Kind != "" {
		add("t.kind = ?", f.Kind)
	}
	if f.Key != "" {
		add("t.key = ?", f.Key)
	}
	if f.Error != "" {
		contains := "strpos(lower(t.last_error), lower(?::text)) > 0"
		if !d.numbered {
			contains = "instr(lower(t.last_error), lower(?)) > 0"
		}
		add(contains, f.Error)
	}
	if !f.After.IsZero() {
		add("t."+column+" >= {time ?}", d.timeParam(f.After))
	}
	if !f.Before.IsZero() {
		add("t."+column+" < {time ?}", d.timeParam(f.Before))
	}
	return where, args
}

// validate refuses what no row can match, by the field's name.
func (f Filter) validate() error {
	var errs []error
	if f.State != "" && !f.State.Valid() {
		errs = append(errs, fmt.Errorf("outbox: Filter.State is %q: want one of %q", f.State, ackbox.States()))
	}
	for _, field := range []struct{ name, value string }{
		{"Queue", f.Queue}, {"Kind", f.Kind}, {"Key", f.Key}, {"Error", f.Error},
	} {
		if !plain(field.value) {
			errs = append(errs, fmt.Errorf("outbox: Filter.%s is %q: want valid UTF-8", field.name, field.value))
		}
	}
	for _, field := range []struct {
		name string
		year int
	}{{"After", f.After.UTC().Year()}, {"Before", f.Before.UTC().Year()}} {
		if field.year < 1 || field.year > 9999 {
			errs = append(errs, fmt.Errorf("outbox: Filter.%s is in the year %d: want 1 to 9999", field.name, field.year))
		}
	}
	return errors.Join(errs...)
}
