// Package plpgsql reads PL/pgSQL: the body of a function, a procedure or a DO block becomes a tree of
// statements (Postgres manual, chapter 43).
//
// Problem: PL/pgSQL is a language around SQL. Its own grammar is small: blocks, loops, branches. What stands
// between its words is SQL, which only the binder understands, with names that may mean variables.
//
//	DECLARE n int := 1;           Var 2 "n"
//	BEGIN
//	  FOR r IN SELECT * FROM t    ForQuery{Target: Var 3, Query: "SELECT * FROM t"}
//	  LOOP n := n + r.x;          Assign{Target: Var 2, Value: "n + r.x"}
//	  END LOOP;
//	END
//
// So this package cuts a body into statements and leaves SQL as text. Postgres's own scanner finds the
// tokens (pg_query.Scan); an expression ends where the next word of PL/pgSQL stands outside of parentheses.
// Every variable of a body has a number, its place among the values with which an expression is run;
// every expression knows which variables are in scope where it stands (Scope).
//
// Invariants:
//
//	I1  an expression sees the variables of its block and of those around it that are declared before
//	    it, inner ones first (TestScope)
//	I2  lines count from 1 at the first character of the body, as Postgres counts them
//	I3  positions of errors are characters of the body, from 1 (TestSyntaxErrors)
//	I4  blocks and loops are nested at most depthMax deep (TestNesting)
//
// Rejected: libpg_query's own PL/pgSQL parser. It prints its tree as JSON without the scopes of variables,
// without positions of errors, and knows no composite types.
//
// Not here: what runs the tree (package sql, plpgsql.go), and how names are found (package bind, Body).
//
// Read next: tree.go, then sql/plpgsql.go.
package plpgsql
