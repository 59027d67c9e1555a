package rpc

import (
	"fmt"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	_ "google.golang.org/grpc/encoding/proto" // the codec of the unary services
	"google.golang.org/grpc/mem"
)

// batch is a gRPC message of a stream: bytes as they are. If they are from a
// pool gRPC gives them back when it has written them.
type batch struct {
	bytes []byte
	pool  *buffers
}

// buffers keeps the memory of outgoing batches. gRPC may hold a message after
// SendMsg has returned; it counts the references to it, and puts it back here
// when there is none.
type buffers struct{ pool sync.Pool }

// Get implements mem.BufferPool.
func (p *buffers) Get(length int) *[]byte {
	if b, ok := p.pool.Get().(*[]byte); ok && cap(*b) >= length {
		*b = (*b)[:length]
		return b
	}
	b := make([]byte, length, max(length, bufferBytesMin))
	return &b
}

// Put implements mem.BufferPool.
func (p *buffers) Put(b *[]byte) {
	if cap(*b) <= bufferBytesMax {
		p.pool.Put(b)
	}
}

// codec passes batches through and hands everything else to protobuf, so that
// one gRPC server can serve streams and unary services.
type codec struct{ proto encoding.CodecV2 }

func newCodec() codec { return codec{proto: encoding.GetCodecV2("proto")} }

// Marshal implements encoding.CodecV2.
func (c codec) Marshal(v any) (mem.BufferSlice, error) {
	if b, ok := v.(*batch); ok {
		if b.pool != nil {
			return mem.BufferSlice{mem.NewBuffer(&b.bytes, b.pool)}, nil
		}
		return mem.BufferSlice{mem.SliceBuffer(b.bytes)}, nil
	}
	data, err := c.proto.Marshal(v)
	if err != nil {
		return nil, err
	}
	parts := make([][]byte, len(data))
	for i, b := range data {
		parts[i] = b.ReadOnlyData()
	}
	return append(data, mem.SliceBuffer(trailer(parts...))), nil
}

// Unmarshal implements encoding.CodecV2. The bytes of a batch are copied out
// of gRPC's buffers once, so that payloads may be kept.
func (c codec) Unmarshal(data mem.BufferSlice, v any) error {
	if b, ok := v.(*batch); ok {
		b.bytes = data.Materialize()
		return nil
	}
	b := data.MaterializeToBuffer(mem.DefaultBufferPool())
	defer b.Free()
	if _, err := checkTrailer(b.ReadOnlyData()); err != nil {
		return err
	}
	return c.proto.Unmarshal(mem.BufferSlice{b}, v)
}

// Name implements encoding.CodecV2.
func (codec) Name() string { return "proto" }

// streamServer is what the hand-written service description below calls.
type streamServer interface {
	serveStream(grpc.ServerStream) error
}

const (
	serviceName = "cairn.rpc.Stream"
	methodName  = "Frames"
)

// streamDesc describes the one streaming method: batches both ways.
func streamDesc() *grpc.ServiceDesc {
	return &grpc.ServiceDesc{
		ServiceName: serviceName,
		HandlerType: (*streamServer)(nil),
		Streams: []grpc.StreamDesc{{
			StreamName:    methodName,
			ServerStreams: true,
			ClientStreams: true,
			Handler: func(srv any, s grpc.ServerStream) error {
				ss, ok := srv.(streamServer)
				if !ok {
					return fmt.Errorf("rpc: %T serves no streams", srv)
				}
				return ss.serveStream(s)
			},
		}},
	}
}
