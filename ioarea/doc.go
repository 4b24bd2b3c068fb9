// Package ioarea is the IO area: a pair of rings for each stream, which the
// thread that receives fills and request handlers read and answer in place.
//
// The idea is from a mail to samba-technical of 18 November 2000; docs/design.md
// maps each of its parts to a file here.
//
// # Who owns what
//
// A [Ring] has one producer and one consumer, each a single goroutine at a
// time. Of an [Area]'s two rings the stream behind the area (the TCP stack, or
// a [Kernel] source) produces In and consumes Out; the handler consumes In and
// produces Out. The producer alone moves end, the consumer alone moves start,
// and no lock stands between them.
//
// A slice that [Ring.Peek] returns is the ring's own memory. It does not change
// until the consumer passes it to [Ring.Consume]; after that it must not be
// touched. A slice that [Ring.Reserve] returns is the producer's until
// [Ring.Commit] gives it to the consumer or [Ring.Cancel] forgets it. It holds
// whatever was there before, of this stream only: write all that is committed.
//
// Between the two a handler may have other memory stand for what it has reserved, with [Ring.Lend], if the consumer
// can do with that: one that only hands it to the kernel, and asks by [Ring.Borrow] in place of Peek.
//
// The handler ends its use of an area with [Area.Close] or [Area.Abort], and
// must not touch it afterwards: the stream behind it returns the memory to its
// [Pool] when nobody else can hold a part of it.
//
// # Use
//
//	type upper struct{}
//
//	func (upper) Handle(a *ioarea.Area) (ioarea.Next, error) {
//		for n := a.In.Len(); n > 0; n = a.In.Len() {
//			out, err := a.Out.Reserve(n, time.Minute) // a peer may never read
//			if err != nil {
//				return ioarea.Next{}, err
//			}
//			copy(out, bytes.ToUpper(a.In.Peek(n)))
//			a.In.Consume(n)
//			a.Out.Commit(n)
//		}
//		return ioarea.Next{Min: 1, Within: ioarea.Forever}, nil
//	}
//
//	err := ioarea.Serve(area, upper{})
package ioarea
