//go:build !linux

package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "newer: this takes Linux: it makes a root folder of Debian's next release, and enters it")
	os.Exit(1)
}
