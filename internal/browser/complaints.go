package browser

import (
	"slices"
	"strings"
	"sync"
)

// complaints collects what the console says, from chromedp's goroutine.
type complaints struct {
	mu       sync.Mutex
	said     []string
	expected []string
}

func (c *complaints) add(text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !slices.ContainsFunc(c.expected, func(part string) bool { return strings.Contains(text, part) }) {
		c.said = append(c.said, text)
	}
}

func (c *complaints) expect(part string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.expected = append(c.expected, part)
}

func (c *complaints) all() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.said)
}
