// Package hermitage has the anomalies of Martin Kleppmann's Hermitage as
// scripts of interleaved sessions, and what each isolation level makes of
// them.
//
//	script ──▶ Run(open, level) ──▶ session 1 ┐
//	                            ──▶ session 2 ├─▶ "1 UPDATE 1; 2 ERROR 40001; = 11,20"
//	                            ──▶ session 3 ┘
//
// Each session may be on a gateway of its own. A step is "N: statement"; it is
// begun after all before it, and waited for, unless it is marked "N&:": such a
// statement is expected to wait for another session, and is waited for before
// the next step of its own session. What a script shows does not depend on
// whether it really had to wait.
//
// A session whose statement fails is rolled back, and its later steps are left
// out. What the table holds in the end comes last.
//
// A transaction that the gateway could run again unseen shows what it did in
// the end: of two runs that lost, only the one whose rows had been shown and
// are others now is an error.
//
// What is not here: time. A script that hangs is ended by its context.
package hermitage
