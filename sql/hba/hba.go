package hba

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// Method is how a client proves who it is.
type Method string

// Methods. Default is what holds without rules: a certificate in the user's name, or a password.
const (
	Trust   Method = "trust"
	Reject  Method = "reject"
	SCRAM   Method = "scram-sha-256"
	Cert    Method = "cert"
	Default Method = ""
)

// Rule is one line.
type Rule struct {
	Line int
	// Type is local, host, hostssl or hostnossl.
	Type            string
	Databases       []string
	Users           []string
	Address         netip.Prefix
	AnyAddress      bool
	Method          Method
	ClientCertAsked bool
}

// Rules are in order; a nil *Rules means that there are none, and Default holds.
type Rules struct{ List []Rule }

// methods are the words for them. PostgreSQL's md5 takes a SCRAM exchange where that is how the
// password is kept, which it always is here.
var methods = map[string]Method{"trust": Trust, "reject": Reject, "scram-sha-256": SCRAM, "md5": SCRAM, "cert": Cert}

// Parse reads rules; an empty text is none.
func Parse(text string) (*Rules, error) {
	r := &Rules{}
	for i, line := range strings.FieldsFunc(strings.ReplaceAll(text, "\r", ""), func(c rune) bool { return c == '\n' || c == ';' }) {
		line, _, _ = strings.Cut(line, "#")
		f := strings.Fields(line)
		if len(f) == 0 {
			continue
		}
		rule, err := parseRule(f)
		if err != nil {
			return nil, fmt.Errorf("rule %d: %w", i+1, err)
		}
		rule.Line = i + 1
		r.List = append(r.List, rule)
	}
	if len(r.List) == 0 {
		return nil, nil
	}
	return r, nil
}

func parseRule(f []string) (r Rule, err error) {
	r.Type = f[0]
	switch r.Type {
	case "local", "host", "hostssl", "hostnossl":
	default:
		return r, fmt.Errorf("invalid connection type %q", r.Type)
	}
	if len(f) < 3 {
		return r, fmt.Errorf("end-of-line before the user")
	}
	r.Databases, r.Users = names(f[1]), names(f[2])
	for _, d := range r.Databases {
		if d == "samerole" || d == "samegroup" || d == "replication" {
			return r, fmt.Errorf("database %q is not supported", d)
		}
	}
	f = f[3:]
	if r.Type != "local" {
		if f, err = r.address(f); err != nil {
			return r, err
		}
	}
	if len(f) == 0 {
		return r, fmt.Errorf("end-of-line before authentication method")
	}
	var ok bool
	if r.Method, ok = methods[f[0]]; !ok {
		return r, fmt.Errorf("invalid authentication method %q", f[0])
	}
	if r.Method == Cert && r.Type != "hostssl" {
		return r, fmt.Errorf("cert authentication is only supported on hostssl connections")
	}
	for _, o := range f[1:] {
		switch o {
		case "clientcert=verify-full":
			r.ClientCertAsked = true
		default:
			return r, fmt.Errorf("authentication option %q is not supported", o)
		}
	}
	if r.ClientCertAsked && r.Type != "hostssl" {
		return r, fmt.Errorf("clientcert can only be configured for \"hostssl\" rows")
	}
	return r, nil
}

// names splits a list; a name in quotes has no special meaning.
func names(s string) (out []string) {
	for _, n := range strings.Split(s, ",") {
		if len(n) > 1 && n[0] == '"' && n[len(n)-1] == '"' {
			n = "=" + n[1:len(n)-1]
		}
		out = append(out, n)
	}
	return out
}

// address reads an address and, if it is followed by one, its mask.
func (r *Rule) address(f []string) ([]string, error) {
	if len(f) == 0 {
		return nil, fmt.Errorf("end-of-line before IP address specification")
	}
	if f[0] == "all" {
		r.AnyAddress = true
		return f[1:], nil
	}
	if p, err := netip.ParsePrefix(f[0]); err == nil {
		if p != p.Masked() {
			return nil, fmt.Errorf("address %q has bits beyond its mask", f[0])
		}
		r.Address = p
		return f[1:], nil
	}
	a, err := netip.ParseAddr(f[0])
	if err != nil {
		return nil, fmt.Errorf("%q is no IP address, and host names are not supported", f[0])
	}
	if len(f) < 2 {
		return nil, fmt.Errorf("end-of-line before netmask specification")
	}
	m, err := netip.ParseAddr(f[1])
	if err != nil || m.Is4() != a.Is4() {
		return nil, fmt.Errorf("invalid IP mask %q", f[1])
	}
	bits := 0
	for _, b := range m.AsSlice() {
		for ; b&0x80 != 0; b <<= 1 {
			bits++
		}
	}
	r.Address = netip.PrefixFrom(a, bits).Masked()
	if mask := netip.PrefixFrom(m, bits).Masked().Addr(); mask != m {
		return nil, fmt.Errorf("invalid IP mask %q", f[1])
	}
	return f[2:], nil
}

// Client is a connection that asks to be let in. Addr is not valid for a local socket.
type Client struct {
	Database, User string
	Addr           netip.Addr
	TLS            bool
	// MemberOf says whether the user is a role, or a member of it.
	MemberOf func(role string) bool
}

// Match finds the first rule that fits; nil if there is none. Without rules, ok is false.
func (r *Rules) Match(c Client) (rule *Rule, ok bool) {
	if r == nil {
		return nil, false
	}
	for i := range r.List {
		if r.List[i].fits(c) {
			return &r.List[i], true
		}
	}
	return nil, true
}

func (r *Rule) fits(c Client) bool {
	local := !c.Addr.IsValid()
	switch {
	case local != (r.Type == "local"), r.Type == "hostssl" && !c.TLS, r.Type == "hostnossl" && c.TLS:
		return false
	case !local && !r.AnyAddress && !r.Address.Contains(c.Addr.Unmap()):
		return false
	}
	database := slices.ContainsFunc(r.Databases, func(d string) bool {
		return d == "all" || d == "sameuser" && c.Database == c.User || strings.TrimPrefix(d, "=") == c.Database
	})
	return database && slices.ContainsFunc(r.Users, func(u string) bool {
		if group, is := strings.CutPrefix(u, "+"); is {
			return c.MemberOf != nil && c.MemberOf(group)
		}
		return u == "all" || strings.TrimPrefix(u, "=") == c.User
	})
}
