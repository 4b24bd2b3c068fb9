package wire

import "net/netip"

// NetworkInterface is an element of the answer to FSCTL_QUERY_NETWORK_INTERFACE_INFO, MS-SMB2 2.2.32.5.
type NetworkInterface struct {
	Index     uint32
	RSS       bool   // receive-side scaling: several connections to it get on at the same time
	LinkSpeed uint64 // bits per second
	Addr      netip.Addr
}

// NetworkInterfaceSize is what an element takes, bytes.
const NetworkInterfaceSize = 152

// SOCKADDR_STORAGE's families, MS-SMB2 2.2.32.5.1.
const (
	familyInet  = 0x0002
	familyInet6 = 0x0017
	rssCapable  = 0x00000001
)

// PutNetworkInterfaces writes the answer, of NetworkInterfaceSize for each.
func PutNetworkInterfaces(b []byte, all []NetworkInterface) int {
	n := NetworkInterfaceSize * len(all)
	clear(b[:n])
	for i, f := range all {
		e := b[NetworkInterfaceSize*i:]
		if i < len(all)-1 {
			le.PutUint32(e, NetworkInterfaceSize)
		}
		le.PutUint32(e[4:], f.Index)
		if f.RSS {
			le.PutUint32(e[8:], rssCapable)
		}
		le.PutUint64(e[16:], f.LinkSpeed)
		if a := f.Addr.Unmap(); a.Is4() {
			le.PutUint16(e[24:], familyInet)
			copy(e[28:], a.AsSlice()) // behind the port, which is 0
		} else {
			le.PutUint16(e[24:], familyInet6)
			copy(e[32:], a.AsSlice()) // behind port and flow information
		}
	}
	return n
}
