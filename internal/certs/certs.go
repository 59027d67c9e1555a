// Package certs makes and loads the certificates of a cluster that is not
// insecure: one authority (ca.crt, ca.key), a certificate for each node
// (node.crt, node.key; common name "node"), and certificates for SQL users
// (client.USER.crt, client.USER.key; the common name is the user's).
//
// Nodes prove themselves to each other both ways with node certificates.
// Administrative commands use a node's certificate or root's.
package certs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// Lifetimes of certificates.
const (
	caLifetime   = 10 * 365 * 24 * time.Hour
	leafLifetime = 5 * 365 * 24 * time.Hour
)

// nodeName is the common name of every node's certificate.
const nodeName = "node"

// CreateCA writes a new authority into dir. It refuses to replace one.
func CreateCA(dir string) error {
	key, tmpl, err := newTemplate("Cairn CA", caLifetime)
	if err != nil {
		return err
	}
	tmpl.IsCA, tmpl.BasicConstraintsValid = true, true
	tmpl.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		return fmt.Errorf("make the authority's certificate: %w", err)
	}
	return write(dir, "ca", der, key)
}

// CreateNode writes a node certificate that is good for the hosts.
func CreateNode(dir string, hosts []string) error {
	if len(hosts) == 0 {
		return errors.New("name the hosts (names or addresses) the node is reached at")
	}
	return createLeaf(dir, "node", nodeName, hosts, x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth)
}

// CreateClient writes a certificate for a SQL user.
func CreateClient(dir, user string) error {
	if user == nodeName {
		return fmt.Errorf("%q is kept for nodes", user)
	}
	return createLeaf(dir, "client."+user, user, nil, x509.ExtKeyUsageClientAuth)
}

func createLeaf(dir, file, name string, hosts []string, usage ...x509.ExtKeyUsage) error {
	ca, err := tls.LoadX509KeyPair(filepath.Join(dir, "ca.crt"), filepath.Join(dir, "ca.key"))
	if err != nil {
		return fmt.Errorf("load the authority: %w", err)
	}
	key, tmpl, err := newTemplate(name, leafLifetime)
	if err != nil {
		return err
	}
	tmpl.KeyUsage, tmpl.ExtKeyUsage = x509.KeyUsageDigitalSignature, usage
	for _, h := range hosts {
		if ip := net.ParseIP(h); ip != nil {
			tmpl.IPAddresses = append(tmpl.IPAddresses, ip)
		} else {
			tmpl.DNSNames = append(tmpl.DNSNames, h)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, ca.Leaf, &key.PublicKey, ca.PrivateKey)
	if err != nil {
		return fmt.Errorf("make the certificate of %s: %w", name, err)
	}
	return write(dir, file, der, key)
}

func newTemplate(name string, lifetime time.Duration) (*ecdsa.PrivateKey, *x509.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("make a key: %w", err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, nil, fmt.Errorf("draw a serial number: %w", err)
	}
	return key, &x509.Certificate{SerialNumber: serial, Subject: pkix.Name{CommonName: name, Organization: []string{"Cairn"}},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(lifetime)}, nil
}

// write stores a certificate and its key, and replaces neither.
func write(dir, name string, der []byte, key *ecdsa.PrivateKey) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return fmt.Errorf("encode the key: %w", err)
	}
	if err := writeNew(filepath.Join(dir, name+".key"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}), 0o600); err != nil {
		return err
	}
	return writeNew(filepath.Join(dir, name+".crt"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644)
}

func writeNew(path string, b []byte, perm os.FileMode) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, perm)
	if err != nil {
		return err
	}
	if _, err := f.Write(b); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

func loadCA(dir string) (*x509.CertPool, error) {
	b, err := os.ReadFile(filepath.Join(dir, "ca.crt"))
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(b) {
		return nil, fmt.Errorf("%s holds no certificate", filepath.Join(dir, "ca.crt"))
	}
	return pool, nil
}

// LoadNode returns the configurations of a node: for connections between
// nodes (both sides must show a node's or root's certificate), and for SQL
// clients (which may show one).
func LoadNode(dir string) (nodes, clients *tls.Config, err error) {
	pool, err := loadCA(dir)
	if err != nil {
		return nil, nil, err
	}
	cert, err := tls.LoadX509KeyPair(filepath.Join(dir, "node.crt"), filepath.Join(dir, "node.key"))
	if err != nil {
		return nil, nil, err
	}
	nodes = &tls.Config{Certificates: []tls.Certificate{cert}, RootCAs: pool, ClientCAs: pool,
		ClientAuth: tls.RequireAndVerifyClientCert, MinVersion: tls.VersionTLS13, VerifyConnection: onlyNodesAndRoot}
	clients = &tls.Config{Certificates: []tls.Certificate{cert}, ClientCAs: pool,
		ClientAuth: tls.VerifyClientCertIfGiven, MinVersion: tls.VersionTLS12}
	return nodes, clients, nil
}

// onlyNodesAndRoot keeps SQL users' certificates off the nodes' port.
func onlyNodesAndRoot(s tls.ConnectionState) error {
	if len(s.PeerCertificates) == 0 {
		return errors.New("no certificate was shown")
	}
	if name := s.PeerCertificates[0].Subject.CommonName; name != nodeName && name != "root" {
		return fmt.Errorf("the certificate of %q is not good for this port", name)
	}
	return nil
}

// LoadClient returns the configuration of an administrative command: root's
// certificate if there is one in dir, else the node's. An empty dir means an
// insecure connection.
func LoadClient(dir string) (*tls.Config, error) {
	if dir == "" {
		return nil, nil
	}
	pool, err := loadCA(dir)
	if err != nil {
		return nil, err
	}
	name := filepath.Join(dir, "client.root")
	if _, err := os.Stat(name + ".crt"); err != nil {
		name = filepath.Join(dir, "node")
	}
	cert, err := tls.LoadX509KeyPair(name+".crt", name+".key")
	if err != nil {
		return nil, err
	}
	return &tls.Config{Certificates: []tls.Certificate{cert}, RootCAs: pool, MinVersion: tls.VersionTLS13}, nil
}
