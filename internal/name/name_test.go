package name_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/ackbox/ackbox/internal/name"
)

func TestCheck(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, want string }{ // want: part of the error, "" for none
		{"a", ""},
		{"order.confirm", ""},
		{"A-1_b:c.d", ""},
		{"0", ""},
		{"amqp", ""},
		{"amq", ""},
		{strings.Repeat("x", name.MaxLen), ""},
		{"", "field is empty"},
		{strings.Repeat("x", name.MaxLen+1), "field is 201 bytes long: at most 200"},
		{"amq.direct", `which the broker reserves`},
		{".a", `byte 0 is '.'`},
		{"-a", `byte 0 is '-'`},
		{"a b", `byte 1 is ' '`},
		{"a/b", `byte 1 is '/'`},
		{"a\x00", `byte 1 is '\x00'`},
		{"ä", `byte 0`},
		{"a*", `byte 1 is '*'`},
		{"a#", `byte 1 is '#'`},
	}
	for _, tt := range tests {
		err := name.Check("field", tt.name)
		switch {
		case tt.want == "" && err != nil:
			t.Errorf("%q: %v, want no error", tt.name, err)
		case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), "field")):
			t.Errorf("%q: %v, want an error that says %q", tt.name, err, tt.want)
		}
	}
}

func FuzzCheckName(f *testing.F) {
	for _, s := range []string{"", "a", "a.b", "amq.", "amq", "é", "a\n", ":a", strings.Repeat("z", 201)} {
		f.Add(s)
	}
	valid := regexp.MustCompile(`\A[A-Za-z0-9][A-Za-z0-9._:-]{0,199}\z`)
	f.Fuzz(func(t *testing.T, s string) {
		want := valid.MatchString(s) && !strings.HasPrefix(s, "amq.")
		if err := name.Check("x", s); (err == nil) != want {
			t.Errorf("%q: %v, want it valid: %v", s, err, want)
		}
	})
}

func TestCheckTheirs(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]string{
		"amq.topic": "", "the mail queue / Éu (old)": "", strings.Repeat("x", name.MaxLen): "",
		"": "field is empty", "a\x00": "want printable UTF-8", "a\n": "want printable UTF-8", "\xff": "want printable UTF-8",
		strings.Repeat("x", name.MaxLen+1): "at most 200",
	} {
		err := name.CheckTheirs("field", s)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", s, err, want)
		}
	}
}
