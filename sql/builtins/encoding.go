package builtins

import (
	"crypto/md5"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/types"
)

func encodingFuncs() []Overload {
	tx, by := types.Text, types.Bytea
	md := func(_ ectx, a datum) (datum, error) {
		sum := md5.Sum([]byte(a.Str()))
		return text(hex.EncodeToString(sum[:]))
	}
	out := []Overload{
		f1("md5", tx, tx, "MD5 in hexadecimal", md), f1("md5", by, tx, "MD5 in hexadecimal", md),
		f1("sha256", by, by, "SHA-256", func(_ ectx, a datum) (datum, error) {
			s := sha256.Sum256([]byte(a.Str()))
			return types.NewBytes(string(s[:])), nil
		}),
		f1("sha512", by, by, "SHA-512", func(_ ectx, a datum) (datum, error) {
			s := sha512.Sum512([]byte(a.Str()))
			return types.NewBytes(string(s[:])), nil
		}),
		f2("encode", by, tx, tx, "bytes as hex, base64 or escape", encode), f2("decode", tx, tx, by, "inverse of encode", decode),
		f1("to_hex", types.Int4, tx, "in hexadecimal", func(_ ectx, a datum) (datum, error) { return text(strconv.FormatUint(uint64(uint32(a.Int())), 16)) }),
		f1("to_hex", types.Int8, tx, "in hexadecimal", func(_ ectx, a datum) (datum, error) { return text(strconv.FormatUint(uint64(a.Int()), 16)) }),
		fn("gen_random_uuid", nil, types.UUID, "a random UUID (version 4)", func(ectx, []datum) (datum, error) {
			return types.NewUUID(uuid.New()), nil
		}).volatile(),
		f2("convert_from", by, tx, tx, "bytes of an encoding as text", func(ec ectx, a, e datum) (datum, error) {
			if n := strings.ToUpper(e.Str()); n != "UTF8" && n != "UTF-8" {
				return types.Null, sqlerr.Unsupported("encoding \"%s\"", e.Str())
			}
			return types.ParseText(types.Text, a.Str(), ec.env())
		}),
		f2("convert_to", tx, tx, by, "text as bytes of an encoding", func(_ ectx, a, e datum) (datum, error) {
			if n := strings.ToUpper(e.Str()); n != "UTF8" && n != "UTF-8" {
				return types.Null, sqlerr.Unsupported("encoding \"%s\"", e.Str())
			}
			return types.NewBytes(a.Str()), nil
		}),
	}
	return out
}

func encode(_ ectx, a, f datum) (datum, error) {
	switch strings.ToLower(f.Str()) {
	case "hex":
		return text(hex.EncodeToString([]byte(a.Str())))
	case "base64":
		s, b := base64.StdEncoding.EncodeToString([]byte(a.Str())), strings.Builder{}
		for ; len(s) > 76; s = s[76:] {
			b.WriteString(s[:76] + "\n")
		}
		return text(b.String() + s)
	case "escape":
		var b strings.Builder
		for _, c := range []byte(a.Str()) {
			switch {
			case c == '\\':
				b.WriteString(`\\`)
			case c == 0 || c >= 0x80:
				b.Write([]byte{'\\', '0' + c>>6, '0' + c>>3&7, '0' + c&7})
			default:
				b.WriteByte(c)
			}
		}
		return text(b.String())
	}
	return types.Null, badEncoding(f)
}

func badEncoding(f datum) error {
	return sqlerr.New(sqlerr.InvalidParameterValue, "unrecognized encoding: \"%s\"", f.Str())
}

func decode(_ ectx, a, f datum) (datum, error) {
	clean := strings.Join(strings.Fields(a.Str()), "")
	switch strings.ToLower(f.Str()) {
	case "hex":
		return types.ParseText(types.Bytea, `\x`+clean, nil)
	case "base64":
		b, err := base64.StdEncoding.DecodeString(clean)
		if err != nil {
			return types.Null, sqlerr.New(sqlerr.InvalidParameterValue, "invalid base64 end sequence").
				WithHint("Input data is missing padding, is truncated, or is otherwise corrupted.")
		}
		return types.NewBytes(string(b)), nil
	case "escape":
		return types.ParseText(types.Bytea, a.Str(), nil)
	}
	return types.Null, badEncoding(f)
}
