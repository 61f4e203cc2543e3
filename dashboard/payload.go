package dashboard

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"strings"
	"unicode/utf8"
)

const (
	// shownBytes is how much of a payload is shown.
	shownBytes = 64 << 10
	// shownDepth is how deep a payload is indented: each level widens every line in it, and
	// ten thousand brackets would make a page of a hundred megabytes.
	shownDepth = 24
	// hexBytes is how much is shown in hex, which takes five characters a byte.
	hexBytes = 8 << 10
)

// payload is a job's payload as it is shown.
type payload struct {
	// Form is "JSON", "text", "bytes" or "empty".
	Form string `json:"form"`
	// Bytes is its whole size, Shown how much of it Text shows.
	Bytes int    `json:"bytes"`
	Shown int    `json:"shown"`
	Text  string `json:"text"`
}

// Cut reports whether only the beginning is shown.
func (p payload) Cut() bool { return p.Shown < p.Bytes }

// showPayload writes a payload for a reader: JSON as it came but indented, so that large
// numbers keep their digits; text; or bytes in hex.
func showPayload(b []byte) payload {
	p := payload{Bytes: len(b), Shown: min(len(b), shownBytes)}
	shown := b[:p.Shown]
	for !utf8.Valid(shown) && len(shown) > 0 && p.Cut() && p.Shown-len(shown) < utf8.UTFMax {
		shown = shown[:len(shown)-1] // a character that was cut in two
	}
	switch {
	case len(b) == 0:
		p.Form = "empty"
	case !utf8.Valid(shown) || bytes.IndexByte(shown, 0) >= 0:
		p.Form, p.Shown = "bytes", min(len(b), hexBytes)
		p.Text = strings.TrimRight(hex.Dump(b[:p.Shown]), "\n")
	case p.Cut() || !json.Valid(b):
		p.Form, p.Text = "text", visible(string(shown))
	default:
		p.Form, p.Text = "JSON", visible(string(b))
		var pretty bytes.Buffer
		if depth(b) <= shownDepth && json.Indent(&pretty, b, "", "  ") == nil {
			p.Text = visible(pretty.String())
		}
	}
	return p
}

// depth is how deep the brackets of valid JSON go.
func depth(b []byte) int {
	deep, deepest, quoted := 0, 0, false
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '[' || c == '{':
			deep++
			deepest = max(deepest, deep)
		case c == ']' || c == '}':
			deep--
		}
	}
	return deepest
}
