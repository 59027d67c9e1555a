//go:build !trouble

package main

import "github.com/cairndb/cairn/internal/node"

// troubleBuild says that nodes can be troubled; see trouble.go.
const troubleBuild = false

func withTrouble(*node.Config) error { return nil }
