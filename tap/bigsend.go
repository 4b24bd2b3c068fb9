package tap

// A BigSender is a Device whose queues take frames larger than MaxFrame: trains of
// TCP segments over IPv4 whose IP total length says 0, for 16 bits don't hold it. The
// length of the frame counts then (Linux: BIG TCP).
type BigSender interface {
	Device
	// MaxSend is the largest frame that a queue takes, in bytes and without the
	// virtio-net header. ErrWouldBlock may come for a large frame where a smaller
	// one would be taken: the system has no memory in pieces of that size.
	MaxSend() int
}

// A MappedSender is a Device of whose frames to write nobody but the kernel reads the bytes. So they may lie in mapped
// files, which somebody else may cut: ErrFault comes then.
type MappedSender interface {
	Device
	SendsMapped()
}
