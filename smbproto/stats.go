package smbproto

import (
	"sync"
	"sync/atomic"

	"ustack/smbproto/wire"
)

// Stats are a server's counters since it started; those in the first group are
// what there is now.
type Stats struct {
	Connections int64 `json:"connections"`
	Sessions    int64 `json:"sessions"`
	Trees       int64 `json:"trees"`
	Opens       int64 `json:"opens"`

	Requests     map[string]uint64 `json:"requests"` // by command
	Errors       map[string]uint64 `json:"errors"`   // by status
	BytesRead    uint64            `json:"bytes_read"`
	BytesWritten uint64            `json:"bytes_written"`
	// WritesArriving counts the WRITEs whose data went to the file piece by piece,
	// while the rest was still under way.
	WritesArriving uint64 `json:"writes_arriving"`
	// OplockBreaks counts the notifications that an oplock or a lease breaks.
	OplockBreaks uint64 `json:"oplock_breaks"`
}

type counters struct {
	connections, sessions, trees, opens     atomic.Int64
	requests                                [wire.CommandCount]atomic.Uint64
	bytesRead, bytesWritten, writesArriving atomic.Uint64
	breaks                                  atomic.Uint64

	mu       sync.Mutex
	statuses map[wire.Status]uint64
}

func (c *counters) status(s wire.Status) {
	if s == wire.StatusOK || s == wire.StatusMoreProcessingRequired || s == wire.StatusPending {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.statuses == nil {
		c.statuses = map[wire.Status]uint64{}
	}
	c.statuses[s]++
}

// Stats reads the counters.
func (s *Server) Stats() Stats {
	c := &s.counters
	st := Stats{
		Connections:    c.connections.Load(),
		Sessions:       c.sessions.Load(),
		Trees:          c.trees.Load(),
		Opens:          c.opens.Load(),
		Requests:       map[string]uint64{},
		Errors:         map[string]uint64{},
		BytesRead:      c.bytesRead.Load(),
		BytesWritten:   c.bytesWritten.Load(),
		WritesArriving: c.writesArriving.Load(),
		OplockBreaks:   c.breaks.Load(),
	}
	for i := range c.requests {
		if n := c.requests[i].Load(); n > 0 {
			st.Requests[wire.Command(i).String()] = n
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for status, n := range c.statuses {
		st.Errors[status.String()] = n
	}
	return st
}
