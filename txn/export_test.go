package txn

// HeldBytes is what the transaction's memory of its locks takes.
func (t *Txn) HeldBytes() int64 { return t.held.bytes }
