package schema

// StopRenewal lets a change's marks run out, as if its gateway had died.
func (r *Resolver) StopRenewal() {
	r.ddl.stop()
	<-r.ddl.stopped
}
