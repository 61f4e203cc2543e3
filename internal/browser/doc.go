// Package browser lets tests see pages as people do: in a real Chromium, by
// what is on them and with the keyboard. The tests beside it are those of the
// dashboard.
//
// Whatever a page tells the browser's console is a failure of the test: a script
// that throws, an answer that is an error, something that the page's own
// Content-Security-Policy refuses.
package browser
