// Package gossip measures hashicorp/memberlist on the event that
// TestNewAddressesReachAllNodes of Cairn's package gossip measures: among many
// nodes that know each other two have something new to say of themselves (their
// address), and every fifth message is lost. It is a module of its own, so that
// memberlist is no dependency of the product.
//
//	cd acceptance/bench/gossip && go test -v -nodes 150
//	go test ./gossip -v -run NewAddresses -many 1000
//
// All nodes are in one process, in virtual time.
package gossip
