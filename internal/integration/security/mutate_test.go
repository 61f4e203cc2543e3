package security_test

import (
	"math"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// hostile are strings that a careless program would take for something else.
var hostile = map[string]string{
	"sql":     `x"; DROP TABLE canary; --`,
	"quote":   `' OR '1'='1`,
	"nul":     "a\x00b",
	"utf8":    "a\xff\xfeb",
	"newline": "a\nlevel=ERROR msg=forged",
	"long":    strings.Repeat("x", 10_000),
}

// mutant is a configuration with one field changed.
type mutant struct {
	field string // its own name, without those around it
	name  string // the path to it, and what was done to it
	cfg   reflect.Value
}

// mutants are all copies of seed with one field set to nonsense. Every number
// and every string that can be reached is changed; what holds neither has to be
// named in others, so that a new field is never overlooked.
func mutants(t *testing.T, seed any, others ...string) []mutant {
	t.Helper()
	var list []mutant
	known := make(map[string]bool)
	for _, name := range others {
		known[name] = true
	}
	seedValue := reflect.ValueOf(seed)
	var walk func(path, field string, v reflect.Value, set func(reflect.Value) reflect.Value)
	walk = func(path, field string, v reflect.Value, set func(reflect.Value) reflect.Value) {
		add := func(what string, to reflect.Value) {
			list = append(list, mutant{field, path + " " + what, set(to)})
		}
		switch v.Kind() {
		case reflect.Int, reflect.Int64:
			for what, n := range map[string]int64{"negative": -1, "lowest": math.MinInt64, "highest": math.MaxInt64} {
				add(what, reflect.ValueOf(n).Convert(v.Type()))
			}
			if v.Type() == reflect.TypeFor[time.Duration]() {
				add("century", reflect.ValueOf(200*365*24*time.Hour))
			}
		case reflect.String:
			for what, s := range hostile {
				add(what, reflect.ValueOf(s).Convert(v.Type()))
			}
		case reflect.Slice:
			if v.Len() == 0 {
				t.Fatalf("%s: give the seed an element to change", path)
			}
			walk(path+"[0]", field, v.Index(0), func(element reflect.Value) reflect.Value {
				changed := reflect.MakeSlice(v.Type(), v.Len(), v.Len())
				reflect.Copy(changed, v)
				changed.Index(0).Set(element)
				return set(changed)
			})
		case reflect.Struct:
			for i := range v.NumField() {
				name := v.Type().Field(i).Name
				if known[name] {
					continue
				}
				walk(strings.TrimPrefix(path+"."+name, "."), name, v.Field(i), func(f reflect.Value) reflect.Value {
					changed := reflect.New(v.Type()).Elem()
					changed.Set(v)
					changed.Field(i).Set(f)
					return set(changed)
				})
			}
		default:
			t.Fatalf("%s is a %v: test it by hand, and name it here", path, v.Kind())
		}
	}
	walk("", "", seedValue, func(v reflect.Value) reflect.Value { return v })
	return list
}

// survives gives every mutant of seed to construct, which must refuse it with
// an error that names the field. accepts lists the exceptions, each a value
// that the field's documentation allows.
func survives[C any](t *testing.T, seed C, construct func(C) error, accepts []string, others ...string) {
	t.Helper()
	if err := construct(seed); err != nil {
		t.Fatalf("the seed itself is refused: %v", err)
	}
	allowed := make(map[string]bool)
	for _, name := range accepts {
		allowed[name] = true
	}
	for _, m := range mutants(t, seed, others...) {
		cfg, ok := m.cfg.Interface().(C)
		if !ok {
			t.Fatalf("%s: made a %v", m.name, m.cfg.Type())
		}
		err := unpanicked(t, m.name, func() error { return construct(cfg) })
		switch {
		case allowed[m.name]:
			if err != nil {
				t.Errorf("%s: documented as allowed, but %v", m.name, err)
			}
			delete(allowed, m.name)
		case err == nil:
			t.Errorf("%s: accepted", m.name)
		case !strings.Contains(err.Error(), m.field):
			t.Errorf("%s: the error does not name the field: %v", m.name, err)
		case len(err.Error()) > 2000:
			t.Errorf("%s: the error repeats all of a long value: %d bytes", m.name, len(err.Error()))
		case !utf8.ValidString(err.Error()) || strings.ContainsRune(err.Error(), 0):
			t.Errorf("%s: the error is not printable: %q", m.name, err)
		}
	}
	for name := range allowed {
		t.Errorf("%s: allowed, and there is no such mutant", name)
	}
}

// unpanicked calls f, and fails the test by name if f panics.
func unpanicked(t *testing.T, name string, f func() error) error {
	t.Helper()
	defer func() {
		if p := recover(); p != nil {
			t.Fatalf("%s: panic: %v", name, p)
		}
	}()
	return f()
}
