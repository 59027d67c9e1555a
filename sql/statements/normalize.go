package statements

import (
	"strconv"
	"strings"
)

// Shape is what a statement has in common with those that differ in constants.
type Shape struct {
	// Text is the statement with $n for each constant.
	Text string
	// Number identifies it, pg_stat_statements.queryid; never 0.
	Number int64
}

// Options say which constants go.
type Options struct {
	// Strings only: of a statement that is not planned, whose numbers are part of
	// what it says (varchar(10)).
	StringsOnly bool
	// Keep leaves all constants, as PostgreSQL 15 does for statements that are not
	// planned.
	Keep bool
}

// Normalize finds a statement's shape. It takes any text; one that does not parse
// has some shape.
func Normalize(text string, o Options) Shape {
	n := normalizer{scanner: scanner{text: text}, o: o, hash: fnvOffset}
	n.next = highestParam(text) + 1
	n.run()
	return Shape{Text: n.result(), Number: n.number()}
}

// FNV-1a, whose numbers do not change between processes and versions.
const (
	fnvOffset uint64 = 14695981039346656037
	fnvPrime  uint64 = 1099511628211
)

type normalizer struct {
	scanner
	o    Options
	out  strings.Builder
	from int // what is before is in out
	hash uint64
	next int

	// prev and before are the last two tokens.
	prev, before token
	depth        int
	// by is the depth, plus one, of the list after ORDER BY or GROUP BY that is
	// read; 0: none is. A number alone in it names a column.
	by int
	// size is the depth, plus one, inside a type's modifier: varchar(10).
	size int
	// minus is where a sign begins that belongs to the next number; -1: nowhere.
	minus int
}

func (n *normalizer) run() {
	n.minus = -1
	for {
		t := n.scan()
		if t.kind == end {
			return
		}
		n.structure(t)
		switch {
		case n.isConstant(t):
			at := t.at
			if n.minus >= 0 && t.kind == number {
				at = n.minus
			} else if n.minus >= 0 {
				n.mix("-")
			}
			n.minus = -1
			n.replace(at, t.end)
		case t.kind == symbol && t.text == "-" && !n.o.Keep && !n.operand(): // mixed when it is known what it belongs to
			if n.minus >= 0 {
				n.mix("-")
			}
			n.minus = t.at
		default:
			if n.minus >= 0 {
				n.mix("-")
				n.minus = -1
			}
			n.mix(t.text)
		}
		n.before, n.prev = n.prev, t
	}
}

// structure follows brackets and lists.
func (n *normalizer) structure(t token) {
	switch {
	case t.kind == symbol && (t.text == "(" || t.text == "["):
		if n.size == 0 && n.prev.kind == word && sizedTypes[n.prev.text] {
			n.size = n.depth + 1
		}
		n.depth++
	case t.kind == symbol && (t.text == ")" || t.text == "]"):
		n.depth--
		if n.size == n.depth+1 {
			n.size = 0
		}
		if n.by > n.depth+1 {
			n.by = 0
		}
	case t.kind == word && t.text == "by":
		n.by = n.depth + 1
	case t.kind == word && n.by == n.depth+1 && endsList[t.text]:
		n.by = 0
	}
}

// sizedTypes are the types whose name a bracket with sizes may follow.
var sizedTypes = words("bit bpchar char character decimal float interval numeric time timestamp timestamptz timetz varbit varchar varying")

// endsList are the words after which ORDER BY's or GROUP BY's list has ended.
var endsList = words("except fetch for having intersect limit offset range rows groups union window")

// notOperands are words after which a minus is a sign.
var notOperands = words(`all and any as between by case distinct else except from having ilike in intersect is isnull like
	limit not notnull offset on or returning select set similar some then to union using values when where with`)

func words(list string) map[string]bool {
	m := map[string]bool{}
	for _, w := range strings.Fields(list) {
		m[w] = true
	}
	return m
}

// operand says whether the last token ends an operand, so that a minus after it is
// a subtraction.
func (n *normalizer) operand() bool {
	switch n.prev.kind {
	case word:
		return !notOperands[n.prev.text]
	case symbol:
		return n.prev.text == ")" || n.prev.text == "]"
	case start:
		return false
	}
	return true
}

func (n *normalizer) isConstant(t token) bool {
	if n.o.Keep || n.size > 0 {
		return false
	}
	switch t.kind {
	case quoted:
		return true
	case number:
		if n.o.StringsOnly {
			return false
		}
		item := n.by == n.depth+1 && (n.prev.kind == word && n.prev.text == "by" || n.prev.kind == symbol && n.prev.text == ",")
		return !item
	case word:
		if n.o.StringsOnly {
			return false
		}
		switch t.text {
		case "true", "false", "null":
			is := n.prev.kind == word && (n.prev.text == "is" || n.prev.text == "not" && n.before.text == "is")
			return !is
		}
	}
	return false
}

// replace puts a parameter in the place of a constant.
func (n *normalizer) replace(from, to int) {
	n.out.WriteString(n.text[n.from:from])
	n.out.WriteByte('$')
	n.out.WriteString(strconv.Itoa(n.next))
	n.next++
	n.from = to
	n.mix("\x01") // no token of its own
}

func (n *normalizer) mix(token string) {
	for i := range len(token) {
		n.hash = (n.hash ^ uint64(token[i])) * fnvPrime
	}
	n.hash = (n.hash ^ 0) * fnvPrime // tokens do not run into each other
}

func (n *normalizer) number() int64 {
	if n.hash == 0 {
		return 1
	}
	return int64(n.hash)
}

func (n *normalizer) result() string {
	text := n.text
	if n.from > 0 {
		n.out.WriteString(n.text[n.from:])
		text = n.out.String()
	}
	if len(text) > TextBytesMax {
		text = strings.ToValidUTF8(text[:TextBytesMax], "") + "…"
	}
	return strings.Clone(text)
}

// highestParam is the highest $n in a text, 0 if there is none.
func highestParam(text string) (n int) {
	s := scanner{text: text}
	for {
		switch t := s.scan(); t.kind {
		case end:
			return n
		case param:
			if i, err := strconv.Atoi(t.text[1:]); err == nil {
				n = max(n, i)
			}
		}
	}
}
