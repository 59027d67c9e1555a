// Package bench holds scripts that measure Cairn beside its peers; results and
// how to read them are in docs/benchmarks.md.
package bench
