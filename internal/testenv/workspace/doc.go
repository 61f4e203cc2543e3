// Package workspace lists the modules of go.work, so that tests and linters run
// over all of them, those added later included.
package workspace
