package certs

import (
	"crypto/tls"
	"net"
	"strings"
	"testing"
)

// TestNodesTrustEachOtherAndNobodyElse makes an authority, a node and a user.
func TestNodesTrustEachOtherAndNobodyElse(t *testing.T) {
	dir := t.TempDir()
	for _, err := range []error{CreateCA(dir), CreateNode(dir, []string{"127.0.0.1"}), CreateClient(dir, "ann")} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := CreateCA(dir); err == nil {
		t.Error("the authority was replaced")
	}
	nodes, _, err := LoadNode(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := shake(t, nodes, nodes); err != nil {
		t.Errorf("two nodes: %v", err)
	}
	ann, err := tls.LoadX509KeyPair(dir+"/client.ann.crt", dir+"/client.ann.key")
	if err != nil {
		t.Fatal(err)
	}
	user := &tls.Config{Certificates: []tls.Certificate{ann}, RootCAs: nodes.RootCAs}
	if err := shake(t, nodes, user); err == nil || !strings.Contains(err.Error(), "not good for this port") {
		t.Errorf("a SQL user on the nodes' port: %v", err)
	}
}

// shake returns the server's view of a handshake.
func shake(t *testing.T, server, client *tls.Config) error {
	t.Helper()
	client = client.Clone()
	client.ServerName = "127.0.0.1"
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	go func() {
		c := tls.Client(a, client)
		if c.Handshake() == nil {
			_, _ = c.Read(make([]byte, 1))
		}
		a.Close()
	}()
	return tls.Server(b, server).Handshake()
}
