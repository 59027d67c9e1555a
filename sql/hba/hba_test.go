package hba

import (
	"net/netip"
	"strings"
	"testing"
)

func client(db, user, addr string, tls bool) Client {
	c := Client{Database: db, User: user, TLS: tls, MemberOf: func(g string) bool { return g == "dba" && user == "ann" }}
	if addr != "" {
		c.Addr = netip.MustParseAddr(addr)
	}
	return c
}

func TestFirstRuleCounts(t *testing.T) {
	r, err := Parse(`
		# comments and empty lines do not count
		local   all          all                             trust
		hostssl all          +dba      all                   cert
		hostnossl all        all       10.1.0.0/16           reject
		host    shop,"all"   app       10.0.0.0 255.0.0.0    scram-sha-256
		host    sameuser     all       fe80::/10             md5; hostssl all bob 0.0.0.0/0 scram-sha-256 clientcert=verify-full
		host    all          all       127.0.0.1/32          trust`)
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		c    Client
		want Method
		none bool
	}{
		{client("x", "y", "", false), Trust, false},
		{client("x", "ann", "8.8.8.8", true), Cert, false},
		{client("x", "ann", "8.8.8.8", false), "", true},
		{client("shop", "app", "10.1.2.3", false), Reject, false},
		{client("shop", "app", "10.1.2.3", true), SCRAM, false},
		{client("shop", "app", "::ffff:10.2.2.3", false), SCRAM, false},
		{client("all", "app", "10.2.2.3", false), SCRAM, false},
		{client("other", "app", "10.2.2.3", false), "", true},
		{client("ann", "ann", "fe80::1", false), SCRAM, false},
		{client("x", "bob", "1.2.3.4", true), SCRAM, false},
		{client("x", "carl", "127.0.0.1", true), Trust, false},
		{client("x", "carl", "127.0.0.2", true), "", true},
	} {
		rule, ok := r.Match(tc.c)
		if !ok || (rule == nil) != tc.none || rule != nil && rule.Method != tc.want {
			t.Errorf("%+v: %+v", tc.c, rule)
		}
	}
	if _, ok := (*Rules)(nil).Match(client("x", "y", "", false)); ok {
		t.Error("no rules are not rules that refuse")
	}
}

func TestParseRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"hosts all all all trust":                             `rule 1: invalid connection type "hosts"`,
		"host all":                                            "rule 1: end-of-line before the user",
		"host all all":                                        "rule 1: end-of-line before IP address specification",
		"host all all all":                                    "rule 1: end-of-line before authentication method",
		"host all all all peer":                               `rule 1: invalid authentication method "peer"`,
		"host all all 10.0.0.1/8 trust":                       `rule 1: address "10.0.0.1/8" has bits beyond its mask`,
		"host all all db.example.com trust":                   `rule 1: "db.example.com" is no IP address, and host names are not supported`,
		"host all all 10.0.0.0 trust":                         `rule 1: invalid IP mask "trust"`,
		"host all all 10.0.0.0 255.0.255.0 trust":             `rule 1: invalid IP mask "255.0.255.0"`,
		"host all all all cert":                               "rule 1: cert authentication is only supported on hostssl connections",
		"hostssl all all all cert map=x":                      `rule 1: authentication option "map=x" is not supported`,
		"host all all all trust clientcert=verify-full":       "rule 1: clientcert can only be configured for \"hostssl\" rows",
		"local all all trust\nhost replication all all trust": `rule 2: database "replication" is not supported`,
	} {
		if _, err := Parse(text); err == nil || err.Error() != want {
			t.Errorf("%s: %v", text, err)
		}
	}
	for _, none := range []string{"", "\n# nothing\n;"} {
		if r, err := Parse(none); r != nil || err != nil {
			t.Errorf("%q: %v %v", none, r, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("host all all 10.0.0.0/8 trust;local a,b +c md5")
	f.Fuzz(func(t *testing.T, s string) {
		r, err := Parse(s)
		if err == nil && r != nil {
			r.Match(client("x", "y", "10.0.0.1", strings.Contains(s, "ssl")))
		}
	})
}
