//go:build !trouble

package main

// troubleBuild says that nodes read a trouble file; see trouble.go.
const troubleBuild = false
