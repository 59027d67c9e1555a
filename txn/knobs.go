package txn

// TestingKnobs break the coordinator on purpose, so that the tests which should
// see it are known to see it. All are off in a real node: only a
// test build has a way to set them (cmd/cairn/trouble.go).
type TestingKnobs struct {
	// ResendCommitWithWrites sends a commit that had effects again whole after
	// a refresh, and not its writes first (I3; CockroachDB #46431).
	ResendCommitWithWrites bool
	// SettleByLooking has a coordinator that does not know what became of its
	// commit look for its signature without keeping the commit from coming yet
	// (I7).
	SettleByLooking bool
}
