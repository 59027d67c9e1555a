package jsonpath

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/cairndb/cairn/sql/types"
)

func add(_ string, a, _ types.Datum) (types.Datum, error) { return a, nil }

// TestPaths has what PostgreSQL 15 answers; acceptance/postgresdiff has more of it.
func TestPaths(t *testing.T) {
	doc, err := types.ParseJSON(`{"a":[1,2,{"b":"x"}],"n":null}`)
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"$.a[*]":                       `1, 2, {"b":"x"}`,
		"lax $.a.b":                    `"x"`,
		"strict $.a.b":                 "2203A jsonpath member accessor can only be applied to an object",
		"$.a[last]":                    `{"b":"x"}`,
		"$.a[0 to 1] ? (@ > 1)":        "2",
		"$.**.b":                       `"x", "x"`,
		"$.n == null":                  "true",
		"$.a[*] > 1":                   "true",
		"($.a[2].b > 1) is unknown":    "true",
		"strict $.c":                   `2203A JSON object does not contain key "c"`,
		"$.a.":                         "42601 syntax error at end of jsonpath input",
		"$.a[*":                        "42601 syntax error at end of jsonpath input",
		"$ ? (@.a":                     "42601 syntax error at end of jsonpath input",
		"$.a )":                        `42601 syntax error at or near ")" of jsonpath input`,
		strings.Repeat("(", 300) + "$": "54001 stack depth limit exceeded",
	} {
		if got := answer(path, doc); got != want {
			t.Errorf("%.40s: %s, want %s", path, got, want)
		}
	}
}

func answer(path string, doc types.JSONValue) string {
	p, err := Parse(path)
	if err == nil {
		var q *Query
		if q, err = p.On(doc, types.JSONValue{Kind: types.JSONObject}, add); err == nil {
			var items []types.JSONValue
			if items, err = q.Items(); err == nil {
				var out []string
				for _, v := range items {
					out = append(out, string(types.AppendJSON(nil, v, false)))
				}
				return strings.Join(out, ", ")
			}
		}
	}
	type coded interface{ SQLState() string }
	if c, ok := err.(coded); ok {
		return c.SQLState() + " " + err.Error()
	}
	return err.Error()
}

// TestNoPanic: whatever the text, there is an answer or an error.
func TestNoPanic(t *testing.T) {
	doc, _ := types.ParseJSON(`{"a":[1,{"b":[]},"s",null,true],"k":{"a":-1.5}}`)
	words := []string{"$", "@", ".", "a", "k", "*", "**", "{1 to 2}", "[", "]", "(", ")", "?", "==", "<", "&&", "||", "!", "1", "-", "+", "/", "%",
		"\"s\"", "$x", "last", " to ", ",", " starts with ", " like_regex ", " is unknown", "exists", ".size()", ".type()", ".double()", ".keyvalue()", "strict ", "null", "\\", "'"}
	rapid.Check(t, func(t *rapid.T) {
		path := "$" + strings.Join(rapid.SliceOfN(rapid.SampledFrom(words), 0, 12).Draw(t, "words"), "")
		_ = answer(path, doc)
	})
}
