package history

import (
	"fmt"
	"strconv"
	"strings"
)

// ParseSets reads a history of sets; a client is one session:
//
//	client call return outcome: add x 1 | read x [1 2] | read x [1 2] count 2 | read x [1 2] at 5
func ParseSets(text string) ([]SetOp, error) {
	var out []SetOp
	err := eachLine(text, func(op Op, body string) error {
		verb, rest, _ := strings.Cut(strings.TrimSpace(body), " ")
		key, rest, _ := strings.Cut(rest, " ")
		o := SetOp{Op: op, Key: Key(key), Session: int(op.Client), Count: -1}
		var err error
		switch verb {
		case "add":
			o.Add, err = parseValue(rest)
		case "read":
			list, at, past := strings.Cut(rest, " at ")
			if past {
				if o.At, err = strconv.ParseInt(at, 10, 64); err != nil {
					return err
				}
			}
			list, count, counted := strings.Cut(list, " count ")
			if counted {
				if o.Count, err = strconv.Atoi(count); err != nil {
					return err
				}
			}
			o.Values, err = parseList(list)
		default:
			err = fmt.Errorf("unknown operation %q", verb)
		}
		out = append(out, o)
		return err
	})
	return out, err
}

func parseList(s string) ([]Value, error) {
	var out []Value
	for _, f := range strings.Fields(strings.Trim(strings.TrimSpace(s), "[]")) {
		v, err := parseValue(f)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, nil
}

// ParseQueue reads a history of a queue:
//
//	client call return outcome: enqueue 1 | dequeue 1 | dequeue nil | left 1
func ParseQueue(text string) ([]QueueOp, error) {
	var out []QueueOp
	err := eachLine(text, func(op Op, body string) error {
		f := strings.Fields(body)
		if len(f) != 2 {
			return fmt.Errorf("%q: want a verb and a value", body)
		}
		for k, name := range queueNames {
			if name == f[0] {
				v, err := parseValue(f[1])
				out = append(out, QueueOp{op, QueueKind(k), v})
				return err
			}
		}
		return fmt.Errorf("unknown operation %q", f[0])
	})
	return out, err
}

// ParsePairs reads a history of pairs:
//
//	client call return outcome: insert x 1 | saw x 1
func ParsePairs(text string) ([]PairOp, error) {
	var out []PairOp
	err := eachLine(text, func(op Op, body string) error {
		f := strings.Fields(body)
		if len(f) != 3 || f[0] != "insert" && f[0] != "saw" {
			return fmt.Errorf("%q: want insert or saw, a key and a half", body)
		}
		half, err := strconv.Atoi(f[2])
		out = append(out, PairOp{op, Key(f[1]), half, f[0] == "insert"})
		return err
	})
	return out, err
}

// ParseModel reads a history of one client's rows:
//
//	client call return outcome: put a 1; savepoint s; delete a; rollback s; read [a=1]
func ParseModel(text string) ([]ModelTxn, error) {
	var out []ModelTxn
	err := eachLine(text, func(op Op, body string) error {
		t := ModelTxn{Op: op}
		for part := range strings.SplitSeq(body, ";") {
			s, err := parseModelStep(strings.TrimSpace(part))
			if err != nil {
				return err
			}
			t.Steps = append(t.Steps, s)
		}
		out = append(out, t)
		return nil
	})
	return out, err
}

func parseModelStep(text string) (ModelStep, error) {
	verb, rest, _ := strings.Cut(text, " ")
	for k, name := range modelNames {
		if name != verb {
			continue
		}
		s := ModelStep{Kind: ModelKind(k)}
		var err error
		switch s.Kind {
		case ModelRead:
			s.Rows = map[Key]Value{}
			for _, f := range strings.Fields(strings.Trim(rest, "[]")) {
				key, value, _ := strings.Cut(f, "=")
				if s.Rows[Key(key)], err = parseValue(value); err != nil {
					return s, err
				}
			}
		case ModelPut:
			key, value, _ := strings.Cut(rest, " ")
			s.Key = Key(key)
			s.Value, err = parseValue(value)
		default:
			s.Key = Key(rest)
		}
		return s, err
	}
	return ModelStep{}, fmt.Errorf("unknown step %q", text)
}
