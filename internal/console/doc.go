// Package console serves a node's HTTP port: a page for people, health and
// readiness for orchestrators, metrics for Prometheus, profiles for us.
//
//	/              nodes and ranges of the cluster, its statements by the time
//	               they took, and what this node does, refreshed by itself
//	/api/status    the same as JSON
//	/health        200 while the process runs
//	/ready         200 while SQL clients are served, else 503; it says
//	               if the disk is nearly full
//	/metrics       Prometheus text format
//	/debug/pprof/  profiles; on loopback clients only
//
// The page is one HTML file without build step or foreign origin. Everything
// it shows comes from Source, which internal/node fills in.
package console
