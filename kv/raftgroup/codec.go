package raftgroup

// AppendEnvelopes appends the encoding of a batch of envelopes to dst.
func AppendEnvelopes(dst []byte, batch []Envelope) []byte { panic("todo") }

// DecodeEnvelopes is the inverse of AppendEnvelopes. Entries' data aliases b.
func DecodeEnvelopes(b []byte) ([]Envelope, error) { panic("todo") }
