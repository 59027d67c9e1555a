// Package mysqldump reads the dumps that mysqldump writes, and fills a database with them.
//
// Problem: a dump is a script for MySQL, of any size. It makes tables with foreign keys to tables
// that come later, with checks switched off, and writes bits and bytes as strings.
//
//	file ──Reader──▶ statement, line ──sql/mysql──▶ Postgres text ──Importer──▶ server
//	                                                   INSERTs gather into transactions
//	                                                   foreign keys and sequences wait for the end
//
// Invariants:
//
//	I1  no more than one statement of the dump, its translation and one transaction are held at a
//	    time: what is longer than the server takes is refused with its line (TestReaderBounds)
//	I2  rows are written once: a transaction is repeated only after 40001, which says that nothing of
//	    it is there (TestImportRepeats)
//	I3  every error names the line of the dump at which its statement begins (TestImportErrors)
//
// What goes wrong: triggers, procedures, functions and events are left out, with a warning each. An
// import that failed leaves what it had committed; a dump drops the tables that it makes, so it can
// be imported again.
//
// Not here: translating (sql/mysql); the command line (cmd/cairn).
//
// Read next: import.go.
package mysqldump
