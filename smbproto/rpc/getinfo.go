package rpc

import "strings"

// shareGetInfo is NetrShareGetInfo, MS-SRVS 3.1.4.10.
func (s *srvsvc) shareGetInfo(in *decoder, out *encoder) error {
	in.uniqueStr() // ServerName
	name := in.str()
	level := in.u32()
	if in.err != nil {
		return in.err
	}
	kind := shareLevel(level)
	status := kind.status()
	share, found := s.share(name)
	if kind == levelServed && !found {
		status = nerrNetNotFound
	}
	out.u32(level)
	switch {
	case status == errorSuccess:
		out.pointer()
		encodeShareFixed(out, level, share)
		encodeShareStrings(out, level, share)
	case kind != levelUnknown:
		out.null()
	}
	out.u32(status)
	return nil
}

// share finds a share; names differ by more than case.
func (s *srvsvc) share(name string) (Share, bool) {
	for _, share := range s.shares() {
		if strings.EqualFold(share.Name, name) {
			return share, true
		}
	}
	return Share{}, false
}

// What the server says it is: a file server of the NT line, MS-SRVS 2.2.2.6 and
// 2.2.2.7. The version is that of Windows 7, the first with SMB 2.1.
const (
	platformNT   = 500
	versionMajor = 6
	versionMinor = 1
	serverType   = 0x1 | 0x2 | 0x1000 | 0x8000 // SV_TYPE_WORKSTATION, _SERVER, _NT, _SERVER_NT
)

// serverLevel reads a request for information of the server itself, and begins the reply. If it is malformed, that is dropped.
func serverLevel(in *decoder, out *encoder) uint32 {
	in.uniqueStr() // ServerName: this server, whatever the client calls it
	level := in.u32()
	out.u32(level)
	return level
}

// serverGetInfo is NetrServerGetInfo, MS-SRVS 3.1.4.17, levels 100 and 101.
func (s *srvsvc) serverGetInfo(in *decoder, out *encoder) error {
	level := serverLevel(in, out)
	switch level {
	case 100, 101: // SERVER_INFO_100 and SERVER_INFO_101, MS-SRVS 2.2.4.40 and 2.2.4.41
		out.pointer()
		out.u32(platformNT)
		out.pointer()
		if level == 101 {
			out.u32(versionMajor)
			out.u32(versionMinor)
			out.u32(serverType)
			out.pointer()
		}
		out.str(s.name)
		if level == 101 {
			out.str("")
		}
		out.u32(errorSuccess)
	case 102, 103, 502, 503, 599: // in the union, MS-SRVS 2.2.3.7
		out.null()
		out.u32(errorInvalidLevel)
	default:
		out.u32(errorInvalidLevel)
	}
	return nil
}
