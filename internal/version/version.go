package version

import "runtime"

// build is set by the linker, see the Makefile.
var build = "unknown"

// PostgresVersion is the release of PostgreSQL whose behaviour clients may
// expect; drivers read it as server_version.
const PostgresVersion = "15.0"

// Build returns the source version this binary was built from.
func Build() string { return build }

// String prints the line of `cairn version`.
func String() string {
	return "cairn " + build + " (" + runtime.Version() + ", " + runtime.GOOS + "/" + runtime.GOARCH + ")"
}
