package check

import (
	"fmt"
	"maps"
	"slices"

	"github.com/cairndb/cairn/internal/testkit/history"
)

// Model reports whether each client's transactions on rows that only it uses
// find what it wrote: across transactions, within one, and after rollbacks to
// savepoints; also within a transaction that failed later. After one whose
// outcome nobody knows a client must go on under another name: it may happen at
// any time.
func Model(txns []history.ModelTxn) *Violation {
	byClient := map[history.Client][]history.ModelTxn{}
	for _, t := range txns {
		byClient[t.Client] = append(byClient[t.Client], t)
	}
	for _, c := range slices.Sorted(maps.Keys(byClient)) {
		own := byClient[c]
		slices.SortFunc(own, func(a, b history.ModelTxn) int { return int(a.Call - b.Call) })
		if v := oneModel(own); v != nil {
			return v
		}
	}
	return nil
}

type rows map[history.Key]history.Value

func oneModel(txns []history.ModelTxn) *Violation {
	state := rows{}
	var story []string
	for _, t := range txns {
		story = append(story, t.String())
		end, problem := replay(state, t)
		if problem != "" {
			const linesMax = 12
			return violation(WrongRead, append(story[max(0, len(story)-linesMax):], problem)...)
		}
		if t.Outcome == history.Info {
			return nil
		}
		if t.Outcome == history.OK {
			state = end
		}
	}
	return nil
}

// replay runs a transaction on a state. It returns the state after it, or what
// it found that is not so.
func replay(s rows, t history.ModelTxn) (rows, string) {
	now := maps.Clone(s)
	type savepoint struct {
		name history.Key
		at   rows
	}
	var saved []savepoint
	find := func(name history.Key) int {
		for i := len(saved) - 1; i >= 0; i-- {
			if saved[i].name == name {
				return i
			}
		}
		return -1
	}
	for _, step := range t.Steps {
		switch step.Kind {
		case history.ModelPut:
			now[step.Key] = step.Value
		case history.ModelDelete:
			delete(now, step.Key)
		case history.ModelSavepoint:
			saved = append(saved, savepoint{step.Key, maps.Clone(now)})
		case history.ModelRollback, history.ModelRelease:
			i := find(step.Key)
			if i < 0 {
				return nil, fmt.Sprintf("there is no savepoint %s", step.Key)
			}
			if step.Kind == history.ModelRollback {
				now, saved = maps.Clone(saved[i].at), saved[:i+1]
			} else {
				saved = saved[:i]
			}
		case history.ModelRead:
			if !maps.Equal(now, rows(step.Rows)) {
				return nil, fmt.Sprintf("it read %s and should have read %s", step, history.ModelStep{Kind: history.ModelRead, Rows: now})
			}
		}
	}
	return now, ""
}
