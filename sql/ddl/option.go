package ddl

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/cairndb/cairn/kv/allocator"
	"github.com/cairndb/cairn/schema"
	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/types"
)

// Storage parameters of tables. Those of Postgres are kept for show, since they are in many scripts,
// and do nothing. Some are Cairn's own:
//
//	gc_ttl    how long what was updated or deleted stays readable in the past (cairn.read_as_of), and
//	          takes space: an interval, at least gcTTLMin. Without, cairn.gc_ttl of the cluster counts.
//	replicas  how many nodes have each row, replicasMin to replicasMax. Without, three.
//	locality  which nodes may: those started with a --locality that has all of these tiers. Without, any.
//
// What a table does not say of the last two, its database may (setDatabaseOption).
const (
	gcTTLOption    = "gc_ttl"
	replicasOption = "replicas"
	localityOption = "locality"
)

// replicasMin keeps a table from being lost with one node, replicasMax what a write costs.
const (
	replicasMin = 3
	replicasMax = 9
)

// gcTTLMin is shorter than any use but a test's; with less, statements would overtake it.
const gcTTLMin = time.Second

// setOptions gives a table storage parameters, in place of those of the same name.
func setOptions(t *schema.Table, opts []*pg.Node) error {
	for _, o := range opts {
		d := o.GetDefElem()
		if d == nil {
			continue
		}
		v := defString(d)
		if v == "" {
			v = "true"
		}
		switch d.Defname {
		case gcTTLOption:
			ttl, err := parseGCTTL(v)
			if err != nil {
				return err
			}
			t.GCTTL = ttl
		case replicasOption:
			n, err := parseReplicas(v)
			if err != nil {
				return err
			}
			t.Replicas = n
		case localityOption:
			if err := checkLocality(v); err != nil {
				return err
			}
			t.Locality = v
		}
		dropOption(t, d.Defname)
		t.Options = append(t.Options, d.Defname+"="+v)
	}
	return nil
}

func parseReplicas(v string) (int, error) {
	n, err := strconv.Atoi(v)
	if err != nil {
		return 0, sqlerr.New(sqlerr.InvalidParameterValue, "invalid value for integer option \"%s\": %s", replicasOption, v)
	}
	if n < replicasMin || n > replicasMax {
		return 0, sqlerr.New(sqlerr.InvalidParameterValue, "value %s out of bounds for option \"%s\"", v, replicasOption).
			WithDetail("Valid values are between \"%d\" and \"%d\".", replicasMin, replicasMax)
	}
	return n, nil
}

func checkLocality(v string) error {
	if _, err := allocator.ParseLocality(v); err != nil {
		return sqlerr.New(sqlerr.InvalidParameterValue, "invalid value for option \"%s\": %v", localityOption, err)
	}
	return nil
}

// setDatabaseOption gives a database what CREATE and ALTER DATABASE … WITH say of the replicas of its
// tables; DEFAULT takes it away. It reports whether the option is one of these.
//
// They are options in the grammar of Postgres, as CONNECTION LIMIT is one. ALTER DATABASE … SET, which
// would look more like ALTER TABLE … SET (…), gives the sessions in a database their defaults in Postgres.
func setDatabaseOption(db *schema.Database, d *pg.DefElem) (known bool, err error) {
	v := ""
	if d.Arg != nil {
		v = cmp.Or(defString(d), "true")
	}
	switch d.Defname {
	case replicasOption:
		db.Replicas = 0
		if v != "" {
			db.Replicas, err = parseReplicas(v)
		}
	case localityOption:
		if v != "" {
			err = checkLocality(v)
		}
		db.Locality = v
	default:
		return false, nil
	}
	return true, err
}

// resetOptions takes storage parameters away.
func resetOptions(t *schema.Table, opts []*pg.Node) {
	for _, o := range opts {
		if d := o.GetDefElem(); d != nil {
			dropOption(t, d.Defname)
			switch d.Defname {
			case gcTTLOption:
				t.GCTTL = 0
			case replicasOption:
				t.Replicas = 0
			case localityOption:
				t.Locality = ""
			}
		}
	}
}

func dropOption(t *schema.Table, name string) {
	t.Options = slices.DeleteFunc(slices.Clone(t.Options), func(o string) bool { return strings.HasPrefix(o, name+"=") })
}

func parseGCTTL(v string) (time.Duration, error) {
	iv, err := types.ParseInterval(v)
	// Nobody needs it to the day: a month has 30.
	days := int64(iv.Months)*30 + int64(iv.Days)
	const daysMax = math.MaxInt64 / int64(24*time.Hour) / 2
	if err != nil || days < 0 || days > daysMax || iv.Micros < 0 || iv.Micros > daysMax*24*3600*1e6 {
		return 0, sqlerr.New(sqlerr.InvalidParameterValue, "invalid value for interval option \"%s\": %s", gcTTLOption, v).
			WithHint("Give an interval as '10 minutes' or '2 days'.")
	}
	ttl := time.Duration(days)*24*time.Hour + time.Duration(iv.Micros)*time.Microsecond
	if ttl < gcTTLMin {
		return 0, sqlerr.New(sqlerr.InvalidParameterValue, "value %s out of bounds for option \"%s\"", v, gcTTLOption).
			WithDetail("The shortest is %s.", gcTTLMin)
	}
	return ttl, nil
}
