package pushdown

import (
	"errors"
	"sync"

	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/sql/bind"
	"github.com/cairndb/cairn/sql/builtins"
	"github.com/cairndb/cairn/sql/contain"
	"github.com/cairndb/cairn/sql/exec"
	"github.com/cairndb/cairn/sql/tablekv"
)

// fragmentsMax bounds the texts that a node keeps compiled: a scan sends its own once a page.
const fragmentsMax = 64

// Programs implements kvapi.Programs.
type Programs struct {
	mu struct {
		sync.Mutex
		fragments map[string]*exec.Fragment
	}
}

// Compile implements kvapi.Programs.
func (p *Programs) Compile(text []byte) (kvapi.Program, error) {
	p.mu.Lock()
	f := p.mu.fragments[string(text)]
	p.mu.Unlock()
	if f == nil {
		err := contain.Do(func() (err error) {
			f, err = compile(text)
			return err
		})
		if err != nil {
			return nil, err
		}
		p.keep(string(text), f)
	}
	return f.Start(), nil
}

func (p *Programs) keep(text string, f *exec.Fragment) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.mu.fragments) >= fragmentsMax || p.mu.fragments == nil {
		p.mu.fragments = map[string]*exec.Fragment{}
	}
	p.mu.fragments[text] = f
}

func compile(text []byte) (*exec.Fragment, error) {
	var x program
	if err := x.UnmarshalWire(append([]byte(nil), text...)); err != nil {
		return nil, err
	}
	ic := tablekv.NewCodec(&x.Table).IndexByID(x.Index)
	if ic == nil {
		return nil, errForeign
	}
	n := len(x.Table.Columns)
	r := &reader{columns: n, used: map[int]bool{}}
	var c exec.Compiler
	out := &exec.Fragment{}
	filter, err := r.exprs(x.Filter)
	if err == nil && len(filter) > 0 {
		out.Filter, err = c.Compile(&bind.And{Args: filter})
	}
	if err == nil && x.Aggregate {
		out.Agg, err = aggregation(&x, r, &c)
	}
	if err != nil {
		return nil, err
	}
	at := make([]int, n)
	for i := range at {
		at[i] = -1
		if r.used[i] {
			if at[i] = i; !ic.Covers(i) {
				return nil, errForeign
			}
		}
	}
	out.Dec, out.Slots, out.States = ic.NewDecoder(at), n, c.States
	return out, nil
}

func aggregation(x *program, r *reader, c *exec.Compiler) (*exec.Agg, error) {
	out := &exec.Agg{Global: len(x.Groups) == 0, State: -1}
	groups, err := r.exprs(x.Groups)
	if err != nil {
		return nil, err
	}
	for _, g := range groups {
		e, err := c.Compile(g)
		if err != nil {
			return nil, err
		}
		out.Groups = append(out.Groups, exec.Item{E: e})
		out.GroupTypes = append(out.GroupTypes, g.Type())
	}
	for i := range x.Aggs {
		f, err := x.Aggs[i].compile(r, c)
		if err != nil {
			return nil, err
		}
		out.Funcs = append(out.Funcs, f)
	}
	return out, nil
}

func (a *aggregate) compile(r *reader, c *exec.Compiler) (f exec.AggFunc, err error) {
	f = exec.AggFunc{Name: a.Name, Star: a.Star}
	args, err := r.exprs(a.Args)
	if err != nil {
		return f, err
	}
	filter, err := r.exprs(a.Filter)
	if err != nil {
		return f, err
	}
	if len(filter) > 0 {
		if f.Filter, err = c.Compile(filter[0]); err != nil {
			return f, err
		}
	}
	if a.Star {
		return f, nil
	}
	f.ArgTypes = types1(args)
	m, err := builtins.ResolveFunc(a.Name, f.ArgTypes)
	if err != nil || m.Class != builtins.Aggregate {
		return f, errors.Join(err, errForeign)
	}
	f.New, f.Strict = m.NewAgg, m.Strict
	if f.Args, err = c.CompileAll(args); err == nil && !f.Mergeable() {
		err = errForeign
	}
	return f, err
}
