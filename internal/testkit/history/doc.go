// Package history is what clients of a database asked for and were told, in a
// form that checkers judge and people read.
//
//	client ──begin──▶ database ──answer──▶ client ──end──▶ History
//	          Call                           Return
//
// Call and Return are moments of one counter, so that "this answer came before
// that question" is known exactly, also where a virtual clock stands still.
//
// An operation ends in one of three ways, and which one is a claim that the
// database made: OK, it happened; Fail, it certainly did not and never will;
// Info, nobody knows. Whoever records must not guess: a lost answer is Info.
//
// Here are no clients and no verdicts: package check judges.
package history
