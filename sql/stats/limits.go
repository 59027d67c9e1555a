package stats

const (
	// SampleRows is how many rows are looked at in detail: 300 for each of 100 buckets, as in
	// PostgreSQL, which keeps the error of a bucket within a few percent.
	SampleRows = 30_000
	// commonMax and boundsMax bound what is kept of a column.
	commonMax = 100
	boundsMax = 101
	// keyBytesMax is up to how many bytes of a value are kept; a longer one is no common value and
	// stands in the histogram by its beginning.
	keyBytesMax = 128
	// pageBytes is how much is read at a time.
	pageBytes = 1 << 20
)
