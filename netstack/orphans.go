package netstack

import (
	"slices"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
)

// orphans are endpoints whose connections have been released and which TCP keeps for a
// minute: in TIME-WAIT, so that a late segment finds nobody else (RFC 9293, section
// 3.6.1), or in FIN-WAIT-2, for the peer's FIN. Who opens and closes connections fast
// would have it keep any number: beyond most the oldest is reset. The loop's own.
type orphans struct {
	most int
	eps  []tcpip.Endpoint // the oldest first
}

func (o *orphans) add(ep tcpip.Endpoint) {
	if hasEnded(ep) {
		return
	}
	if len(o.eps) == o.most {
		if oldest := o.eps[0]; !hasEnded(oldest) {
			oldest.Abort()
		}
		o.eps = slices.Delete(o.eps, 0, 1)
	}
	o.eps = append(o.eps, ep)
}

// sweep forgets those that have ended by themselves.
func (o *orphans) sweep() { o.eps = slices.DeleteFunc(o.eps, hasEnded) }

// hasEnded reports whether TCP has given an endpoint up, and all that it held.
func hasEnded(ep tcpip.Endpoint) bool {
	s := tcp.EndpointState(ep.State())
	return s == tcp.StateClose || s == tcp.StateError
}
