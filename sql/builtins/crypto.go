package builtins

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"hash"
	"strings"

	"github.com/google/uuid"

	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/types"
)

// Extensions are the extensions of Postgres whose functions, or the most used of them, are built
// in. CREATE EXTENSION accepts them; their functions are there without it.
func Extensions() map[string]string {
	return map[string]string{"pgcrypto": "1.3", "uuid-ossp": "1.1", "pg_stat_statements": "1.10"}
}

// digests are the algorithms of digest() and hmac().
var digests = map[string]func() hash.Hash{"md5": md5.New, "sha1": sha1.New, "sha224": sha256.New224, "sha256": sha256.New,
	"sha384": sha512.New384, "sha512": sha512.New}

func digestOf(name string) (func() hash.Hash, error) {
	if f := digests[strings.ToLower(name)]; f != nil {
		return f, nil
	}
	return nil, sqlerr.New(sqlerr.InvalidParameterValue, "Cannot use \"%s\": No such hash algorithm", name)
}

// cryptoFuncs are what pgcrypto and uuid-ossp are mostly used for. crypt() and the PGP functions are
// not among them.
func cryptoFuncs() []Overload {
	tx, by, uu := types.Text, types.Bytea, types.UUID
	var out []Overload
	for _, t := range []types.T{tx, by} {
		out = append(out,
			f2("digest", t, tx, by, "hash by an algorithm", func(_ ectx, a, alg datum) (datum, error) {
				f, err := digestOf(alg.Str())
				if err != nil {
					return types.Null, err
				}
				h := f()
				h.Write([]byte(a.Str()))
				return types.NewBytes(string(h.Sum(nil))), nil
			}),
			fn("hmac", []types.T{t, t, tx}, by, "keyed hash by an algorithm", func(_ ectx, a []datum) (datum, error) {
				f, err := digestOf(a[2].Str())
				if err != nil {
					return types.Null, err
				}
				h := hmac.New(f, []byte(a[1].Str()))
				h.Write([]byte(a[0].Str()))
				return types.NewBytes(string(h.Sum(nil))), nil
			}))
	}
	made := func(name, doc string, f func() (uuid.UUID, error)) Overload {
		return fn(name, nil, uu, doc, func(ectx, []datum) (datum, error) {
			u, err := f()
			return types.NewUUID(u), err
		}).volatile()
	}
	hashed := func(name, doc string, f func(space uuid.UUID, data []byte) uuid.UUID) Overload {
		return f2(name, uu, tx, uu, doc, func(_ ectx, space, name datum) (datum, error) {
			return types.NewUUID(f(space.UUID(), []byte(name.Str()))), nil
		})
	}
	for name, u := range map[string]uuid.UUID{"uuid_nil": uuid.Nil, "uuid_ns_dns": uuid.NameSpaceDNS, "uuid_ns_url": uuid.NameSpaceURL,
		"uuid_ns_oid": uuid.NameSpaceOID, "uuid_ns_x500": uuid.NameSpaceX500} {
		out = append(out, fn(name, nil, uu, "a constant of RFC 4122", func(ectx, []datum) (datum, error) { return types.NewUUID(u), nil }))
	}
	return append(out,
		f1("gen_random_bytes", types.Int4, by, "random bytes", func(_ ectx, n datum) (datum, error) {
			if n.Int() < 1 || n.Int() > 1024 {
				return types.Null, sqlerr.New("39000", "Length not in range")
			}
			b := make([]byte, n.Int())
			_, err := rand.Read(b)
			return types.NewBytes(string(b)), err
		}).volatile(),
		made("uuid_generate_v1", "a UUID of time and node (version 1)", uuid.NewUUID),
		made("uuid_generate_v1mc", "a UUID of time and a random node (version 1)", func() (uuid.UUID, error) {
			u, err := uuid.NewUUID()
			if err == nil {
				_, err = rand.Read(u[10:])
				u[10] |= 1 // a multicast address: no card's
			}
			return u, err
		}),
		made("uuid_generate_v4", "a random UUID (version 4)", uuid.NewRandom),
		hashed("uuid_generate_v3", "a UUID of a name, by MD5 (version 3)", uuid.NewMD5),
		hashed("uuid_generate_v5", "a UUID of a name, by SHA-1 (version 5)", uuid.NewSHA1))
}
