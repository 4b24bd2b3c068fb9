package main

import (
	"errors"
	"fmt"
	"time"
)

// An openLoop sends requests at times that are fixed beforehand, whether or not
// replies have come, and counts each latency from the time at which its request was
// due. A server that stalls so is charged for all requests that fell due meanwhile;
// a loop that waits for a reply before it sends would leave them out ("coordinated
// omission").
type openLoop struct {
	every time.Duration // from one request to the next, over all connections
	total int
	conns []openConn
	// now is the time since some fixed point.
	now func() time.Duration
	// wait returns at until, or earlier when a reply may be there.
	wait func(until time.Duration) error
	// record takes the latency of the i-th request.
	record func(i int, latency time.Duration)
	// patience bounds how long the last replies may take.
	patience time.Duration
}

// An openConn carries requests and replies in order. Neither call blocks.
type openConn interface {
	// send sends one more request, or keeps it until there is room.
	send() error
	// replies is how many more whole replies have come.
	replies() (int, error)
}

// errNoReply: the server has left requests unanswered.
var errNoReply = errors.New("no reply")

// run sends all requests and waits for the last reply.
func (o *openLoop) run() error {
	began := o.now()
	due := func(i int) time.Duration { return began + time.Duration(i)*o.every }
	waiting := make([][]int, len(o.conns)) // requests without a reply, by connection
	sent, answered := 0, 0
	for answered < o.total {
		for ; sent < o.total && due(sent) <= o.now(); sent++ {
			c := sent % len(o.conns)
			waiting[c] = append(waiting[c], sent)
			if err := o.conns[c].send(); err != nil {
				return err
			}
		}
		until := due(sent)
		if sent == o.total {
			until = due(o.total) + o.patience
			if o.now() > until {
				return fmt.Errorf("%w to %d of %d requests within %v of the last", errNoReply, o.total-answered, o.total, o.patience)
			}
		}
		if err := o.wait(until); err != nil {
			return err
		}
		for c, conn := range o.conns {
			n, err := conn.replies()
			if err != nil {
				return err
			}
			now := o.now()
			for _, i := range waiting[c][:n] {
				o.record(i, now-due(i))
			}
			waiting[c] = waiting[c][n:]
			answered += n
		}
	}
	return nil
}
