package tpch

import (
	"fmt"
	"strconv"
	"time"
)

// Table is one of the eight tables.
type Table struct {
	Name    string
	Columns string // of CREATE TABLE, with the primary key
	// Indexes are CREATE INDEX's columns: those of foreign keys that no key begins with.
	Indexes []string
	count   func(s sizes) int
	row     func(w *writer, s sizes, i int)
}

// sizes are the numbers of rows at a scale.
type sizes struct{ suppliers, parts, customers, orders int }

func sizesAt(scale float64) sizes {
	at := func(n, lo int) int { return max(int(float64(n)*scale+0.5), lo) }
	return sizes{at(10_000, 10), at(200_000, 20), at(150_000, 15), at(1_500_000, 150)}
}

// Tables in an order in which what is referred to comes first.
var Tables = []Table{
	{Name: "region", Columns: `r_regionkey int PRIMARY KEY, r_name char(25) NOT NULL, r_comment varchar(152)`,
		count: func(sizes) int { return len(regions) }, row: region},
	{Name: "nation", Columns: `n_nationkey int PRIMARY KEY, n_name char(25) NOT NULL, n_regionkey int NOT NULL, n_comment varchar(152)`,
		Indexes: []string{"n_regionkey"}, count: func(sizes) int { return len(nations) }, row: nation},
	{Name: "supplier", Columns: `s_suppkey int PRIMARY KEY, s_name char(25) NOT NULL, s_address varchar(40) NOT NULL,
		s_nationkey int NOT NULL, s_phone char(15) NOT NULL, s_acctbal decimal(15,2) NOT NULL, s_comment varchar(101) NOT NULL`,
		Indexes: []string{"s_nationkey"}, count: func(s sizes) int { return s.suppliers }, row: supplier},
	{Name: "part", Columns: `p_partkey int PRIMARY KEY, p_name varchar(55) NOT NULL, p_mfgr char(25) NOT NULL, p_brand char(10) NOT NULL,
		p_type varchar(25) NOT NULL, p_size int NOT NULL, p_container char(10) NOT NULL, p_retailprice decimal(15,2) NOT NULL,
		p_comment varchar(23) NOT NULL`,
		count: func(s sizes) int { return s.parts }, row: part},
	{Name: "partsupp", Columns: `ps_partkey int NOT NULL, ps_suppkey int NOT NULL, ps_availqty int NOT NULL,
		ps_supplycost decimal(15,2) NOT NULL, ps_comment varchar(199) NOT NULL, PRIMARY KEY (ps_partkey, ps_suppkey)`,
		Indexes: []string{"ps_suppkey"}, count: func(s sizes) int { return 4 * s.parts }, row: partsupp},
	{Name: "customer", Columns: `c_custkey int PRIMARY KEY, c_name varchar(25) NOT NULL, c_address varchar(40) NOT NULL,
		c_nationkey int NOT NULL, c_phone char(15) NOT NULL, c_acctbal decimal(15,2) NOT NULL, c_mktsegment char(10) NOT NULL,
		c_comment varchar(117) NOT NULL`,
		Indexes: []string{"c_nationkey"}, count: func(s sizes) int { return s.customers }, row: customer},
	{Name: "orders", Columns: `o_orderkey int PRIMARY KEY, o_custkey int NOT NULL, o_orderstatus char(1) NOT NULL,
		o_totalprice decimal(15,2) NOT NULL, o_orderdate date NOT NULL, o_orderpriority char(15) NOT NULL, o_clerk char(15) NOT NULL,
		o_shippriority int NOT NULL, o_comment varchar(79) NOT NULL`,
		Indexes: []string{"o_custkey", "o_orderdate"}, count: func(s sizes) int { return s.orders }, row: order},
	{Name: "lineitem", Columns: `l_orderkey int NOT NULL, l_partkey int NOT NULL, l_suppkey int NOT NULL, l_linenumber int NOT NULL,
		l_quantity decimal(15,2) NOT NULL, l_extendedprice decimal(15,2) NOT NULL, l_discount decimal(15,2) NOT NULL,
		l_tax decimal(15,2) NOT NULL, l_returnflag char(1) NOT NULL, l_linestatus char(1) NOT NULL, l_shipdate date NOT NULL,
		l_commitdate date NOT NULL, l_receiptdate date NOT NULL, l_shipinstruct char(25) NOT NULL, l_shipmode char(10) NOT NULL,
		l_comment varchar(44) NOT NULL, PRIMARY KEY (l_orderkey, l_linenumber)`,
		Indexes: []string{"l_partkey, l_suppkey", "l_shipdate"}, count: func(s sizes) int { return s.orders }, row: lineitems},
}

// Rows calls yield with chunks of the table's rows in COPY's text format. The chunk may not be kept.
// For lineitem one "row" of the generator is all the lines of an order.
func (t *Table) Rows(scale float64, yield func([]byte) error) error {
	s := sizesAt(scale)
	w := &writer{}
	for i := range t.count(s) {
		t.row(w, s, i)
		if len(w.buf) >= chunkBytes {
			if err := yield(w.buf); err != nil {
				return err
			}
			w.buf = w.buf[:0]
		}
	}
	return yield(w.buf)
}

const chunkBytes = 64 << 10

// writer makes lines of COPY's text format: every value is followed by a tab, which the end of the
// line replaces.
type writer struct {
	buf   []byte
	lines lineBuf
}

func (w *writer) int(n int) { w.buf = append(strconv.AppendInt(w.buf, int64(n), 10), '\t') }

// cents writes a decimal of two digits after the point.
func (w *writer) cents(n int) {
	if n < 0 {
		w.buf = append(w.buf, '-')
		n = -n
	}
	w.buf = strconv.AppendInt(w.buf, int64(n/100), 10)
	w.buf = append(w.buf, '.', byte('0'+n/10%10), byte('0'+n%10), '\t')
}

func (w *writer) str(s string) {
	w.buf = append(w.buf, s...)
	w.buf = append(w.buf, '\t')
}

func (w *writer) keyed(prefix string, n int) { w.str(fmt.Sprintf("%s#%09d", prefix, n)) }

func (w *writer) end() { w.buf[len(w.buf)-1] = '\n' }

func (w *writer) phone(r *random, nation int) {
	w.str(fmt.Sprintf("%d-%d-%d-%d", nation+10, r.between(100, 999), r.between(100, 999), r.between(1000, 9999)))
}

// date writes a day counted from 1992-01-01.
func (w *writer) date(day int) { w.str(firstDay.AddDate(0, 0, day).Format(time.DateOnly)) }

var firstDay = time.Date(1992, 1, 1, 0, 0, 0, 0, time.UTC)

const (
	lastOrderDay = 2405 // 1998-08-02: the last of 1998 less 151 days
	currentDay   = 1263 // 1995-06-17, "today" of the specification
)

func region(w *writer, _ sizes, i int) {
	r := newRandom(1, uint64(i))
	w.int(i)
	w.str(regions[i])
	w.comment(&r, 31, 115)
	w.end()
}

func nation(w *writer, _ sizes, i int) {
	r := newRandom(2, uint64(i))
	w.int(i)
	w.str(nations[i].name)
	w.int(nations[i].region)
	w.comment(&r, 31, 114)
	w.end()
}

func supplier(w *writer, _ sizes, i int) {
	r := newRandom(3, uint64(i))
	w.int(i + 1)
	w.keyed("Supplier", i+1)
	w.address(&r)
	n := r.between(0, len(nations)-1)
	if i < len(nations) {
		n = i // so that at small scales too each nation has one
	}
	w.int(n)
	w.phone(&r, n)
	w.cents(r.between(-99_999, 999_999))
	switch { // the specification: 5 in 10,000 complain, 5 recommend; here more, so that small scales have some
	case i%400 == 7:
		w.str("slyly final Customer sleep Complaints. carefully")
	case i%400 == 207:
		w.str("slyly final Customer sleep Recommends. carefully")
	default:
		w.comment(&r, 25, 100)
	}
	w.end()
}

// price is a part's retail price in cents.
func price(part int) int { return 90_000 + part/10%20_001 + 100*(part%1000) }

func part(w *writer, _ sizes, i int) {
	r := newRandom(4, uint64(i))
	w.int(i + 1)
	w.words(r.pick(colors), r.pick(colors), r.pick(colors), r.pick(colors), r.pick(colors))
	w.buf[len(w.buf)-1] = '\t'
	m := r.between(1, 5)
	w.str("Manufacturer#" + strconv.Itoa(m))
	w.str("Brand#" + strconv.Itoa(m*10+r.between(1, 5)))
	w.str(r.pick(types1) + " " + r.pick(types2) + " " + r.pick(types3))
	w.int(r.between(1, 50))
	w.str(r.pick(containers) + " " + r.pick(vessels))
	w.cents(price(i + 1))
	w.comment(&r, 5, 22)
	w.end()
}

// supplierOf is the k-th of a part's four suppliers. The step between them stays below a third of
// all, which changes the specification's formula only for fewer than 240 suppliers, where it would
// name one twice.
func supplierOf(s sizes, part, k int) int {
	step := s.suppliers/4 + (part-1)/s.suppliers%(s.suppliers/3-s.suppliers/4)
	return (part+k*step)%s.suppliers + 1
}

func partsupp(w *writer, s sizes, i int) {
	r := newRandom(5, uint64(i))
	p := i/4 + 1
	w.int(p)
	w.int(supplierOf(s, p, i%4))
	w.int(r.between(1, 9999))
	w.cents(r.between(100, 100_000))
	w.comment(&r, 49, 198)
	w.end()
}

func customer(w *writer, _ sizes, i int) {
	r := newRandom(6, uint64(i))
	w.int(i + 1)
	w.keyed("Customer", i+1)
	w.address(&r)
	n := r.between(0, len(nations)-1)
	w.int(n)
	w.phone(&r, n)
	w.cents(r.between(-99_999, 999_999))
	w.str(r.pick(segments))
	w.comment(&r, 29, 116)
	w.end()
}

// line is one line of an order.
type line struct {
	part, supplier, quantity, price, discount, tax, ship, commit, receipt int
}

type lineBuf [7]line

// orderOf makes the parts of order i that both its row and its lines need.
func orderOf(s sizes, i int, buf *lineBuf) (day int, lines []line, r random) {
	r = newRandom(7, uint64(i))
	day = r.between(0, lastOrderDay)
	lines = buf[:r.between(1, 7)]
	for k := range lines {
		l := &lines[k]
		l.part = r.between(1, s.parts)
		l.supplier = supplierOf(s, l.part, r.between(0, 3))
		l.quantity = r.between(1, 50)
		l.price = l.quantity * price(l.part)
		l.discount, l.tax = r.between(0, 10), r.between(0, 8)
		l.ship = day + r.between(1, 121)
		l.commit = day + r.between(30, 90)
		l.receipt = l.ship + r.between(1, 30)
	}
	return day, lines, r
}

// orderKey leaves three quarters of the keys free, as the specification does.
func orderKey(i int) int { return i/8*32 + i%8 + 1 }

func order(w *writer, s sizes, i int) {
	day, lines, r := orderOf(s, i, &w.lines)
	total, open := 0, 0
	for _, l := range lines {
		total += l.price * (100 + l.tax) / 100 * (100 - l.discount) / 100
		if l.ship > currentDay {
			open++
		}
	}
	w.int(orderKey(i))
	w.int(r.between(0, (s.customers-1)/3)*3 + r.between(1, 2)) // a third of the customers never order
	switch open {
	case 0:
		w.str("F")
	case len(lines):
		w.str("O")
	default:
		w.str("P")
	}
	w.cents(total)
	w.date(day)
	w.str(r.pick(priorities))
	w.keyed("Clerk", r.between(1, max(s.suppliers/10, 1)))
	w.int(0)
	w.comment(&r, 19, 78)
	w.end()
}

func lineitems(w *writer, s sizes, i int) {
	_, lines, r := orderOf(s, i, &w.lines)
	for k, l := range lines {
		w.int(orderKey(i))
		w.int(l.part)
		w.int(l.supplier)
		w.int(k + 1)
		w.cents(100 * l.quantity)
		w.cents(l.price)
		w.cents(l.discount)
		w.cents(l.tax)
		switch {
		case l.receipt > currentDay:
			w.str("N")
		case r.between(0, 1) == 0:
			w.str("R")
		default:
			w.str("A")
		}
		if l.ship > currentDay {
			w.str("O")
		} else {
			w.str("F")
		}
		w.date(l.ship)
		w.date(l.commit)
		w.date(l.receipt)
		w.str(r.pick(instructs))
		w.str(r.pick(modes))
		w.comment(&r, 10, 43)
		w.end()
	}
}
