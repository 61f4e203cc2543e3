package outbox

import (
	"strings"
	"unicode/utf8"
)

// plain reports whether PostgreSQL's text can hold s.
func plain(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsRune(s, 0)
}

// maxErrorBytes bounds each error text that a row keeps.
const maxErrorBytes = 2000

// errorText makes s fit for a row: valid UTF-8, no NUL, of bounded length.
func errorText(s string) string {
	cut := len(s) > maxErrorBytes
	if cut {
		s = s[:maxErrorBytes]
	}
	s = strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
	if len(s) > maxErrorBytes { // what was replaced has grown
		cut = true
		end := maxErrorBytes
		for !utf8.RuneStart(s[end]) {
			end--
		}
		s = s[:end]
	}
	if cut {
		s += "…"
	}
	return s
}
