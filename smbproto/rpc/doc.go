// Package rpc is DCE/RPC over a named pipe (MS-RPCE, C706 chapter 12), bytes in
// and bytes out, with the interfaces that clients need to browse a
// server: srvsvc (MS-SRVS), which lists the shares, and wkssvc (MS-WKST), which names the server's domain.
//
// A [Server] is an interface under its pipe's name; each open of the pipe is a [Pipe]:
//
//	srvsvc := rpc.NewSrvsvc("FILES", func() []rpc.Share { return shares })
//	...
//	pipe := srvsvc.Open()                       // CREATE of "srvsvc" in IPC$
//	if err := pipe.Write(data); err != nil {    // WRITE, or the input of FSCTL_PIPE_TRANSCEIVE
//		...                                      // STATUS_PIPE_BROKEN; every later Write fails as well
//	}
//	n, more := pipe.Read(dst)                   // READ, or its output
//	// n == 0: nothing is pending, STATUS_PIPE_EMPTY
//	// more: the rest of the message follows, STATUS_BUFFER_OVERFLOW
//
// The pipe is in message mode, and one PDU is one message: Read never crosses the end of a PDU, as
// clients expect that read a long reply PDU by PDU. Writes may split or join PDUs as they like.
//
// # Memory and goroutines
//
// Write copies what it keeps, and Read copies into dst. What a pipe holds is bounded: one
// partial PDU, one request of maxRequest bytes, and replies of maxPending plus
// one of maxReply bytes. A Pipe is for one goroutine at a time. A Server may be used from any, and
// calls its shares function from the goroutine that calls Write; there is nothing to close.
//
// A further interface is an [iface] with its table of operations; see srvsvc.go.
//
// Not done: authentication within RPC (clients authenticate by SMB), big-endian
// peers, NDR64, concurrent calls on one pipe (their fragments may not mix), callbacks.
package rpc
