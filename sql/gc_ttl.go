package sql

import (
	"time"

	"github.com/cairndb/cairn/sql/sqlerr"
)

// gcTTL is how long old versions are kept where the table does not say (storage parameter gc_ttl).
// It is the cluster's alone: the nodes that collect read it where ALTER SYSTEM has put it.
const gcTTL = "cairn.gc_ttl"

// Bounds of cairn.gc_ttl.
const (
	gcTTLMinMillis = 1000
	gcTTLMaxMillis = 3650 * 24 * 3600 * 1000
)

func applyGCTTL(_ *Session, v string) (string, error) {
	if ms, _ := millis(v); ms < gcTTLMinMillis || ms > gcTTLMaxMillis {
		return "", sqlerr.New(sqlerr.InvalidParameterValue, "%s is between 1s and 3650d", gcTTL)
	}
	return v, nil
}

// GCTTLSetting is the name of the cluster's setting of how long old versions are kept, and
// ParseGCTTL reads its value.
const GCTTLSetting = gcTTL

// ParseGCTTL reads a value of GCTTLSetting; 0, false if it is none.
func ParseGCTTL(v string) (time.Duration, bool) {
	ms, ok := millis(v)
	if !ok || ms < gcTTLMinMillis {
		return 0, false
	}
	return time.Duration(ms) * time.Millisecond, true
}
