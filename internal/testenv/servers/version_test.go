//go:build unix

package servers

import "testing"

func TestVersion(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"15.12 (Debian 15.12-0+deb12u2)": "15.12",
		"3.10.8":                         "3.10.8",
		"PgBouncer 1.24.1\nlibevent 2.1.13-stable\n...": "1.24.1",
	} {
		if v, err := parseVersion(text); err != nil || v.String() != want {
			t.Errorf("in %q: %v, %v", text, v, err)
		}
	}
	if _, err := parseVersion("none"); err == nil {
		t.Error("a version was made up")
	}
	v := Version{Major: 3, Minor: 10}
	if !v.AtLeast(3, 10) || !v.AtLeast(2, 99) || v.AtLeast(3, 11) || v.AtLeast(4, 0) {
		t.Error("3.10 is 3.10 or newer, and not 3.11")
	}
}
