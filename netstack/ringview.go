package netstack

import (
	"fmt"
	"reflect"
	"sync/atomic"
	"unsafe"

	"gvisor.dev/gvisor/pkg/buffer"
)

// This file is the only place that knows how gVisor lays out a buffer.View. A
// View is a window on a refcounted chunk, and a chunk over buffer.MaxChunkSize
// is not pooled: one such chunk is pointed at a ring's mapping, and gVisor's
// packets then hold the ring's own memory. ringViewLayout proves the layout
// before anything relies on it; where it does not hold, payload is copied.

// viewLayout holds the byte offsets of the fields that are needed.
type viewLayout struct {
	chunk uintptr // in buffer.View: the *chunk
	data  uintptr // in chunk: the []byte
	refs  uintptr // in chunk: the int64 reference count, real references in the low 32 bits
}

// ringViewLayout finds the fields by name and type, and tries them.
func ringViewLayout() (viewLayout, error) {
	l, err := layoutOf(buffer.View{})
	if err != nil {
		return l, err
	}
	return l, l.try()
}

// layoutOf finds the fields in the type of view.
func layoutOf(view any) (l viewLayout, err error) {
	chunkField, ok := reflect.TypeOf(view).FieldByName("chunk")
	if !ok || chunkField.Type.Kind() != reflect.Pointer {
		return l, fmt.Errorf("netstack: buffer.View has no chunk pointer")
	}
	chunk := chunkField.Type.Elem()
	data, ok := chunk.FieldByName("data")
	if !ok || data.Type != reflect.TypeFor[[]byte]() {
		return l, fmt.Errorf("netstack: buffer chunk has no data []byte")
	}
	refs, ok := chunk.FieldByName("refCount")
	if !ok || refs.Type.Size() != 8 {
		return l, fmt.Errorf("netstack: buffer chunk has no 64-bit refCount")
	}
	// refCount is promoted from an embedded struct: its offset is relative to that.
	embedded := uintptr(0)
	if len(refs.Index) == 2 {
		embedded = chunk.Field(refs.Index[0]).Offset
	}
	return viewLayout{chunk: chunkField.Offset, data: data.Offset, refs: embedded + refs.Offset}, nil
}

// try makes a view of known memory and sees whether it behaves as one.
func (l viewLayout) try() error {
	mem := make([]byte, buffer.MaxChunkSize+4096)
	rv := l.over(mem)
	defer rv.release()
	part := rv.slice(100, 50)
	got := part.AsSlice()
	if len(got) != 50 || &got[0] != &mem[100] {
		part.Release()
		return fmt.Errorf("netstack: a view of a ring does not show the ring's memory")
	}
	if n := rv.others(); n != 1 {
		part.Release()
		return fmt.Errorf("netstack: a view's reference count reads %d, want 1", n)
	}
	if part.Release(); rv.others() != 0 {
		return fmt.Errorf("netstack: a released view is still counted")
	}
	return nil
}

// A ringView makes gVisor views of one ring's memory, and knows whether gVisor
// still holds any of them.
type ringView struct {
	whole *buffer.View
	refs  *atomic.Int64
}

// over returns the ringView of mem, which is longer than buffer.MaxChunkSize.
func (l viewLayout) over(mem []byte) ringView {
	v := buffer.NewView(1) // its chunk leaves the pool for good: it is large from now on
	chunk := *(*unsafe.Pointer)(unsafe.Add(unsafe.Pointer(v), l.chunk))
	*(*[]byte)(unsafe.Add(chunk, l.data)) = mem
	v.Grow(len(mem))
	return ringView{whole: v, refs: (*atomic.Int64)(unsafe.Add(chunk, l.refs))}
}

// slice returns a view of n bytes from i on. The receiver owns it.
func (r ringView) slice(i, n int) *buffer.View {
	v := r.whole.Clone()
	v.TrimFront(i)
	v.CapLength(n)
	return v
}

// others is the number of views that somebody else still holds. Only when it is
// zero may the ring be unmapped, or used for another stream.
func (r ringView) others() int { return int(int32(r.refs.Load())) - 1 }

// held reports whether there are any such views.
func (r ringView) held() bool { return r.whole != nil && r.others() > 0 }

func (r ringView) release() { r.whole.Release() }
