package testenv

import (
	"flag"
	"strconv"
)

// AtOnce lets n of the package's parallel tests run at once, whatever the number of
// processors, unless -parallel says otherwise. It is for packages whose tests wait
// most of their time, for servers to start and for deadlines to pass. Call it in
// TestMain.
func AtOnce(n int) {
	flag.Parse() // which (*testing.M).Run does otherwise
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
	if !given {
		// It is a flag of every test, and takes any number.
		_ = flag.Set("test.parallel", strconv.Itoa(n))
	}
}
