package exec

const (
	// ScanBytesMax bounds one scan's answer: large enough that a call's fixed cost vanishes, small
	// enough that a session holds little.
	ScanBytesMax = 1 << 20
	// LookupBatchMax bounds the keys read by one GetMany.
	LookupBatchMax = 512
	// lookupFirst is the first batch's size of a join by look-ups, lookupGrowth the factor to the next.
	lookupFirst  = 32
	lookupGrowth = 4
	// lookupManyMax bounds the keys of one batch of scans, scanManyBytes its answer, and fetchBatchMax the
	// rows that are then read.
	lookupManyMax = 256
	scanManyBytes = 4 << 20
	fetchBatchMax = 2048
	// SpansMax bounds the spans that IN lists multiply to; past it the planner's filter does it.
	SpansMax = 65536
	// MemoryBytesDefault is a statement's budget where the session sets none.
	MemoryBytesDefault = 256 << 20
	// writeBatchMax is how many rows a modification checks and writes at a time.
	writeBatchMax = 512
	// tickEvery is how many rows pass between two looks at the context.
	tickEvery = 1024
	// fragmentGroupsMax bounds the groups that are made of one answer's rows beside the data, and
	// fragmentBytesMax what is held for them; rows of others are answered.
	fragmentGroupsMax = 2000
	fragmentBytesMax  = 8 << 20
	// fragmentWorth: work beside the data goes on while it takes one row of so many.
	fragmentWorth = 4
	// recursionMax bounds the rounds of a recursive query that yields no end.
	recursionMax = 10_000_000
)
