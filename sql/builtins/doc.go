// Package builtins is the one table of functions, operators, aggregates and set-returning
// functions, with the rules that choose among overloads.
//
// Problem: SQL says f(a, b) and a + b; what runs depends on the types, on literals without a type
// and on casts nobody wrote. The choice is made once, when a statement is bound, and yields a
// direct Go function, so that evaluation dispatches on nothing.
//
//	name, argument types            values
//	        | ResolveFunc, ResolveOp    | Cast each to CastTo
//	        v                           v
//	   Match{CastTo, Ret} ---------> Call(ec, args)      scalar
//	                       --------> NewAgg(CastTo)      Add…, Result
//	                       --------> Series(ec, args)    Next…
//
// Invariants:
//
//	I1  every overload has an implementation and a line of documentation
//	    (TestEveryOverloadIsWhole)
//	I2  a strict overload's Call gives NULL for any NULL argument (Overload.bind)
//	I3  overloads are made once and never change; calls share nothing but caches under a lock
//	I4  no integer operation wraps silently (fitInt)
//
// What goes wrong: a function that needs the session, a sequence or the catalog fails with 0A000
// where EvalContext does not provide it; catalog functions give NULL instead, as Postgres does for
// objects it does not find.
//
// Not here: AND, OR, NOT, CASE, COALESCE, NULLIF, GREATEST, IN, ANY, ALL (bind and evaluation),
// DISTINCT and FILTER in aggregates, window functions.
//
// Read next: resolve.go, then ops_number.go for the style of the tables; Postgres manual,
// chapters 9 and 10.
package builtins
