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
	// Disconnected are the opens that are kept after their connection was lost.
	Disconnected int64 `json:"disconnected_opens"`

	Requests map[string]uint64 `json:"requests"` // by command
	Errors   map[string]uint64 `json:"errors"`   // by status
	// Answers are by command and status; interim ones count too.
	Answers map[string]map[string]uint64 `json:"answers"`
	Latency map[string]Latency           `json:"latency,omitempty"` // by command, with Config.Latency
	// LogOnsRefused counts log-ons that failed.
	LogOnsRefused uint64 `json:"log_ons_refused"`
	// Files are open in all connections, of MaxFiles that may be.
	Files    int `json:"files"`
	MaxFiles int `json:"max_files"`

	BytesRead    uint64 `json:"bytes_read"`
	BytesWritten uint64 `json:"bytes_written"`
	// WritesArriving counts the WRITEs whose data went to the file piece by piece,
	// while the rest was still under way.
	WritesArriving uint64 `json:"writes_arriving"`
	// OplockBreaks counts the notifications that an oplock or a lease breaks.
	OplockBreaks uint64 `json:"oplock_breaks"`
}

type counters struct {
	connections, sessions, trees, opens     atomic.Int64
	requests                                [wire.CommandCount]atomic.Uint64
	smb1                                    [256]atomic.Uint64 // requests of SMB1
	smb1Succeeded                           [256]atomic.Uint64
	bytesRead, bytesWritten, writesArriving atomic.Uint64
	breaks                                  atomic.Uint64

	logOnsRefused atomic.Uint64
	succeeded     [wire.CommandCount]atomic.Uint64
	latency       latencies

	mu     sync.Mutex
	others map[outcome]uint64
}

// outcome is an answer without success.
type outcome struct {
	cmd    wire.Command
	smb1   wire.SMB1Command // counts if cmd is CommandCount, which is none
	status wire.Status
}

// noCommand stands for all of SMB2 that there are not: a client can't have the counters grow by asking for each.
const noCommand = wire.CommandCount + 1

// name of the command.
func (o *outcome) name() string {
	switch o.cmd {
	case wire.CommandCount:
		return smb1Commands[o.smb1].statsName()
	case noCommand:
		return "unknown"
	}
	return o.cmd.String()
}

func (c *counters) answer(cmd wire.Command, s wire.Status) {
	if s == wire.StatusOK {
		c.succeeded[cmd].Add(1)
		return
	}
	if cmd >= wire.CommandCount {
		cmd = noCommand
	}
	c.other(outcome{cmd: cmd, status: s})
}

// answerSMB1 is answer for SMB1.
func (c *counters) answerSMB1(cmd wire.SMB1Command, s wire.Status) {
	if s == wire.StatusOK {
		c.smb1Succeeded[cmd].Add(1)
		return
	}
	c.other(outcome{wire.CommandCount, cmd, s})
}

func (c *counters) other(o outcome) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.others == nil {
		c.others = map[outcome]uint64{}
	}
	c.others[o]++
}

// isError says whether a status tells of a failure.
func isError(s wire.Status) bool {
	return s != wire.StatusOK && s != wire.StatusMoreProcessingRequired && s != wire.StatusPending
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
		Answers:        map[string]map[string]uint64{},
		LogOnsRefused:  c.logOnsRefused.Load(),
		Files:          s.budget.Open(),
		MaxFiles:       s.settings().cfg.Limits.MaxFiles,
		BytesRead:      c.bytesRead.Load(),
		BytesWritten:   c.bytesWritten.Load(),
		WritesArriving: c.writesArriving.Load(),
		OplockBreaks:   c.breaks.Load(),
	}
	if s.cfg.Latency {
		st.Latency = c.latency.stats()
	}
	answered := func(cmd string, status wire.Status, n uint64) {
		if n == 0 {
			return
		}
		by := st.Answers[cmd]
		if by == nil {
			by = map[string]uint64{}
			st.Answers[cmd] = by
		}
		by[status.String()] += n
	}
	for i := range c.requests {
		if n := c.requests[i].Load(); n > 0 {
			st.Requests[wire.Command(i).String()] = n
		}
		answered(wire.Command(i).String(), wire.StatusOK, c.succeeded[i].Load())
	}
	for i := range c.smb1 {
		if n := c.smb1[i].Load(); n > 0 {
			st.Requests[smb1Commands[i].statsName()] += n
		}
		answered(smb1Commands[i].statsName(), wire.StatusOK, c.smb1Succeeded[i].Load())
	}
	s.files.mu.Lock()
	st.Disconnected = int64(len(s.files.absent))
	s.files.mu.Unlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	for o, n := range c.others {
		answered(o.name(), o.status, n)
		if isError(o.status) {
			st.Errors[o.status.String()] += n
		}
	}
	return st
}
