// Package filelock keeps commands of the test environment out of each other's
// way: one of them at a time works in a folder.
package filelock
