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

// maxNameBytes bounds names that strangers may have chosen, where people are shown them.
const maxNameBytes = 255

// errorText makes s fit for a row: valid UTF-8, no NUL, of bounded length.
func errorText(s string) string { return textOf(s, maxErrorBytes) }

// nameText is errorText for names.
func nameText(s string) string { return textOf(s, maxNameBytes) }

func textOf(s string, most int) string {
	cut := len(s) > most
	if cut {
		s = s[:most]
	}
	s = strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
	if len(s) > most { // what was replaced has grown
		cut = true
		end := most
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
