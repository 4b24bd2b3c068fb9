package main

import (
	"context"
	"fmt"
	"time"

	"ustack/cmd/ustack/compare"
)

// settleTime bounds how long a server may take to count what its client has seen.
const settleTime = 3 * time.Second

// sampleWhen samples a server until it has counted what it must have: it does so after
// the call that sends, and its client may be ahead of it. It tells how often it has asked,
// for each time costs the server what the load has not.
func sampleWhen(ctx context.Context, c contestant, settled func(snapshot) error) (now snapshot, samples int, err error) {
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	for until := time.Now().Add(settleTime); ; {
		if now, err = c.sample(); err != nil {
			return now, samples, &failure{"server", err}
		}
		samples++
		lacking := settled(now)
		if lacking == nil {
			return now, samples, nil
		}
		if time.Now().After(until) {
			return now, samples, &failure{"server", lacking}
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return now, samples, ctx.Err()
		}
	}
}

// answered says whether an echo has counted its last reply, when its client waits.
func answered(now snapshot) error {
	if in, out := now.Total.BytesIn, now.Total.BytesOut; in != out {
		return fmt.Errorf("has counted %d bytes in and %d out, an echo that is idle as many", in, out)
	}
	return nil
}

// counted says whether a server has counted what the load says it has carried: as many
// bytes where the payload is all there is, at least as many where a protocol stands
// around it. What smbd has counted nobody knows.
func (s *stretch) counted(service string, now snapshot) error {
	u := now.since(s.before)
	all := u.in == s.load.Sent && u.out == s.load.Received
	if service == "smb" {
		all = now.Stack == compare.Smbd || u.in >= s.load.Sent && u.out >= s.load.Received
	}
	if all {
		return nil
	}
	return fmt.Errorf("has counted %d bytes in and %d out, the client %d sent and %d received", u.in, u.out, s.load.Sent, s.load.Received)
}
