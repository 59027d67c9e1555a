// Package jsonpath is the path language of SQL/JSON, as PostgreSQL's jsonpath type has it.
//
// Problem: jsonb_path_query and its relatives, @? and @@ take a small language with accessors,
// filters, arithmetic and three-valued predicates.
//
//	"$.items[*] ? (@.price > $min).name"
//	   │ Parse (lex.go, parse.go)
//	   ▼
//	tree of nodes ──Query(document, vars)──► items, in order (eval.go)
//
// In lax mode, the default, arrays are opened where a member is asked for and single values count as
// arrays of one, and what is missing yields nothing. In strict mode both are errors. An error inside
// a predicate makes it unknown; elsewhere it ends the query, unless it is asked to be silent.
//
// Invariants:
//
//	I1  evaluation is bounded: nesting by the parser (depthMax), the items by the document
//
// Not here: datetime() and the functions with _tz; the canonical form in which PostgreSQL prints a
// jsonpath.
//
// Read next: parse.go; the manual of PostgreSQL, chapter 9.16.2.
package jsonpath
