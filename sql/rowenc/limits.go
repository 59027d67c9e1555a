package rowenc

const (
	// decimalExponentMax is above what numeric allows (131072 digits) and small enough that a
	// corrupt key cannot ask for gigabytes of zeros.
	decimalExponentMax = 140000
	// KeyBytesMax bounds one encoded key: splits, latches and timestamps are kept per key, so keys
	// are meant to be small.
	KeyBytesMax = 4096
)
