package history

import (
	"fmt"
	"strconv"
	"strings"
)

// ParseTxns reads a history of list transactions, one on a line:
//
//	client call return outcome: append x 1; r y [1 2]
//
// A return of ? is never. Empty lines and what follows # is ignored.
func ParseTxns(text string) ([]Txn, error) {
	var out []Txn
	err := eachLine(text, func(op Op, body string) error {
		t := Txn{Op: op}
		for _, part := range strings.Split(body, ";") {
			m, err := parseMicro(strings.TrimSpace(part))
			if err != nil {
				return err
			}
			t.Steps = append(t.Steps, m)
		}
		out = append(out, t)
		return nil
	})
	return out, err
}

// ParseRegisters reads a history of registers:
//
//	client call return outcome: read x 1 | write x 1 | cas x 1 2 yes
func ParseRegisters(text string) ([]RegisterOp, error) {
	var out []RegisterOp
	err := eachLine(text, func(op Op, body string) error {
		f := strings.Fields(body)
		r := RegisterOp{Op: op}
		if len(f) < 3 {
			return fmt.Errorf("%q is too short", body)
		}
		r.Key = Key(f[1])
		var err error
		switch f[0] {
		case "read":
			r.Value, err = parseValue(f[2])
		case "write":
			r.Kind = Write
			r.Value, err = parseValue(f[2])
		case "cas":
			if len(f) != 5 {
				return fmt.Errorf("%q: cas key expected value yes|no", body)
			}
			r.Kind, r.Swapped = CompareAndSet, f[4] == "yes"
			if r.Expected, err = parseValue(f[2]); err == nil {
				r.Value, err = parseValue(f[3])
			}
		default:
			err = fmt.Errorf("unknown operation %q", f[0])
		}
		out = append(out, r)
		return err
	})
	return out, err
}

// ParseHolds reads a history of locks:
//
//	client call return outcome: holds x | shares x
func ParseHolds(text string) ([]Hold, error) {
	var out []Hold
	err := eachLine(text, func(op Op, body string) error {
		f := strings.Fields(body)
		if len(f) != 2 || f[0] != "holds" && f[0] != "shares" {
			return fmt.Errorf("%q: want holds or shares, and a key", body)
		}
		out = append(out, Hold{Op: op, Key: Key(f[1]), Shared: f[0] == "shares"})
		return nil
	})
	return out, err
}

func eachLine(text string, f func(op Op, body string) error) error {
	for i, line := range strings.Split(text, "\n") {
		line, _, _ = strings.Cut(line, "#")
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		head, body, ok := strings.Cut(line, ":")
		h := strings.Fields(head)
		if !ok || len(h) != 4 {
			return fmt.Errorf("line %d: want client call return outcome: ...", i+1)
		}
		op, err := parseOp(h)
		if err == nil {
			err = f(op, body)
		}
		if err != nil {
			return fmt.Errorf("line %d: %w", i+1, err)
		}
	}
	return nil
}

func parseOp(h []string) (Op, error) {
	client, err := strconv.Atoi(h[0])
	if err != nil {
		return Op{}, err
	}
	call, err := strconv.ParseInt(h[1], 10, 64)
	if err != nil {
		return Op{}, err
	}
	op := Op{Client: Client(client), Call: Moment(call), Return: Never}
	if h[2] != "?" {
		ret, err := strconv.ParseInt(h[2], 10, 64)
		if err != nil {
			return Op{}, err
		}
		op.Return = Moment(ret)
	}
	for o, name := range outcomeNames {
		if name == h[3] {
			op.Outcome = Outcome(o)
			return op, nil
		}
	}
	return op, fmt.Errorf("unknown outcome %q", h[3])
}

func parseMicro(s string) (Micro, error) {
	verb, rest, _ := strings.Cut(s, " ")
	key, arg, _ := strings.Cut(strings.TrimSpace(rest), " ")
	m := Micro{Append: verb == "append", Key: Key(key)}
	switch verb {
	case "append":
		v, err := parseValue(strings.TrimSpace(arg))
		m.Value = v
		return m, err
	case "r":
		for _, f := range strings.Fields(strings.Trim(strings.TrimSpace(arg), "[]")) {
			v, err := parseValue(f)
			if err != nil {
				return m, err
			}
			m.List = append(m.List, v)
		}
		return m, nil
	}
	return m, fmt.Errorf("unknown step %q", s)
}

func parseValue(s string) (Value, error) {
	if s == "nil" {
		return Absent, nil
	}
	v, err := strconv.ParseInt(s, 10, 64)
	return Value(v), err
}
