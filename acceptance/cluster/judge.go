package cluster

// T is whoever is told how things go: a test, or a run of cairn verify, which
// is no test. Fatal and Fatalf do not return.
type T interface {
	Helper()
	Log(args ...any)
	Logf(format string, args ...any)
	Error(args ...any)
	Errorf(format string, args ...any)
	Fatal(args ...any)
	Fatalf(format string, args ...any)
	Failed() bool
	Cleanup(func())
}
