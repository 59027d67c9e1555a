// Package model holds Promela models of the protocols and the test that checks
// them exhaustively for small sizes with spin (https://spinroot.com). Each
// model names its invariants as the code does, and has faults to inject
// (#ifdef BUG_…) that the search must find.
package model
