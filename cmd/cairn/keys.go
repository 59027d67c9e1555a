package main

import (
	"fmt"
	"strconv"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/cairndb/cairn/sql/rowenc"
	"github.com/cairndb/cairn/sql/types"
)

// appendIntKey appends an integer as the first column of an ascending index.
func appendIntKey(key []byte, s string) ([]byte, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return nil, fmt.Errorf("%q is no integer", s)
	}
	return rowenc.AppendKey(key, types.NewInt(n), types.Int8, false), nil
}

func alreadyInitialised(err error) bool { return status.Code(err) == codes.FailedPrecondition }
