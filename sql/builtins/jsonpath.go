package builtins

import (
	"sync"

	"github.com/cairndb/cairn/sql/jsonpath"
	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/types"
)

// pathCache remembers the last paths of one function; it is safe for concurrent use.
type pathCache struct {
	mu struct {
		sync.Mutex
		m map[string]*jsonpath.Path
	}
}

const pathCacheMax = 64

func (c *pathCache) get(text string) (*jsonpath.Path, error) {
	c.mu.Lock()
	p := c.mu.m[text]
	c.mu.Unlock()
	if p != nil {
		return p, nil
	}
	p, err := jsonpath.Parse(text)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mu.m == nil || len(c.mu.m) >= pathCacheMax {
		c.mu.m = map[string]*jsonpath.Path{}
	}
	c.mu.m[text] = p
	return p, nil
}

// jsonPathFuncs are jsonb_path_query and its relatives, @? and @@. Of their arguments vars is an
// object of values for $name, and silent turns errors about the document into no result.
func jsonPathFuncs() []Overload {
	jb, jp, bo := types.JSONB, types.JSONPath, types.Bool
	cache := &pathCache{}
	args := []types.T{jb, jp, jb, bo}
	// run computes the path; with err nil and ok false there is no result.
	run := func(a []datum, silent bool) (q *jsonpath.Query, quiet bool, err error) {
		vars := types.JSONValue{Kind: types.JSONObject}
		if len(a) > 2 {
			vars = types.JSONOf(a[2])
		}
		if len(a) > 3 {
			silent = a[3].Bool()
		}
		p, err := cache.get(a[1].Str())
		if err != nil {
			return nil, false, err
		}
		q, err = p.On(types.JSONOf(a[0]), vars, pathArithmetic)
		return q, silent, err
	}
	items := func(a []datum, silent bool) ([]types.JSONValue, bool, error) {
		q, quiet, err := run(a, silent)
		if err != nil {
			return nil, false, err
		}
		out, err := q.Items()
		if err != nil && quiet {
			return nil, false, nil
		}
		return out, err == nil, err
	}
	exists := func(a []datum, silent bool) (datum, error) {
		out, ok, err := items(a, silent)
		if err != nil || !ok {
			return types.Null, err
		}
		return types.NewBool(len(out) > 0), nil
	}
	match := func(a []datum, silent bool) (datum, error) {
		q, quiet, err := run(a, silent)
		if err != nil {
			return types.Null, err
		}
		m, ok, err := q.Match()
		if err != nil && quiet {
			err = nil
		}
		if err != nil || !ok {
			return types.Null, err
		}
		return types.NewBool(m), nil
	}
	return []Overload{
		fn("jsonb_path_exists", args, bo, "whether a path finds anything", func(_ ectx, a []datum) (datum, error) { return exists(a, false) }).defaults(2),
		fn("jsonb_path_match", args, bo, "value of a path that is a predicate", func(_ ectx, a []datum) (datum, error) { return match(a, false) }).defaults(2),
		op2("@?", jb, jp, bo, "a path finds something", func(_ ectx, a, p datum) (datum, error) { return exists([]datum{a, p}, true) }),
		op2("@@", jb, jp, bo, "a path that is a predicate holds", func(_ ectx, a, p datum) (datum, error) { return match([]datum{a, p}, true) }),
		srf("jsonb_path_query", args, jb, "what a path finds", func(_ ectx, a []datum) (Rows, error) {
			out, _, err := items(a, false)
			if err != nil {
				return nil, err
			}
			vals := make([]datum, len(out))
			for i, v := range out {
				vals[i] = types.NewJSONB(v)
			}
			return single(vals), nil
		}).defaults(2),
		fn("jsonb_path_query_array", args, jb, "what a path finds, as an array", func(_ ectx, a []datum) (datum, error) {
			out, _, err := items(a, false)
			if err != nil {
				return types.Null, err
			}
			return types.NewJSONB(types.JSONValue{Kind: types.JSONArray, Elems: out}), nil
		}).defaults(2),
		fn("jsonb_path_query_first", args, jb, "the first that a path finds", func(_ ectx, a []datum) (datum, error) {
			out, _, err := items(a, false)
			if err != nil || len(out) == 0 {
				return types.Null, err
			}
			return types.NewJSONB(out[0]), nil
		}).defaults(2),
	}
}

// pathArithmetic computes as SQL's operators do.
func pathArithmetic(op string, a, b datum) (datum, error) {
	switch op {
	case "+":
		return addDecimals(nil, a, b)
	case "-":
		return subDecimals(nil, a, b)
	case "*":
		return mulDecimals(nil, a, b)
	case "/":
		return numericDiv(nil, a, b)
	case "%":
		return numericMod(nil, a, b)
	}
	return types.Null, sqlerr.Unsupported("the jsonpath operator %s", op)
}
