package tap

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// tcpFrame is a frame of a flow with data at a sequence number, its checksum left to the
// device; mss other than 0 makes it a GSO frame.
func tcpFrame(v6 bool, seq uint32, data []byte, mss int) []byte {
	ipLen := 20
	if v6 {
		ipLen = 40
	}
	f := make([]byte, HdrLen+ethHdrLen+ipLen+minTCPLen+len(data))
	p := f[HdrLen:]
	ip, tcp := p[ethHdrLen:ethHdrLen+ipLen], p[ethHdrLen+ipLen:]
	h := Hdr{Flags: FlagNeedsCsum, CsumStart: uint16(ethHdrLen + ipLen), CsumOffset: 16}
	if v6 {
		binary.BigEndian.PutUint16(p[12:], etherIPv6)
		ip[0], ip[6], ip[7] = 0x60, protoTCP, 64
		binary.BigEndian.PutUint16(ip[4:], uint16(len(tcp)))
		ip[23], ip[39] = 1, 2
		h.GSOType = GSOTCPv6
	} else {
		binary.BigEndian.PutUint16(p[12:], etherIPv4)
		ip[0], ip[8], ip[9] = 0x45, 64, protoTCP
		binary.BigEndian.PutUint16(ip[2:], uint16(len(ip)+len(tcp)))
		copy(ip[12:], []byte{10, 0, 0, 1, 10, 0, 0, 2})
		binary.BigEndian.PutUint16(ip[10:], ^refSum(ip, 0))
		h.GSOType = GSOTCPv4
	}
	binary.BigEndian.PutUint16(tcp, 80)
	binary.BigEndian.PutUint16(tcp[2:], 4000)
	binary.BigEndian.PutUint32(tcp[4:], seq)
	tcp[12], tcp[13] = 5<<4, 0x18
	copy(tcp[20:], data)
	h.GSOSize, h.HdrLen = uint16(mss), uint16(ethHdrLen+ipLen+minTCPLen)
	if mss == 0 {
		h.GSOType, h.HdrLen = GSONone, 0
	}
	h.Encode(f)
	pk, _ := parsePacket(p)
	binary.BigEndian.PutUint16(tcp[16:], refPseudo(p, pk))
	return f
}

// checksumOK verifies a frame as its receiver would.
func checksumOK(frame []byte) bool {
	h, _ := DecodeHdr(frame)
	f := frame[HdrLen:]
	p, ok := parsePacket(f)
	if !ok || !p.v6 && refSum(f[p.ip:p.l4], 0) != 0xffff {
		return false
	}
	if h.Flags&FlagNeedsCsum != 0 {
		return binary.BigEndian.Uint16(p.checksum(f)) == refPseudo(f, p)
	}
	return refSum(f[p.l4:p.end], refPseudo(f, p)) == 0xffff
}

// trainOf sends a stream of n bytes, in frames of various sizes, through a fault line.
func trainOf(l *faultLine, v6 bool, n, mss int) (stream []byte, out [][]byte) {
	for i := range n {
		stream = append(stream, byte(i*7+i/256))
	}
	for at, size := 0, 1; at < n; size = size*3 + 1 {
		end := min(at+size, n)
		data, gso := stream[at:end], 0
		if len(data) > mss {
			gso = mss
		}
		out = append(out, l.pass(tcpFrame(v6, uint32(at), data, gso))...)
		at = end
	}
	return stream, append(out, l.release()...)
}

// Whatever happens, a segment with a good checksum carries bytes of the stream at
// their place, and without Drop and Corrupt the stream is complete.
func TestFaultsNeverForgeTheStream(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rate := func(name string) Rate {
			return Rate{Prob: rapid.SampledFrom([]float64{0, 0.3, 1}).Draw(t, name), Every: rapid.Uint64Range(0, 3).Draw(t, name+" every")}
		}
		f := Faults{
			Overlap: rate("overlap"), Split: rate("split"), Corrupt: rate("corrupt"),
			Duplicate: rate("duplicate"), Reorder: rate("reorder"), Drop: rate("drop"),
		}
		if rapid.Bool().Draw(t, "harmless") {
			f.Drop, f.Corrupt = Rate{}, Rate{}
		}
		mss := rapid.IntRange(1, 1460).Draw(t, "mss")
		l := newFaultLine(f, rapid.Uint64().Draw(t, "seed"), 0)
		stream, out := trainOf(l, rapid.Bool().Draw(t, "v6"), 5000, mss)
		got := make([]bool, len(stream))
		bad := 0
		for _, frame := range out {
			if !checksumOK(frame) {
				bad++
				continue
			}
			tr, ok := parseTrain(frame)
			if !ok || int(tr.seq)+len(tr.data) > len(stream) || !bytes.Equal(tr.data, stream[tr.seq:int(tr.seq)+len(tr.data)]) {
				t.Fatalf("a segment of %d bytes at %d is not the stream's", len(tr.data), tr.seq)
			}
			if !tr.isGSO() && len(tr.data) > mss {
				t.Fatalf("a single segment of %d bytes, MSS is %d", len(tr.data), mss)
			}
			for i := range tr.data {
				got[int(tr.seq)+i] = true
			}
		}
		if min := int(l.counts.Corrupted); bad < min || f.Duplicate.none() && bad != min {
			t.Fatalf("%d frames corrupted, %d found", min, bad)
		}
		if f.Drop.none() && f.Corrupt.none() && bytes.Contains(fmt.Append(nil, got), []byte("false")) {
			t.Fatal("the stream has holes")
		}
	})
}

func TestFaultsAreTheSameForASeed(t *testing.T) {
	f := Faults{Drop: Prob(0.1), Overlap: Prob(0.2), Split: Prob(0.2), Corrupt: Prob(0.1), Duplicate: Prob(0.1), Reorder: Prob(0.2)}
	_, one := trainOf(newFaultLine(f, 42, 1), false, 40000, 1460)
	_, two := trainOf(newFaultLine(f, 42, 1), false, 40000, 1460)
	if len(one) != len(two) {
		t.Fatalf("%d frames, then %d", len(one), len(two))
	}
	for i := range one {
		if !bytes.Equal(one[i], two[i]) {
			t.Errorf("frame %d differs", i)
		}
	}
}

func TestEachFaultDoesWhatItSays(t *testing.T) {
	all := Every(1)
	gso, plain := tcpFrame(false, 1000, make([]byte, 3000), 1460), tcpFrame(false, 1000, []byte("abcdef"), 0)
	for _, c := range []struct {
		name   string
		faults Faults
		frame  []byte
		want   FaultCounts
		frames int
	}{
		{"none", Faults{}, gso, FaultCounts{}, 1},
		{"drop", Faults{Drop: all}, gso, FaultCounts{Dropped: 1}, 0},
		{"duplicate", Faults{Duplicate: all}, gso, FaultCounts{Duplicated: 1}, 2},
		{"split GSO", Faults{Split: all}, gso, FaultCounts{Split: 1}, 3},
		{"split segment", Faults{Split: all}, plain, FaultCounts{Split: 1}, 2},
		{"overlap", Faults{Overlap: all}, plain, FaultCounts{Overlapped: 1}, 2},
		{"overlap wins over split", Faults{Overlap: all, Split: all}, plain, FaultCounts{Overlapped: 1}, 2},
		{"corrupt GSO", Faults{Corrupt: all}, gso, FaultCounts{Corrupted: 1}, 3},
		{"corrupt UDP", Faults{Corrupt: all}, udpFrame(1, 2, "x"), FaultCounts{Corrupted: 1}, 1},
		{"corrupt no packet", Faults{Corrupt: all}, make([]byte, 60), FaultCounts{}, 1},
		{"reorder", Faults{Reorder: all}, plain, FaultCounts{Reordered: 1}, 0},
	} {
		l := newFaultLine(c.faults, 1, 0)
		c.want.Frames = 1
		if out := l.pass(bytes.Clone(c.frame)); len(out) != c.frames || l.counts != c.want {
			t.Errorf("%s: %d frames, %+v; want %d, %+v", c.name, len(out), l.counts, c.frames, c.want)
		}
	}
}

func TestReorderedFramesComeAfterThoseThatPass(t *testing.T) {
	l := newFaultLine(Faults{Reorder: Every(4), HoldFrames: 2}, 1, 0)
	var got string
	for i := range 8 {
		for _, f := range l.pass(udpFrame(1, 2, string(rune('1'+i)))) {
			got += string(f[len(f)-1:])
		}
	}
	for _, f := range l.release() {
		got += string(f[len(f)-1:])
	}
	if got != "12356478" {
		t.Errorf("order %s", got)
	}
}

func TestImpairDeliversWhatIsHeldInTime(t *testing.T) {
	for _, c := range []struct {
		name string
		im   Impairment
	}{
		{"write", Impairment{Out: Faults{Reorder: Every(1), HoldTime: time.Second}}},
		{"read", Impairment{In: Faults{Reorder: Every(1), HoldTime: time.Second}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, b := NewPair(PairConfig{})
				ia, ib := Impair(a, Impairment{Out: c.im.Out}), Impair(b, Impairment{In: c.im.In})
				defer ia.Close()
				defer ib.Close()
				qa, qb := mustAttach(t, ia), mustAttach(t, ib)
				f := udpFrame(1, 2, "late")
				begun := time.Now()
				mustWrite(t, qa, f)
				for {
					if err := ib.Wait(); err != nil {
						t.Fatal(err)
					}
					if got := readFrame(t, qb); got != nil {
						if !bytes.Equal(got, f) || time.Since(begun) != time.Second {
							t.Errorf("read %q after %v", got, time.Since(begun))
						}
						break
					}
				}
			})
		})
	}
}

func TestImpairKeepsBackPressure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := NewPair(PairConfig{Depth: 3})
		ia := Impair(a, Impairment{Out: Faults{Duplicate: Every(1)}})
		defer ia.Close()
		defer b.Close()
		qa, qb := mustAttach(t, ia), mustAttach(t, b)
		var want, got string
		for i := range 20 {
			s := string(rune('a' + i))
			want += s + s
			for {
				_, err := qa.Writev([][]byte{udpFrame(1, 2, s)})
				if err == nil {
					break
				}
				if err != ErrWouldBlock {
					t.Fatal(err)
				}
				for f := readFrame(t, qb); f != nil; f = readFrame(t, qb) {
					got += string(f[len(f)-1:])
				}
			}
		}
		for len(got) < len(want) {
			if err := b.Wait(); err != nil {
				t.Fatal(err)
			}
			for f := readFrame(t, qb); f != nil; f = readFrame(t, qb) {
				got += string(f[len(f)-1:])
			}
		}
		if got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		if _, out := ia.Faults(); out.Duplicated != 20 || ia.Stats().FramesOut != 40 {
			t.Errorf("%+v, %+v", out, ia.Stats())
		}
	})
}

func TestImpairCloseLetsWaitReturn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := newTestPair(t, PairConfig{})
		ib := Impair(b, Impairment{In: Faults{Reorder: Every(1)}})
		q := mustAttach(t, ib)
		waited := make(chan error)
		go func() { waited <- ib.Wait() }()
		synctest.Wait()
		mustWrite(t, mustAttach(t, a), udpFrame(1, 2, "held"))
		if err := <-waited; err != nil {
			t.Error(err)
		}
		if readFrame(t, q) != nil {
			t.Error("a frame held back was read")
		}
		go func() { waited <- ib.Wait() }()
		synctest.Wait()
		ib.Close()
		if err := <-waited; err != ErrClosed {
			t.Errorf("Wait: %v", err)
		}
		if _, err := q.Readv(nil); err != ErrClosed {
			t.Errorf("read: %v", err)
		}
	})
}
