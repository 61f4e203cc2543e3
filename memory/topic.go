package memory

import "strings"

// words splits a routing key, or a pattern, of a topic exchange. As in
// RabbitMQ the empty string has no word at all, while "a." has two.
func words(key string) []string {
	if key == "" {
		return nil
	}
	return strings.Split(key, ".")
}

// matchTopic reports whether key matches pattern: * stands for exactly one
// word, # for any number of words, none included.
//
// It goes from left to right and, on a mismatch, back only to the last # seen,
// which then takes one word more. Earlier ones need no second look: whatever
// they could take, the last one can take as well. So the worst case is the
// product of the lengths, where naive backtracking is exponential.
func matchTopic(pattern, key []string) bool {
	p, k := 0, 0
	hash, resume := -1, 0 // the last # in pattern, and the word of key after those it took
	for k < len(key) {
		switch {
		case p < len(pattern) && pattern[p] == "#":
			hash, resume = p, k
			p++
		case p < len(pattern) && (pattern[p] == "*" || pattern[p] == key[k]):
			p++
			k++
		case hash >= 0:
			resume++
			p, k = hash+1, resume
		default:
			return false
		}
	}
	for p < len(pattern) && pattern[p] == "#" {
		p++
	}
	return p == len(pattern)
}
