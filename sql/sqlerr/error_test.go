package sqlerr

import (
	"context"
	"errors"
	"fmt"
	"testing"
)

type stated struct{}

func (stated) Error() string    { return "restart" }
func (stated) SQLState() string { return "40001" }

func TestFrom(t *testing.T) {
	inner := New(UniqueViolation, "duplicate key %d", 1)
	for _, c := range []struct {
		err  error
		code Code
	}{
		{inner, UniqueViolation},
		{fmt.Errorf("insert: %w", inner), UniqueViolation},
		{fmt.Errorf("kv: %w", stated{}), SerializationFailure},
		{context.Canceled, QueryCanceled},
		{context.DeadlineExceeded, QueryCanceled},
		{errors.New("boom"), InternalError},
	} {
		if got := From(c.err); got == nil || got.Code != c.code {
			t.Errorf("From(%v) = %v, want %s", c.err, got, c.code)
		}
	}
	if From(nil) != nil {
		t.Error("From(nil) is not nil")
	}
}

func TestCodesAreWellFormed(t *testing.T) {
	for _, c := range []Code{SerializationFailure, DataCorrupted, InvalidGrantOperation, FeatureNotSupported} {
		if len(c) != 5 || c.Class() == "" {
			t.Errorf("malformed code %q", c)
		}
	}
}

func TestCharPosition(t *testing.T) {
	if got := CharPosition("sélect x", 8); got != 8 {
		t.Errorf("position = %d, want 8", got)
	}
	if got := CharPosition("select x", 7); got != 8 {
		t.Errorf("position = %d, want 8", got)
	}
}
