package pgwire

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/xdg-go/scram"

	"github.com/cairndb/cairn/schema"
	"github.com/cairndb/cairn/sql/hba"
	"github.com/cairndb/cairn/sql/sqlerr"
)

// authenticate lets the user in or returns a fatal error. Insecure servers
// trust everybody; otherwise the cluster's rules say what is needed or, if there
// are none, a client certificate in the user's name or a SCRAM-SHA-256 exchange
// (RFC 5802, RFC 7677).
func (c *conn) authenticate(user, database string) error {
	if !c.srv.cfg.Insecure {
		if err := c.prove(user, database); err != nil {
			return err
		}
	}
	c.w.send(&pgproto3.AuthenticationOk{})
	return nil
}

// prove has the client show that it is the user. The user root with its own
// certificate is let in before any rule, so that nobody is shut out for good.
func (c *conn) prove(user, database string) error {
	own := c.certificateNames(user)
	if own && user == schema.RootUser {
		return nil
	}
	client := hba.Client{Database: database, User: user, TLS: c.tls != nil}
	if a, ok := c.nc.RemoteAddr().(*net.TCPAddr); ok {
		client.Addr = a.AddrPort().Addr().Unmap()
	}
	rule, ruled, err := c.srv.cfg.Backend.ConnectionRule(c.ctx, client)
	switch {
	case err != nil:
		return fatal(sqlerr.From(err))
	case !ruled && own:
		return nil
	case !ruled:
		return c.scram(user)
	case rule == nil:
		return c.refused("no pg_hba.conf entry for", client)
	case rule.Method == hba.Reject:
		return c.refused("pg_hba.conf rejects connection for", client)
	case rule.ClientCertAsked && !own:
		return fatal(sqlerr.New(sqlerr.InvalidAuthorizationSpecification, "connection requires a valid client certificate"))
	case rule.Method == hba.Trust, rule.Method == hba.Cert && own:
		return nil
	case rule.Method == hba.Cert:
		return fatal(sqlerr.New(sqlerr.InvalidAuthorizationSpecification, "certificate authentication failed for user \"%s\"", user))
	}
	return c.scram(user)
}

// refused is Postgres's error for a client that no rule lets in.
func (c *conn) refused(what string, client hba.Client) error {
	host, encryption := "[local]", "no encryption"
	if client.Addr.IsValid() {
		host = client.Addr.String()
	}
	if client.TLS {
		encryption = "SSL encryption"
	}
	return fatal(sqlerr.New(sqlerr.InvalidAuthorizationSpecification, "%s host \"%s\", user \"%s\", database \"%s\", %s",
		what, host, client.User, client.Database, encryption))
}

func (c *conn) certificateNames(user string) bool {
	if c.tls == nil {
		return false
	}
	chains := c.tls.ConnectionState().VerifiedChains
	return len(chains) > 0 && chains[0][0].Subject.CommonName == user
}

const scramMechanism = "SCRAM-SHA-256"

func (c *conn) scram(user string) error {
	failed := fatal(sqlerr.New(sqlerr.InvalidPassword, "password authentication failed for user %q", user))
	creds, known, err := c.credentials(user)
	if err != nil {
		return fatal(sqlerr.From(err))
	}
	server, err := scram.SHA256.NewServer(func(string) (scram.StoredCredentials, error) { return creds, nil })
	if err != nil {
		return err
	}
	conv := server.NewConversation()
	c.w.send(&pgproto3.AuthenticationSASL{AuthMechanisms: []string{scramMechanism}})
	if err := c.w.flush(); err != nil {
		return err
	}
	first, err := receiveAs[*pgproto3.SASLInitialResponse](c, pgproto3.AuthTypeSASL)
	if err != nil {
		return err
	}
	if first.AuthMechanism != scramMechanism {
		return fatal(sqlerr.New(sqlerr.ProtocolViolation, "client selected an invalid SASL authentication mechanism"))
	}
	challenge, err := conv.Step(string(first.Data))
	if err != nil {
		return failed
	}
	c.w.send(&pgproto3.AuthenticationSASLContinue{Data: []byte(challenge)})
	if err := c.w.flush(); err != nil {
		return err
	}
	proof, err := receiveAs[*pgproto3.SASLResponse](c, pgproto3.AuthTypeSASLContinue)
	if err != nil {
		return err
	}
	final, err := conv.Step(string(proof.Data))
	if err != nil || !conv.Valid() || !known {
		return failed
	}
	c.w.send(&pgproto3.AuthenticationSASLFinal{Data: []byte(final)})
	return nil
}

// receiveAs reads the one message that authentication is waiting for.
func receiveAs[M pgproto3.FrontendMessage](c *conn, auth uint32) (M, error) {
	var none M
	if err := c.be.SetAuthType(auth); err != nil {
		return none, err
	}
	msg, err := c.be.Receive()
	if err != nil {
		return none, errDone
	}
	m, ok := msg.(M)
	if !ok {
		return none, fatal(sqlerr.New(sqlerr.ProtocolViolation, "expected a SASL response, got %T", msg))
	}
	return m, nil
}

// credentials returns the verifier of a user who may log in. For others it
// makes one up, so that a client learns nothing before the end of the exchange.
func (c *conn) credentials(user string) (creds scram.StoredCredentials, known bool, err error) {
	role, ok, err := c.srv.cfg.Backend.LookupRole(c.ctx, user)
	if err != nil {
		return creds, false, err
	}
	if ok && role.CanLogin && !role.Expired && role.Verifier != "" {
		creds, err = ParseVerifier(role.Verifier)
		return creds, err == nil, err
	}
	verifier, err := NewVerifier(rand.Text())
	if err != nil {
		return creds, false, err
	}
	creds, err = ParseVerifier(verifier)
	return creds, false, err
}

// scramIterations is Postgres's default (scram_iterations).
const scramIterations = 4096

// NewVerifier returns what is stored of a password, in Postgres's form:
// SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey.
func NewVerifier(password string) (string, error) {
	var salt [16]byte
	_, _ = rand.Read(salt[:]) // never fails
	client, err := scram.SHA256.NewClientUnprepped("", password, "")
	if err != nil {
		return "", fmt.Errorf("derive password verifier: %w", err)
	}
	stored, err := client.GetStoredCredentialsWithError(scram.KeyFactors{Salt: string(salt[:]), Iters: scramIterations})
	if err != nil {
		return "", fmt.Errorf("derive password verifier: %w", err)
	}
	b64 := base64.StdEncoding.EncodeToString
	return fmt.Sprintf("%s$%d:%s$%s:%s", scramMechanism, scramIterations, b64(salt[:]), b64(stored.StoredKey), b64(stored.ServerKey)), nil
}

var errVerifier = errors.New("stored password verifier is malformed")

// ParseVerifier reads what NewVerifier or Postgres wrote.
func ParseVerifier(v string) (scram.StoredCredentials, error) {
	var out scram.StoredCredentials
	parts := strings.Split(v, "$")
	if len(parts) != 3 || parts[0] != scramMechanism {
		return out, errVerifier
	}
	iters, salt, ok1 := strings.Cut(parts[1], ":")
	stored, server, ok2 := strings.Cut(parts[2], ":")
	n, err := strconv.Atoi(iters)
	if !ok1 || !ok2 || err != nil || n < 1 {
		return out, errVerifier
	}
	saltBytes, err1 := base64.StdEncoding.DecodeString(salt)
	storedKey, err2 := base64.StdEncoding.DecodeString(stored)
	serverKey, err3 := base64.StdEncoding.DecodeString(server)
	if err := errors.Join(err1, err2, err3); err != nil || len(storedKey) != sha256.Size || len(serverKey) != sha256.Size {
		return out, errVerifier
	}
	out.KeyFactors = scram.KeyFactors{Salt: string(saltBytes), Iters: n}
	out.StoredKey, out.ServerKey = storedKey, serverKey
	return out, nil
}

// equalKeys compares in constant time; tests use it.
func equalKeys(a, b []byte) bool { return hmac.Equal(a, b) }
