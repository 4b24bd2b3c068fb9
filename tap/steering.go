package tap

// maxFlows is how many flows a steering table remembers (MAX_TAP_FLOWS of the Linux driver).
const maxFlows = 4096

// steering decides on which queue of an end a frame arrives: the one on which that
// end last wrote a frame of the same flow, as Linux's tun_flow_update does. The
// kernel identifies a flow by a hash, and forgets it 3 seconds after the last frame
// was written; this table knows the flow itself, and forgets none until it is full.
type steering map[flowKey]int

// learn notes that a frame of the flow was written on a queue.
func (s steering) learn(k flowKey, queue int) {
	if _, known := s[k]; !known && len(s) >= maxFlows {
		for victim := range s {
			delete(s, victim)
			break
		}
	}
	s[k] = queue
}

// queue is where a frame of the flow arrives, of n queues.
func (s steering) queue(k flowKey, n int) int {
	if q, ok := s[k]; ok {
		return q
	}
	return int(k.hash() % uint32(n))
}
