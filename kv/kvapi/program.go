package kvapi

// Programs makes what works on the rows of scans where they lie (Request.Program): the leaseholder has a
// program take in rows that would otherwise travel. What a program does is its maker's affair; the
// key-value layer holds to one rule:
//
//	a program only ever takes rows away, and what it does not take is answered
//
// A row that was taken has been dropped for good reason, or is in Partial. So an answer to which no program
// was applied, of a node that knows none or where it failed, is right as well. Programs may be called by many
// goroutines at a time.
type Programs interface {
	// Compile reads a program's text and begins one run of it.
	Compile(text []byte) (Program, error)
}

// Program is one run, over the rows of one scan in their order.
type Program interface {
	// Take says whether the row was taken. Key and value stay as they are for as long as the run lasts.
	Take(key Key, value []byte) bool
	// Partial is what the run made of the rows that it took, nil if it only dropped them; not ok says that
	// it failed half way, and that the scan is to be answered without it.
	Partial() (b []byte, ok bool)
}

// Partial is what one run of a program made of rows.
type Partial struct {
	Data []byte `wire:"1"`
}
