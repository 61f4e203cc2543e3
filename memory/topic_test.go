package memory_test

import (
	"strings"
	"testing"
	"time"

	"github.com/ackbox/ackbox/memory"
)

func TestMatchTopic(t *testing.T) {
	t.Parallel()
	tests := []struct {
		pattern, key string
		want         bool
	}{
		{"order.created", "order.created", true},
		{"order.created", "order.paid", false},
		{"order", "order.created", false},
		{"order.created", "order", false},
		{"*", "order", true},
		{"*", "", false}, // no word at all
		{"*", "a.b", false},
		{"order.*", "order.created", true},
		{"order.*", "order", false},
		{"order.*", "order.", true}, // an empty word is a word
		{"order.*", "order.item.added", false},
		{"*.created", "order.created", true},
		{"*.*.*", "a.b.c", true},
		{"*.*.*", "a.b", false},
		{"#", "", true},
		{"#", "a", true},
		{"#", "a.b.c", true},
		{"#", "..", true},
		{"order.#", "order", true},
		{"order.#", "order.item.added", true},
		{"order.#", "orders", false},
		{"#.added", "added", true},
		{"#.added", "order.item.added", true},
		{"#.added", "order.added.item", false},
		{"a.#.b", "a.b", true},
		{"a.#.b", "a.b.b", true},
		{"a.#.b", "a.x.y.b.b", true},
		{"a.#.b", "a.x.y", false},
		{"a.#.b.#.c", "a.b.x.b.y.c", true},
		{"a.#.b.#.c", "a.x.c", false},
		{"#.#", "", true},
		{"#.*", "", false},
		{"#.*", "a", true},
		{"*.#", "a.b.c", true},
		{"#.*.#", "a", true},
		{"#.a.*.#", "x.a", false},
		{"#.a.*.#", "x.a.a", true},
		{"", "", true},
		{"", "a", false},
		{"", ".", false},
		{".", ".", true},
		{"or*", "order", false}, // only a whole word is a wildcard
		{"#a", "a", false},
		{"*", "*", true},
		{"#", "#", true},
	}
	for _, tt := range tests {
		if got := memory.MatchTopic(tt.pattern, tt.key); got != tt.want {
			t.Errorf("pattern %q, key %q: got %v, want %v", tt.pattern, tt.key, got, tt.want)
		}
	}
}

// Naive backtracking would need longer than the universe has existed.
func TestMatchTopicIsNotExponential(t *testing.T) {
	t.Parallel()
	pattern := strings.Repeat("#.a.", 40) + "b"
	key := strings.Repeat("a.", 90) + "a"
	start := time.Now()
	if memory.MatchTopic(pattern, key) {
		t.Error("matched a key without b")
	}
	if took := time.Since(start); took > time.Second {
		t.Errorf("took %v", took)
	}
}

func FuzzMatchTopic(f *testing.F) {
	for _, pattern := range []string{"", "#", "*", "a.#.b", "#.a.*.#", "*.#.*", "a..b", "#.b.#.b"} {
		for _, key := range []string{"", "a", ".", "a.b", "a.a.b", "b.b.a.b"} {
			f.Add(pattern, key)
		}
	}
	f.Fuzz(func(t *testing.T, pattern, key string) {
		if strings.Count(pattern, "#") > 6 || len(key) > 40 {
			return // the oracle is exponential
		}
		want := naiveMatch(naiveWords(pattern), naiveWords(key))
		if got := memory.MatchTopic(pattern, key); got != want {
			t.Errorf("pattern %q, key %q: got %v, want %v", pattern, key, got, want)
		}
	})
}

// naiveMatch is the definition of a topic match, word for word.
func naiveMatch(pattern, key []string) bool {
	if len(pattern) == 0 {
		return len(key) == 0
	}
	switch pattern[0] {
	case "#":
		return naiveMatch(pattern[1:], key) || len(key) > 0 && naiveMatch(pattern, key[1:])
	case "*":
		return len(key) > 0 && naiveMatch(pattern[1:], key[1:])
	default:
		return len(key) > 0 && key[0] == pattern[0] && naiveMatch(pattern[1:], key[1:])
	}
}

func naiveWords(s string) []string {
	if s == "" {
		return nil
	}
	var out []string
	word := ""
	for i := range len(s) {
		if s[i] == '.' {
			out = append(out, word)
			word = ""
			continue
		}
		word += s[i : i+1]
	}
	return append(out, word)
}
