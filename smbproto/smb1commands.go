package smbproto

import (
	"strings"

	"ustack/smbproto/wire"
)

// smb1Command is an entry of SMB1's dispatch table, in the manner of reply_* functions: what the command needs, what
// its answer takes at most, and the function.
type smb1Command struct {
	name   string
	needs  needs
	words  int  // least word count
	fid    int  // the word in which the FID stands
	andX   bool // others may follow in the same message
	silent bool // has no answer if all is well
	fixed  int  // words and bytes of the greatest answer
	// room is added to fixed: what the request lets the answer grow by.
	room func(c *Conn, h wire.SMB1Header, b *wire.SMB1Block) int
	run  func(c *Conn, r *smb1Request, w *smb1Reply) wire.Status
}

// statsName is what counters call the command; one that there is not has no name.
func (cmd *smb1Command) statsName() string { return strings.TrimSpace("SMB1 " + cmd.name) }

// inTree, onDisk and inOpen are what most commands need.
const (
	inTree = needSession | needTree
	onDisk = inTree | needDisk
	inOpen = inTree | needOpen
)

// setupFixed are the words of the answer to a SESSION_SETUP, and setupRoom what a token and the names of server and domain take: the
// names are left out where there is no room for them.
const setupFixed = 8

func setupRoom(*Conn, wire.SMB1Header, *wire.SMB1Block) int { return maxToken + 1<<10 }

var smb1Commands = [256]smb1Command{
	wire.SMB1CreateDirectory:      {name: "CREATE_DIRECTORY", needs: onDisk | changesNames, run: (*Conn).createDirectory},
	wire.SMB1DeleteDirectory:      {name: "DELETE_DIRECTORY", needs: onDisk | changesNames, run: (*Conn).deleteDirectory},
	wire.SMB1Open:                 {name: "OPEN", needs: onDisk, words: 2, fixed: 14, run: (*Conn).openCore},
	wire.SMB1Create:               {name: "CREATE", needs: onDisk | changesNames, words: 3, fixed: 2, run: (*Conn).createCore},
	wire.SMB1Close:                {name: "CLOSE", needs: inOpen | changesNames | whenExpired, words: 3, run: (*Conn).closeCore},
	wire.SMB1Flush:                {name: "FLUSH", needs: inTree, words: 1, run: (*Conn).flushSMB1},
	wire.SMB1Delete:               {name: "DELETE", needs: onDisk | changesNames, words: 1, run: (*Conn).deleteSMB1},
	wire.SMB1Rename:               {name: "RENAME", needs: onDisk | changesNames, words: 1, run: (*Conn).renameSMB1},
	wire.SMB1QueryInformation:     {name: "QUERY_INFORMATION", needs: onDisk, fixed: 20, run: (*Conn).queryInformation},
	wire.SMB1SetInformation:       {name: "SET_INFORMATION", needs: onDisk | changesNames, words: 3, run: (*Conn).setInformation},
	wire.SMB1Read:                 {name: "READ", needs: inOpen, words: 5, fixed: 16, room: readCoreRoom, run: (*Conn).readCore},
	wire.SMB1Write:                {name: "WRITE", needs: inOpen, words: 5, fixed: 2, run: (*Conn).writeCore},
	wire.SMB1LockByteRange:        {name: "LOCK_BYTE_RANGE", needs: inOpen, words: 5, run: (*Conn).lockByteRange},
	wire.SMB1UnlockByteRange:      {name: "UNLOCK_BYTE_RANGE", needs: inOpen, words: 5, run: (*Conn).lockByteRange},
	wire.SMB1CreateTemporary:      {name: "CREATE_TEMPORARY", needs: onDisk | changesNames, words: 3, fixed: 64, run: (*Conn).createTemporary},
	wire.SMB1CreateNew:            {name: "CREATE_NEW", needs: onDisk | changesNames, words: 3, fixed: 2, run: (*Conn).createCore},
	wire.SMB1CheckDirectory:       {name: "CHECK_DIRECTORY", needs: onDisk, run: (*Conn).checkDirectory},
	wire.SMB1ProcessExit:          {name: "PROCESS_EXIT", needs: needSession | changesNames, run: (*Conn).processExit},
	wire.SMB1Seek:                 {name: "SEEK", needs: inOpen, words: 4, fixed: 4, run: (*Conn).seek},
	wire.SMB1LockAndRead:          {name: "LOCK_AND_READ", needs: inOpen, words: 5, fixed: 16, room: readCoreRoom, run: (*Conn).readCore},
	wire.SMB1WriteAndUnlock:       {name: "WRITE_AND_UNLOCK", needs: inOpen, words: 5, fixed: 2, run: (*Conn).writeCore},
	wire.SMB1SetInformation2:      {name: "SET_INFORMATION2", needs: inOpen | changesNames, words: 7, run: (*Conn).setInformation2},
	wire.SMB1QueryInformation2:    {name: "QUERY_INFORMATION2", needs: inOpen, words: 1, fixed: 22, run: (*Conn).queryInformation2},
	wire.SMB1LockingAndX:          {name: "LOCKING_ANDX", needs: inOpen, words: 8, fid: 2, andX: true, fixed: 4, run: (*Conn).lockingAndX},
	wire.SMB1Transaction:          {name: "TRANSACTION", needs: inTree, words: wire.SMB1TransWords, fixed: transFixed, room: transRoom, run: (*Conn).transact},
	wire.SMB1TransactionSecondary: {name: "TRANSACTION_SECONDARY", needs: inTree, words: 8, fixed: transFixed, room: transSecondaryRoom, run: (*Conn).transactSecondary},
	wire.SMB1Ioctl:                {name: "IOCTL", needs: inTree, run: (*Conn).noDevice},
	wire.SMB1Copy:                 {name: "COPY", needs: onDisk | changesNames, words: 3, fixed: 2, run: (*Conn).copyCore},
	wire.SMB1OpenPrintFile:        {name: "OPEN_PRINT_FILE", needs: inTree, run: (*Conn).noDevice},
	wire.SMB1WritePrintFile:       {name: "WRITE_PRINT_FILE", needs: inTree, run: (*Conn).noDevice},
	wire.SMB1ClosePrintFile:       {name: "CLOSE_PRINT_FILE", needs: inTree, run: (*Conn).noDevice},
	wire.SMB1Echo:                 {name: "ECHO", words: 1, fixed: 2, room: echoRoom, run: (*Conn).echoSMB1},
	wire.SMB1WriteAndClose:        {name: "WRITE_AND_CLOSE", needs: inOpen | changesNames, words: 6, fixed: 2, run: (*Conn).writeCore},
	wire.SMB1OpenAndX:             {name: "OPEN_ANDX", needs: inTree | changesNames, words: 15, andX: true, fixed: 38, run: (*Conn).openAndX},
	wire.SMB1ReadAndX: {
		name: "READ_ANDX", needs: inOpen, words: 10, fid: 2, andX: true, fixed: smb1ReadFixed, room: readAndXRoom, run: (*Conn).readAndX,
	},
	wire.SMB1WriteAndX:             {name: "WRITE_ANDX", needs: inOpen, words: 12, fid: 2, andX: true, fixed: 12, run: (*Conn).writeAndX},
	wire.SMB1Transaction2:          {name: "TRANSACTION2", needs: inTree, words: wire.SMB1TransWords, fixed: transFixed, room: transRoom, run: (*Conn).transact},
	wire.SMB1Transaction2Secondary: {name: "TRANSACTION2_SECONDARY", needs: inTree, words: 8, fixed: transFixed, room: transSecondaryRoom, run: (*Conn).transactSecondary},
	wire.SMB1FindClose2:            {name: "FIND_CLOSE2", needs: onDisk, words: 1, run: (*Conn).findClose2},
	wire.SMB1TreeConnect:           {name: "TREE_CONNECT", needs: needSession, fixed: 4, run: (*Conn).treeConnectSMB1},
	wire.SMB1TreeDisconnect:        {name: "TREE_DISCONNECT", needs: needTree | changesNames, run: (*Conn).treeDisconnectSMB1},
	wire.SMB1SessionSetupAndX: {
		name: "SESSION_SETUP_ANDX", words: smb1SetupExtendedWords, andX: true, fixed: setupFixed, room: setupRoom, run: (*Conn).sessionSetupSMB1,
	},
	wire.SMB1LogoffAndX:           {name: "LOGOFF_ANDX", needs: needSession | changesNames | whenExpired, words: 2, andX: true, fixed: 4, run: (*Conn).logoffSMB1},
	wire.SMB1TreeConnectAndX:      {name: "TREE_CONNECT_ANDX", needs: needSession, words: 4, andX: true, fixed: 64, run: (*Conn).treeConnectAndX},
	wire.SMB1QueryInformationDisk: {name: "QUERY_INFORMATION_DISK", needs: onDisk, fixed: 10, run: (*Conn).queryDisk},
	wire.SMB1Search:               {name: "SEARCH", needs: onDisk, words: 2, fixed: 16, room: searchRoom, run: (*Conn).searchCore},
	wire.SMB1Find:                 {name: "FIND", needs: onDisk, words: 2, fixed: 16, room: searchRoom, run: (*Conn).searchCore},
	wire.SMB1FindUnique:           {name: "FIND_UNIQUE", needs: onDisk, words: 2, fixed: 16, room: searchRoom, run: (*Conn).searchCore},
	wire.SMB1FindClose:            {name: "FIND_CLOSE", needs: onDisk, words: 2, fixed: 16, room: searchRoom, run: (*Conn).searchCore},
	wire.SMB1NTTransact:           {name: "NT_TRANSACT", needs: inTree, words: wire.SMB1NTTransWords, fixed: transFixed, room: ntTransRoom, run: (*Conn).transact},
	wire.SMB1NTTransactSecondary: {
		name: "NT_TRANSACT_SECONDARY", needs: inTree, words: 18, fixed: transFixed, room: transSecondaryRoom, run: (*Conn).transactSecondary,
	},
	wire.SMB1NTCreateAndX: {name: "NT_CREATE_ANDX", needs: inTree | changesNames, words: 24, andX: true, fixed: 100, run: (*Conn).ntCreateAndX},
	wire.SMB1NTCancel:     {name: "NT_CANCEL", silent: true, run: (*Conn).ntCancel},
	wire.SMB1NTRename:     {name: "NT_RENAME", needs: onDisk | changesNames, words: 4, run: (*Conn).ntRename},
}
