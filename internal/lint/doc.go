// Package lint proves what reviewers should not have to look for: that imports
// run one way, that every package says what it is for, that generated code is
// fresh, that pages name tests that exist, and that nothing is left that the house
// style forbids. It is a Go
// test, so that the message names the file and the fix.
package lint
