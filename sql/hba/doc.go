// Package hba decides how a client has to prove who it is: rules in the form of
// PostgreSQL's pg_hba.conf, which all nodes read from the cluster's setting
// cairn.hba.
//
//	TYPE      DATABASE   USER        ADDRESS        METHOD         OPTIONS
//	hostssl   all        app         10.0.0.0/8     scram-sha-256
//	hostssl   all        +dba        all            cert
//	host      all        all         0.0.0.0/0      reject
//
// The first rule that fits a connection says how it goes on; none means that it
// is refused. Lines end with a newline or a semicolon, # begins a comment.
//
// Invariants:
//
//	I1  Parse takes nothing that Match would not carry out: a method, option or
//	    kind of address that is not known is an error with its line
//	    (TestParseRefuses)
//	I2  the rule is the first that fits (TestFirstRuleCounts)
//
// What goes wrong: rules that shut everyone out. The user root with a client
// certificate of its own is let in before any rule is read (package pgwire).
//
// Not here: what a method does (package pgwire, auth.go).
package hba
