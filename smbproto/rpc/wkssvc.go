package rpc

// Operation numbers, MS-WKST 3.2.4.
const opNetrWkstaGetInfo = 0

// wkssvc holds what the operations tell.
type wkssvc struct{ name, domain string }

// NewWkssvc makes the workstation service (MS-WKST) of the pipe "wkssvc", of which there is what clients ask to learn with
// whom they speak: the server's name, and that of its domain or workgroup.
func NewWkssvc(serverName, domain string) *Server {
	s := &wkssvc{name: serverName, domain: domain}
	return &Server{
		pipeName: `\PIPE\wkssvc`,
		ifaces: []*iface{{
			// MS-WKST 1.9
			syntax: syntax{uuid: uuid(0x6bffd098, 0xa112, 0x3610, 0x9833, 0x46c3f87e345a), major: 1},
			ops:    map[uint16]operation{opNetrWkstaGetInfo: s.getInfo},
		}},
	}
}

// getInfo is NetrWkstaGetInfo, MS-WKST 3.2.4.1, levels 100 and 101. The others are for administrators.
func (s *wkssvc) getInfo(in *decoder, out *encoder) error {
	level := serverLevel(in, out)
	switch level {
	case 100, 101: // WKSTA_INFO_100 and WKSTA_INFO_101, MS-WKST 2.2.5.1 and 2.2.5.2
		out.pointer()
		out.u32(platformNT)
		out.pointer()
		out.pointer()
		out.u32(versionMajor)
		out.u32(versionMinor)
		if level == 101 {
			out.pointer()
		}
		out.str(s.name)
		out.str(s.domain)
		if level == 101 {
			out.str("") // lanroot
		}
		out.u32(errorSuccess)
	case 102, 502: // in the union, MS-WKST 2.2.4.1
		out.null()
		out.u32(errorAccessDenied)
	default:
		out.u32(errorInvalidLevel)
	}
	return nil
}
