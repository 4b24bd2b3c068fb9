package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"ustack/cmd/ustack/compare"
)

// ceilingLead is how much longer frames are sent than they are read.
const ceilingLead = 300 * time.Millisecond

// ceiling measures what a TAP device carries when nobody does TCP.
func (r *runner) ceiling(ctx context.Context, s *compare.Step, name string, d time.Duration) (run compare.Run, err error) {
	serverCPU, clientCPU := placed(s.Placement)
	count := cpuList(counted(s.Placement))
	var out []byte
	if name == compare.TAPRead {
		out, err = r.readCeiling(ctx, serverCPU, clientCPU, count, d)
	} else {
		out, err = r.writeCeiling(ctx, serverCPU, count, d)
	}
	if err != nil {
		return run, r.lab.blame(&failure{"ceiling", err}, nil)
	}
	var res loadResult
	if err := json.Unmarshal(out, &res); err != nil {
		return run, &failure{"ceiling", fmt.Errorf("what it printed: %w: %s", err, out)}
	}
	if err := res.enough(d); err != nil {
		return run, &failure{"ceiling", err}
	}
	st := stretch{load: res}
	values := st.values(s.Group)
	return compare.Run{Stack: "none", Seconds: res.Seconds, Bytes: res.Bytes, Values: map[string]float64{
		compare.Goodput:   values[compare.Goodput],
		compare.SystemCPU: values[compare.SystemCPU],
		compare.ServerCPU: res.ClientS / (float64(res.Bytes) / 1e9),
		// One that has time left is no limit: its partner is.
		compare.ServerBusy: res.ClientS / res.Seconds,
	}}, nil
}

func (r *runner) readCeiling(ctx context.Context, serverCPU, clientCPU []int, count string, d time.Duration) ([]byte, error) {
	h, err := r.lab.startHelper(ctx, "client", serverCPU, "ceiling", "read", "--tap", "ceiling0", "--host-addr", "10.83.0.1/24",
		"--for", d.String(), "--cpu", cpuList(serverCPU), "--count-cpu", count)
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, errors.Join(err, h.stop())
	}
	sender := r.lab.command(ctx, "client", clientCPU, self, "load", "frames", "--device", "ceiling0", "--for", (d + ceilingLead).String(), "--cpu", cpuList(clientCPU), "--json")
	// The reader ends first, and the device with it: how the sender ends says nothing
	// then.
	sent, sendErr := sender.CombinedOutput()
	select {
	case <-h.exited:
		return h.rest()
	case <-time.After(stopTime):
		return nil, errors.Join(fmt.Errorf("sender of frames: %w: %s", sendErr, sent), h.stop())
	}
}

func (r *runner) writeCeiling(ctx context.Context, serverCPU []int, count string, d time.Duration) ([]byte, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := r.lab.command(ctx, "client", serverCPU, self, "ceiling", "write", "--tap", "ceiling0", "--host-addr", "10.83.0.1/24",
		"--for", d.String(), "--cpu", cpuList(serverCPU), "--count-cpu", count)
	out, err := cmd.Output()
	return out, withStderr(err)
}
