// Package verify runs workloads against a cluster while nemeses hurt it, and
// says whether the cluster kept its promises.
//
//	          ┌ start ┐┌ calm ┐┌──── safety ────┐┌ liveness ┐┌ judge ┐
//	workloads          ▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓
//	nemeses                     ▒▒▒  ▒▒▒▒   ▒▒▒
//	                                             every node serves every
//	                                             workload again, in time
//
// A run ends in one of three ways:
//
//	ok        every checker is content, every node served again in time
//	failed    a promise was broken: an anomaly with its story, no liveness, a
//	          process that ended by itself
//	invalid   it tested nothing: a workload without acknowledged operations, or
//	          a nemesis that was never felt. It is not counted as passed.
//
// What a run needs to be looked into is kept: seed, logs, stores, and a page
// with throughput and latency over time, the nemeses as bands, what each node
// answered, and the lines of the logs that stand out (report.go).
//
// The command line is cairn verify (cmd/cairn/verify.go).
package verify
