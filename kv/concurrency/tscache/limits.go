package tscache

import "time"

const (
	// pageAgeMin is how long a page lives before it may be rotated out for
	// its age: a transaction shorter than this is not pushed by a rotation.
	pageAgeMin = 10 * time.Second
	// pageBytesMax rotates a page out whatever its age. 16 MB hold some
	// 100,000 points; two pages are kept.
	pageBytesMax = 16 << 20
	// entryBytes is the overhead counted per entry beside its key.
	entryBytes = 96
	// rotateEvery is how many Adds go by between looks at the clock.
	rotateEvery = 256
	treeDegree  = 16
	// summaryReadBytes is what a read takes in a summary beside its keys: two
	// numbers for the timestamp, the owner, tags and lengths.
	summaryReadBytes = 44
	// summaryChunk is how many points a summary looks at before it lets others
	// at the cache: some 100 µs.
	summaryChunk = 4096
)
