package tpch

// random is splitmix64: small, fast, and seeded anew for each row (I1).
type random struct{ state uint64 }

func newRandom(table, row uint64) random {
	r := random{state: table*0x9e3779b97f4a7c15 + row*0xd1342543de82ef95}
	r.next()
	return r
}

func (r *random) next() uint64 {
	r.state += 0x9e3779b97f4a7c15
	z := r.state
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// between is uniform in [lo, hi].
func (r *random) between(lo, hi int) int { return lo + int(r.next()%uint64(hi-lo+1)) }

func (r *random) pick(words []string) string { return words[r.next()%uint64(len(words))] }
