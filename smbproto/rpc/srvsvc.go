package rpc

// Share is one entry of a server's list.
type Share struct {
	Name, Comment string
	Type          uint32 // one of the ShareType constants
}

// Types of a share, MS-SRVS 2.2.2.4.
const (
	ShareTypeDisk    uint32 = 0                    // STYPE_DISKTREE
	ShareTypeIPC     uint32 = 3 | ShareTypeSpecial // STYPE_IPC, as IPC$ is: special
	ShareTypeSpecial uint32 = 0x80000000           // STYPE_SPECIAL: for administration, clients hide it
)

// Win32 errors that the operations return, MS-ERREF 2.2 and MS-SRVS 2.2.2.
const (
	errorSuccess      = 0
	errorAccessDenied = 5
	errorInvalidLevel = 124
	errorMoreData     = 234
	nerrBufTooSmall   = 2123
	nerrNetNotFound   = 2310 // NERR_NetNameNotFound
)

// Operation numbers, MS-SRVS 3.1.4.
const (
	opNetrShareEnum     = 15
	opNetrShareGetInfo  = 16
	opNetrServerGetInfo = 21
)

// srvsvc holds what the operations tell.
type srvsvc struct {
	name   string
	shares func() []Share
}

// NewSrvsvc makes the server service (MS-SRVS) of the pipe "srvsvc". shares is
// called for each request that is about shares, possibly from many goroutines at once; what it
// returns is only read. Names and comments are up to some 1000 characters.
func NewSrvsvc(serverName string, shares func() []Share) *Server {
	s := &srvsvc{name: serverName, shares: shares}
	return &Server{
		pipeName: `\PIPE\srvsvc`,
		ifaces: []*iface{{
			// MS-SRVS 1.9
			syntax: syntax{uuid: uuid(0x4b324fc8, 0x1670, 0x01d3, 0x1278, 0x5a47bf6ee188), major: 3},
			ops: map[uint16]operation{
				opNetrShareEnum:     s.shareEnum,
				opNetrShareGetInfo:  s.shareGetInfo,
				opNetrServerGetInfo: s.serverGetInfo,
			},
		}},
	}
}
