package check

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/cairndb/cairn/internal/testkit/history"
)

// decideMax bounds the search for one key, in real time. Histories of a few
// hundred operations take milliseconds.
const decideMax = 60 * time.Second

// Registers reports whether every register behaves as if its operations
// happened one after another, each at a moment between its call and return.
func Registers(ops []history.RegisterOp) *Violation {
	byKey := map[history.Key][]history.RegisterOp{}
	for _, o := range ops {
		byKey[o.Key] = append(byKey[o.Key], o)
	}
	for _, k := range slices.Sorted(maps.Keys(byKey)) {
		if v := oneRegister(byKey[k]); v != nil {
			return v
		}
	}
	return nil
}

func oneRegister(ops []history.RegisterOp) *Violation {
	h := operations(ops)
	switch porcupine.CheckOperationsTimeout(registerModel, h, decideMax) {
	case porcupine.Ok:
		return nil
	case porcupine.Unknown:
		return violation(Undecided, fmt.Sprintf("%d operations on one register", len(h)))
	}
	return violation(NotLinearizable, registerStory(ops)...)
}

// operations leaves out what had no effect and told nothing, and keeps open to
// the end what may yet take effect.
func operations(ops []history.RegisterOp) []porcupine.Operation {
	var out []porcupine.Operation
	for _, o := range ops {
		if o.Outcome == history.Fail || (o.Outcome == history.Info && o.Kind == history.Read) {
			continue
		}
		p := porcupine.Operation{ClientId: int(o.Client), Input: o, Call: int64(o.Call), Output: o, Return: int64(o.Return)}
		if o.Outcome == history.Info {
			p.Return = int64(history.Never)
		}
		out = append(out, p)
	}
	return out
}

var registerModel = porcupine.Model{
	Init: func() any { return history.Absent },
	Step: func(state, input, _ any) (bool, any) {
		now, o := state.(history.Value), input.(history.RegisterOp)
		switch o.Kind {
		case history.Read:
			return o.Value == now, now
		case history.Write:
			return true, o.Value
		}
		holds := o.Expected == now
		if o.Outcome == history.OK && o.Swapped != holds {
			return false, now
		}
		if holds {
			return true, o.Value
		}
		return true, now
	},
}

// registerStory shortens a history that is not linearizable to the shortest
// prefix, by return, that is not either, and then to what it cannot do without.
func registerStory(ops []history.RegisterOp) []string {
	bad := func(ops []history.RegisterOp) bool {
		return porcupine.CheckOperationsTimeout(registerModel, operations(ops), 5*time.Second) == porcupine.Illegal
	}
	slices.SortFunc(ops, func(a, b history.RegisterOp) int { return int(a.Call - b.Call) })
	ops = shortestBadPrefix(ops, bad)
	// Reads may be left out one by one; writes may not, or reads become garbage.
	for i := len(ops) - 1; i >= 0; i-- {
		if ops[i].Kind != history.Read {
			continue
		}
		without := slices.Delete(slices.Clone(ops), i, i+1)
		if bad(without) {
			ops = without
		}
	}
	var out []string
	for _, o := range ops {
		if o.Outcome != history.Fail {
			out = append(out, o.String())
		}
	}
	const linesMax = 40
	if len(out) > linesMax {
		out = append([]string{fmt.Sprintf("... %d earlier operations", len(out)-linesMax)}, out[len(out)-linesMax:]...)
	}
	return out
}

// shortestBadPrefix cuts the history at a moment: later calls go, and what had
// not returned by then stays open.
func shortestBadPrefix(ops []history.RegisterOp, bad func([]history.RegisterOp) bool) []history.RegisterOp {
	returns := make([]history.Moment, 0, len(ops))
	for _, o := range ops {
		if o.Outcome == history.OK {
			returns = append(returns, o.Return)
		}
	}
	slices.Sort(returns)
	cut := func(at history.Moment) []history.RegisterOp {
		var out []history.RegisterOp
		for _, o := range ops {
			if o.Call > at {
				continue
			}
			if o.Return > at && o.Outcome == history.OK {
				o.Outcome, o.Return = history.Info, history.Never
			}
			out = append(out, o)
		}
		return out
	}
	i, _ := slices.BinarySearchFunc(returns, true, func(at history.Moment, _ bool) int {
		if bad(cut(at)) {
			return 0
		}
		return -1
	})
	if i == len(returns) {
		return ops
	}
	return cut(returns[i])
}
