package wire

import "strconv"

// Command is an SMB2 command code, MS-SMB2 2.2.1.2.
type Command uint16

// The commands of SMB2.
const (
	CommandNegotiate Command = iota
	CommandSessionSetup
	CommandLogoff
	CommandTreeConnect
	CommandTreeDisconnect
	CommandCreate
	CommandClose
	CommandFlush
	CommandRead
	CommandWrite
	CommandLock
	CommandIoctl
	CommandCancel
	CommandEcho
	CommandQueryDirectory
	CommandChangeNotify
	CommandQueryInfo
	CommandSetInfo
	CommandOplockBreak

	// CommandCount is the number of commands: the size of a table by command.
	CommandCount
)

var commandNames = [CommandCount]string{
	"NEGOTIATE", "SESSION_SETUP", "LOGOFF", "TREE_CONNECT", "TREE_DISCONNECT", "CREATE", "CLOSE",
	"FLUSH", "READ", "WRITE", "LOCK", "IOCTL", "CANCEL", "ECHO", "QUERY_DIRECTORY", "CHANGE_NOTIFY",
	"QUERY_INFO", "SET_INFO", "OPLOCK_BREAK",
}

// String is the name of MS-SMB2, without its prefix.
func (c Command) String() string {
	if c < CommandCount {
		return commandNames[c]
	}
	return "command 0x" + strconv.FormatUint(uint64(c), 16)
}

// Dialect is a dialect revision, MS-SMB2 2.2.3.
type Dialect uint16

// Dialects. NT1 is that of SMB1, whose number is this server's own: NT LM 0.12. Wildcard is only an answer to an SMB1 negotiate: "come again in SMB2".
const (
	DialectNT1      Dialect = 0x0100
	Dialect202      Dialect = 0x0202
	Dialect210      Dialect = 0x0210
	Dialect300      Dialect = 0x0300
	Dialect302      Dialect = 0x0302
	Dialect311      Dialect = 0x0311
	DialectWildcard Dialect = 0x02FF
)

// String is the dialect as people write it.
func (d Dialect) String() string {
	switch d {
	case 0:
		return "none"
	case DialectNT1:
		return "NT LM 0.12"
	case DialectWildcard:
		return "2.???"
	case Dialect202, Dialect210, Dialect300, Dialect302, Dialect311:
		return strconv.Itoa(int(d>>8)) + "." + strconv.Itoa(int(d>>4&15)) + "." + strconv.Itoa(int(d&15))
	}
	return "0x" + strconv.FormatUint(uint64(d), 16)
}
