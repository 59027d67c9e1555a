//go:build !trouble

package main

import "github.com/cairndb/cairn/internal/node"

// withBreak does nothing: only test builds have mistakes put back in (breaks.go).
func withBreak(*node.Config) error { return nil }
