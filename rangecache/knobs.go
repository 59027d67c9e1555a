package rangecache

// TestingKnobs break the sender on purpose, so that the tests which should see
// it are known to see it. All are off in a real node: only a test build
// has a way to set them (cmd/cairn/trouble.go).
type TestingKnobs struct {
	// BlindRetry forgets that an earlier attempt may have been evaluated: a
	// second one is not marked as such, and its error is believed.
	BlindRetry bool
}
