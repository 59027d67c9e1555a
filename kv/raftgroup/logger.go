package raftgroup

import (
	"fmt"
	"log/slog"
)

// quietLogger keeps the library's warnings and errors and drops the rest
// unformatted: with many groups, information per election is noise and cost.
type quietLogger struct {
	log *slog.Logger
	id  ReplicaID
}

func (*quietLogger) Debug(...any)          {}
func (*quietLogger) Debugf(string, ...any) {}
func (*quietLogger) Info(...any)           {}
func (*quietLogger) Infof(string, ...any)  {}

func (l *quietLogger) Warning(v ...any) {
	if l.log != nil {
		l.log.Warn("raft: "+fmt.Sprint(v...), "replica", uint64(l.id))
	}
}
func (l *quietLogger) Warningf(f string, v ...any) {
	if l.log != nil {
		l.Warning(fmt.Sprintf(f, v...))
	}
}
func (l *quietLogger) Error(v ...any) {
	if l.log != nil {
		l.log.Error("raft: "+fmt.Sprint(v...), "replica", uint64(l.id))
	}
}
func (l *quietLogger) Errorf(f string, v ...any) {
	if l.log != nil {
		l.Error(fmt.Sprintf(f, v...))
	}
}

// The library calls Fatal and Panic for broken invariants only; the process
// must not answer anybody after one.
func (*quietLogger) Fatal(v ...any)            { panic("raft: " + fmt.Sprint(v...)) }
func (*quietLogger) Fatalf(f string, v ...any) { panic("raft: " + fmt.Sprintf(f, v...)) }
func (*quietLogger) Panic(v ...any)            { panic("raft: " + fmt.Sprint(v...)) }
func (*quietLogger) Panicf(f string, v ...any) { panic("raft: " + fmt.Sprintf(f, v...)) }
