// Package rpcpb holds the generated messages and stubs of cluster.proto.
package rpcpb

//go:generate sh generate.sh
