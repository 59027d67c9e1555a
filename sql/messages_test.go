package sql

import "testing"

// client_min_messages says which notices the client gets.
func TestTheClientSaysWhichNoticesItWants(t *testing.T) {
	_, srv := newTestServerEnv(t)
	s, err := srv.NewSession(t.Context(), SessionArgs{User: "root", Database: "defaultdb", BackendPID: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	const some = "drop table if exists t; do $$ begin raise debug 'd'; raise log 'l'; raise info 'i'; raise warning 'w'; end $$"
	const missing = "NOTICE:  table \"t\" does not exist, skipping "
	mustShow(t, s, some, missing+"DROP TABLE INFO:  i WARNING:  w DO")
	for level, want := range map[string]string{
		"debug1":  missing + "DROP TABLE DEBUG:  d LOG:  l INFO:  i WARNING:  w DO",
		"log":     missing + "DROP TABLE LOG:  l INFO:  i WARNING:  w DO",
		"notice":  missing + "DROP TABLE INFO:  i WARNING:  w DO",
		"warning": "DROP TABLE INFO:  i WARNING:  w DO",
		"error":   "DROP TABLE INFO:  i DO",
	} {
		mustShow(t, s, "set client_min_messages = '"+level+"'", "SET")
		mustShow(t, s, some, want)
	}
	wantError(t, s, "set client_min_messages = 'loud'", "22023")
	wantError(t, s, "set statement_timeout = '-1s'", "22023")
}
