package rowenc

import (
	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/types"
)

// ColumnID is a column's number within its table, never reused.
type ColumnID = uint32

// AppendRow appends the value encoding of a row; ids ascend. NULLs take no space.
func AppendRow(b []byte, ids []ColumnID, ts []types.T, row []types.Datum) []byte { return b }

// RowDecoder decodes wanted columns of rows into fixed places of a caller's slice.
type RowDecoder struct{ cols []wantedColumn }

type wantedColumn struct {
	id  ColumnID
	t   types.T
	dst int
}

// NewRowDecoder plans the decoding of columns ids[i], of type ts[i], into dst[at[i]].
func NewRowDecoder(ids []ColumnID, ts []types.T, at []int) *RowDecoder { return &RowDecoder{} }

// Decode fills the wanted places of dst; columns absent from b become NULL. Text values alias b,
// which must not change while they are in use.
func (r *RowDecoder) Decode(b []byte, dst []types.Datum) error { return sqlerr.Unsupported("rows") }
