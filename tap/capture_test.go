package tap

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/gopacket/gopacket/pcapgo"
)

func TestCaptureShowsFramesAndDirections(t *testing.T) {
	var file bytes.Buffer
	a, b := newTestPair(t, PairConfig{})
	c := Capture(a, &file)
	stamp := time.Unix(951782400, 123456789).UTC()
	c.now = func() time.Time { return stamp }
	qa, qb := mustAttach(t, c), mustAttach(t, b)
	out, in := udpFrame(1, 2, "out"), udpFrame(2, 1, "in")
	mustWrite(t, qa, out)
	mustWrite(t, qb, in)
	readFrame(t, qa)
	readFrame(t, qa) // would block: nothing to capture
	if s := c.Stats(); s.FramesIn != 1 || s.FramesOut != 1 {
		t.Errorf("%+v", s)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	r, err := pcapgo.NewNgReader(&file, pcapgo.DefaultNgReaderOptions)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []struct {
		frame     []byte
		direction pcapgo.NgEpbFlag
	}{{out, pcapgo.NgEpbFlagDirectionOutbound}, {in, pcapgo.NgEpbFlagDirectionInbound}} {
		data, ci, opts, err := r.ReadPacketDataWithOptions()
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(data, want.frame[HdrLen:]) || !ci.Timestamp.Equal(stamp) || opts.Flags.Direction != want.direction {
			t.Errorf("packet %d: %q at %v, %+v", i, data, ci.Timestamp, opts.Flags)
		}
	}
	if _, _, err := r.ReadPacketData(); err == nil {
		t.Error("a third packet of two")
	}
}

var errFull = errors.New("disk full")

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errFull }

func TestCaptureErrorDoesNotDisturbFrames(t *testing.T) {
	a, b := newTestPair(t, PairConfig{})
	c := Capture(a, fullDisk{})
	qa, qb := mustAttach(t, c), mustAttach(t, b)
	for range 3 {
		mustWrite(t, qa, udpFrame(1, 2, "x"))
		if err := c.Flush(); !errors.Is(err, errFull) {
			t.Errorf("Flush: %v", err)
		}
		if readFrame(t, qb) == nil {
			t.Error("frame lost")
		}
	}
	if err := c.Close(); !errors.Is(err, errFull) {
		t.Errorf("Close: %v", err)
	}
}
