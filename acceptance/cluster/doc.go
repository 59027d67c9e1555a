// Package cluster runs Cairn's processes for tests: it starts them, hurts them,
// asks them how they are, and leaves nothing behind.
//
//	Cluster ──▶ Node 0..n-1 ──▶ process (own process group, dies with the test)
//	   │            └─ store folder, three ports, log file
//	   └─ folder, removed at the end; kept, and named, when the test failed
//
// A Node keeps its store over restarts and its ports unless it is moved. The
// invariants:
//
//	I1 no process outlives the test: killed at its end, and by the kernel
//	   (Pdeathsig) if the test itself is killed        process.go
//	I2 a node is up when its ready line was read, not earlier   node.go
//	I3 a process that ends when nobody asked it to fails the test   node.go
//
// Ports are taken below the range the kernel gives to outgoing connections, so
// that a node finds its port free when it comes back.
//
// Not here: what clients do (package load) and what they claim (the tests).
package cluster
