package netstack

import (
	"fmt"
	"reflect"
	"sync/atomic"
	"unsafe"

	"gvisor.dev/gvisor/pkg/atomicbitops"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/seqnum"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
)

// This file is the only place that knows how gVisor lays out a TCP endpoint. Seven
// of its fields are needed that no option tells: how many bytes are queued or on
// their way (SIOCOUTQ elsewhere), how many segments are, the sequence numbers of the first that is not
// acknowledged and of the next to be sent, the slow start threshold, the most payload of a segment, and how much memory
// what has come takes. The last is atomic; the others are touched with the endpoint's lock held, and not otherwise.
// findEndpointLayout proves that they are there; where they are not, payload that goes out is copied, slow start ends as
// gVisor would have it, what may be on its way is bounded in bytes alone, and a path MTU may be lowered for a segment that is not on its way.

// endpointLayout holds the byte offsets of those fields.
type endpointLayout struct {
	known    bool
	used     uintptr // in tcp.Endpoint: SndBufUsed, an int
	sender   uintptr // in tcp.Endpoint: the *sender
	ssthresh uintptr // in sender: Ssthresh, an int
	payload  uintptr // in sender: MaxPayloadSize, an int
	segments uintptr // in sender: Outstanding, an int
	una, nxt uintptr // in sender: SndUna and SndNxt, seqnum.Values
	rcvMem   uintptr // in tcp.Endpoint: rcvMemUsed, an atomic int32
}

func findEndpointLayout() (endpointLayout, error) {
	var l endpointLayout
	ep := reflect.TypeFor[tcp.Endpoint]()
	queue, ok := ep.FieldByName("sndQueueInfo")
	if !ok || queue.Type.Kind() != reflect.Struct {
		return l, fmt.Errorf("netstack: tcp.Endpoint has no sndQueueInfo")
	}
	used, err := fieldIn[int](queue.Type, reflect.TypeFor[tcp.TCPSndBufState](), "SndBufUsed")
	if err != nil {
		return l, err
	}
	snd, ok := ep.FieldByName("snd")
	if !ok || snd.Type.Kind() != reflect.Pointer || snd.Type.Elem().Kind() != reflect.Struct {
		return l, fmt.Errorf("netstack: tcp.Endpoint has no sender")
	}
	ssthresh, err := fieldIn[int](snd.Type.Elem(), reflect.TypeFor[tcp.TCPSenderState](), "Ssthresh")
	if err != nil {
		return l, err
	}
	payload, err := fieldIn[int](snd.Type.Elem(), reflect.TypeFor[tcp.TCPSenderState](), "MaxPayloadSize")
	if err != nil {
		return l, err
	}
	segments, err := fieldIn[int](snd.Type.Elem(), reflect.TypeFor[tcp.TCPSenderState](), "Outstanding")
	if err != nil {
		return l, err
	}
	una, err := fieldIn[seqnum.Value](snd.Type.Elem(), reflect.TypeFor[tcp.TCPSenderState](), "SndUna")
	if err != nil {
		return l, err
	}
	nxt, err := fieldIn[seqnum.Value](snd.Type.Elem(), reflect.TypeFor[tcp.TCPSenderState](), "SndNxt")
	if err != nil {
		return l, err
	}
	held, ok := ep.FieldByName("rcvMemUsed")
	if !ok || held.Type != reflect.TypeFor[atomicbitops.Int32]() {
		return l, fmt.Errorf("netstack: tcp.Endpoint has no rcvMemUsed")
	}
	value, ok := held.Type.FieldByName("value")
	if !ok || value.Type.Kind() != reflect.Int32 {
		return l, fmt.Errorf("netstack: an atomicbitops.Int32 has no value")
	}
	return endpointLayout{true, queue.Offset + used, snd.Offset, ssthresh, payload, segments, una, nxt, held.Offset + value.Offset}, nil
}

// fieldIn is the offset of the field called name, of type T, in a struct of type
// part that outer embeds.
func fieldIn[T any](outer, part reflect.Type, name string) (uintptr, error) {
	embedded, ok := outer.FieldByName(part.Name())
	if !ok || embedded.Type != part || len(embedded.Index) != 1 {
		return 0, fmt.Errorf("netstack: %v does not embed %v", outer, part)
	}
	field, ok := part.FieldByName(name)
	if !ok || field.Type != reflect.TypeFor[T]() || len(field.Index) != 1 {
		return 0, fmt.Errorf("netstack: %v has no %s of type %v", part, name, reflect.TypeFor[T]())
	}
	return embedded.Offset + field.Offset, nil
}

// unacked is how many bytes of ep are queued or on their way, and how many segments are on their way, or 0 if that can't
// be known. Like the others it takes ep's lock, and so must not be called from
// a waiter's callback.
func (l endpointLayout) unacked(ep tcpip.Endpoint) (n, segments int) {
	l.withSender(ep, func(snd unsafe.Pointer) {
		n = *(*int)(unsafe.Add(unsafe.Pointer(ep.(*tcp.Endpoint)), l.used))
		segments = *(*int)(unsafe.Add(snd, l.segments))
	})
	return max(n, 0), segments // an acknowledged FIN counts as one byte that was never there
}

// held is how much memory takes what has come to ep and was not read, in order or not;
// false if that can't be known.
func (l endpointLayout) held(ep tcpip.Endpoint) (n int, ok bool) {
	e, ok := ep.(*tcp.Endpoint)
	if !ok || !l.known {
		return 0, false
	}
	return int((*atomic.Int32)(unsafe.Add(unsafe.Pointer(e), l.rcvMem)).Load()), true
}

// withSender calls f with the sender of ep, if it has one and its layout is known, and
// reports whether it did.
func (l endpointLayout) withSender(ep tcpip.Endpoint, f func(snd unsafe.Pointer)) bool {
	e, ok := ep.(*tcp.Endpoint)
	if !ok || !l.known {
		return false
	}
	e.LockUser()
	defer e.UnlockUser()
	snd := *(*unsafe.Pointer)(unsafe.Add(unsafe.Pointer(e), l.sender))
	if snd == nil {
		return false
	}
	f(snd)
	return true
}

// iss is the initial sequence number of an endpoint that has sent nothing but its
// SYN.
func (l endpointLayout) iss(ep tcpip.Endpoint) (iss uint32, ok bool) {
	ok = l.withSender(ep, func(snd unsafe.Pointer) {
		iss = uint32(*(*seqnum.Value)(unsafe.Add(snd, l.una))) - 1
	})
	return iss, ok
}

// maxPayload is the most payload of a segment that ep sends, without options but with room for them, or 0
// if that can't be known.
func (l endpointLayout) maxPayload(ep tcpip.Endpoint) (n int) {
	l.withSender(ep, func(snd unsafe.Pointer) { n = *(*int)(unsafe.Add(snd, l.payload)) })
	return n
}

// inFlight reports whether the byte at seq has been sent and not acknowledged, or whether that can't be
// known.
func (l endpointLayout) inFlight(ep tcpip.Endpoint, seq uint32) (in bool) {
	l.withSender(ep, func(snd unsafe.Pointer) {
		una, nxt := (*seqnum.Value)(unsafe.Add(snd, l.una)), (*seqnum.Value)(unsafe.Add(snd, l.nxt))
		in = seqnum.Value(seq).InRange(*una, *nxt)
	})
	return in || !l.known
}

// keepSlowStart has slow start end by loss alone. gVisor's CUBIC looks for its end
// by HyStart while the threshold has its initial value, and finds it at the first
// train of ACKs that lasts for half of a round trip: on a link whose round trips
// take some tens of microseconds, at once (docs/design.md, slow start).
func (l endpointLayout) keepSlowStart(ep tcpip.Endpoint) {
	l.withSender(ep, func(snd unsafe.Pointer) {
		if ssthresh := (*int)(unsafe.Add(snd, l.ssthresh)); *ssthresh == tcp.InitialSsthresh {
			*ssthresh--
		}
	})
}
