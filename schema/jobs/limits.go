package jobs

import "time"

const (
	// claimDuration is how long a claim holds that is not renewed; it is every
	// third of it. A node that dies delays a job by this and adoptInterval.
	claimDuration = 12 * time.Second
	// adoptInterval is how often a node looks for jobs that nobody works on.
	adoptInterval = 5 * time.Second
	// pollInterval is how often who waits for a job looks at its record.
	pollInterval = 500 * time.Millisecond
	// retryPauseMin and retryPauseMax bound the pause after an attempt that
	// failed for a reason that may pass.
	retryPauseMin = 500 * time.Millisecond
	retryPauseMax = 30 * time.Second
	// keepDone is how long the record of a job that has ended is kept.
	keepDone = 14 * 24 * time.Hour
	// sweepInterval is how often a node removes older ones.
	sweepInterval = 6 * time.Hour
	// releaseMax bounds the last write of a node that stops.
	releaseMax = 2 * time.Second
	// scanBytes bounds one answer of a scan.
	scanBytes = 4 << 20
)
