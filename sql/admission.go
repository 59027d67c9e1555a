package sql

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"time"

	"github.com/cairndb/cairn/schema"
	"github.com/cairndb/cairn/sql/hba"
	"github.com/cairndb/cairn/sql/pgcatalog"
	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/types"
)

// Who may connect, and how often: the cluster's settings cairn.hba and max_connections, and a role's
// LOGIN, VALID UNTIL and CONNECTION LIMIT.
const (
	hbaSetting     = "cairn.hba"
	maxConnections = "max_connections"
	// maxConnectionsDefault is pgwire's.
	maxConnectionsDefault = 1000
	maxConnectionsMin     = 4
	maxConnectionsMax     = 262143
)

// hbaRules keeps the rules of the text that was parsed last.
type hbaRules struct {
	mu    sync.Mutex
	text  string
	rules *hba.Rules
}

// connectionRules are those of the cluster as this node knows them; nil: there are none.
func (s *Server) connectionRules() (*hba.Rules, error) {
	text, _ := s.settings.view.Load().get(hbaSetting)
	s.hba.mu.Lock()
	defer s.hba.mu.Unlock()
	if text == s.hba.text {
		return s.hba.rules, nil
	}
	rules, err := hba.Parse(text)
	if err != nil { // they were checked when they were set, perhaps by another version
		s.log.Error("the rules for connections cannot be read; only root with its certificate is let in", "setting", hbaSetting, "err", err)
		return nil, sqlerr.New(sqlerr.InvalidAuthorizationSpecification, "the rules for connections (%s) cannot be read", hbaSetting)
	}
	s.hba.text, s.hba.rules = text, rules
	return rules, nil
}

// ConnectionRule finds the rule for a client; ok is false if there are no rules.
func (s *Server) ConnectionRule(ctx context.Context, c hba.Client) (rule *hba.Rule, ok bool, err error) {
	rules, err := s.connectionRules()
	if err != nil || rules == nil {
		return nil, false, err
	}
	snap, err := s.cfg.Catalog.Snapshot(ctx)
	if err != nil {
		return nil, false, mapError(err, nil)
	}
	c.MemberOf = func(role string) bool { return snap.IsMember(c.User, role) }
	rule, ok = rules.Match(c)
	return rule, ok, nil
}

// ConnectionsMax is the setting max_connections, which is each node's.
func (s *Server) ConnectionsMax() int {
	v, _ := s.settings.view.Load().get(maxConnections)
	n, _ := strconv.Atoi(v) // 0 if it is not set
	return n
}

func applyHBA(_ *Session, v string) (string, error) {
	if _, err := hba.Parse(v); err != nil {
		return "", sqlerr.New(sqlerr.InvalidParameterValue, "invalid value for parameter \"%s\"", hbaSetting).WithDetail("%s", err.Error()).
			WithHint("Rules are lines as in pg_hba.conf: TYPE DATABASE USER ADDRESS METHOD.")
	}
	return v, nil
}

func applyMaxConnections(_ *Session, v string) (string, error) {
	n, err := strconv.Atoi(v)
	if err != nil {
		return "", sqlerr.New(sqlerr.InvalidParameterValue, "invalid value for parameter \"%s\": \"%s\"", maxConnections, v)
	}
	if n < maxConnectionsMin || n > maxConnectionsMax {
		return "", sqlerr.New(sqlerr.InvalidParameterValue, "%d is outside the valid range for parameter \"%s\" (%d .. %d)",
			n, maxConnections, maxConnectionsMin, maxConnectionsMax)
	}
	return v, nil
}

// expired says whether a role's password is not good any more (VALID UNTIL).
func expired(r *schema.Role, now time.Time) (bool, error) {
	if r.ValidUntil == "" {
		return false, nil
	}
	d, err := types.ParseText(types.TimestampTZ, r.ValidUntil, nil)
	return err == nil && d.Int() < types.StampOfTime(now), err
}

// admit checks that a role may have one more session. Sessions of a role with a limit are counted on
// all nodes that answer, without a lock: two that begin at one moment may both pass.
func (s *Server) admit(ctx context.Context, r *schema.Role) error {
	if !r.Login {
		return sqlerr.New(sqlerr.InvalidAuthorizationSpecification, "role \"%s\" is not permitted to log in", r.Name)
	}
	if r.ConnLimit < 0 || r.Superuser {
		return nil
	}
	n := int32(0)
	for _, x := range s.sessions.all() {
		if x.args.User == r.Name {
			n++
		}
	}
	if p := s.cfg.Peers; p != nil {
		ctx, cancel := context.WithTimeout(ctx, sessionsCountMax)
		defer cancel()
		for _, node := range p.Nodes() {
			if node == s.cfg.NodeID {
				continue
			}
			list, err := p.Sessions(ctx, node, &SessionQuery{})
			if err != nil {
				if errors.Is(err, context.Canceled) {
					return err
				}
				continue
			}
			for i := range list.Sessions {
				if list.Sessions[i].User == r.Name {
					n++
				}
			}
		}
	}
	if n >= r.ConnLimit {
		return sqlerr.New(sqlerr.TooManyConnections, "too many connections for role \"%s\"", r.Name)
	}
	return nil
}

// sessionsCountMax is how long a connection waits for other nodes to count a role's sessions.
const sessionsCountMax = time.Second

// ruleRows are the rows of pg_hba_file_rules.
func (s *Server) ruleRows() []pgcatalog.ConnectionRule {
	rules, err := s.connectionRules()
	if err != nil || rules == nil {
		return nil
	}
	out := make([]pgcatalog.ConnectionRule, len(rules.List))
	for i, r := range rules.List {
		out[i] = pgcatalog.ConnectionRule{Line: r.Line, Type: r.Type, Databases: r.Databases, Users: r.Users, Method: string(r.Method)}
		switch {
		case r.AnyAddress:
			out[i].Address = "all"
		case r.Address.IsValid():
			out[i].Address, out[i].Bits = r.Address.Addr().String(), r.Address.Bits()
			out[i].AddressBits = r.Address.Addr().BitLen()
		}
		if r.ClientCertAsked {
			out[i].Options = []string{"clientcert=verify-full"}
		}
	}
	return out
}
