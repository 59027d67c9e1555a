// Package kvapi is the language of the key-value layer: the identifiers, keys,
// descriptors, requests, responses and errors that everything above the clock
// and below SQL speaks. It has no behaviour of its own.
//
//	txn ──► rangecache ──► store ──► replica      each a Sender
//	        BatchRequest ►          ◄ BatchResponse, *Error
//
// Requests and responses are flat structs, so that a batch of a few requests
// is one allocation. Their codec is generated from the `wire` tags (command
// internal/wiregen) in the Protocol Buffers wire format: fields may be added,
// unknown ones are skipped, numbers of removed ones are not used again.
//
// Rules for all users:
//
//	I1 A request is read-only once sent; a response once received.
//	I2 Every error says whether the batch may have had effects
//	   (Error.MaybeApplied). When in doubt it says so.
//	I3 Decoded byte slices alias the message they came in.
//
// Start reading at Sender in sender.go, then request.go.
package kvapi
