package wire

import (
	"strings"
	"unicode/utf8"
)

// FileInfoClass is a level of information about a file, MS-FSCC 2.4.
type FileInfoClass uint8

// File information classes.
const (
	FileDirectoryInformation       FileInfoClass = 1
	FileFullDirectoryInformation   FileInfoClass = 2
	FileBothDirectoryInformation   FileInfoClass = 3
	FileBasicInformation           FileInfoClass = 4
	FileStandardInformation        FileInfoClass = 5
	FileInternalInformation        FileInfoClass = 6
	FileEAInformation              FileInfoClass = 7
	FileAccessInformation          FileInfoClass = 8
	FileNameInformation            FileInfoClass = 9
	FileRenameInformation          FileInfoClass = 10
	FileLinkInformation            FileInfoClass = 11
	FileNamesInformation           FileInfoClass = 12
	FileDispositionInformation     FileInfoClass = 13
	FilePositionInformation        FileInfoClass = 14
	FileFullEAInformation          FileInfoClass = 15
	FileModeInformation            FileInfoClass = 16
	FileAlignmentInformation       FileInfoClass = 17
	FileAllInformation             FileInfoClass = 18
	FileAllocationInformation      FileInfoClass = 19
	FileEndOfFileInformation       FileInfoClass = 20
	FileAlternateNameInformation   FileInfoClass = 21
	FileStreamInformation          FileInfoClass = 22
	FilePipeInformation            FileInfoClass = 23
	FilePipeLocalInformation       FileInfoClass = 24
	FileCompressionInformation     FileInfoClass = 28
	FileNetworkOpenInformation     FileInfoClass = 34
	FileAttributeTagInformation    FileInfoClass = 35
	FileIDBothDirectoryInformation FileInfoClass = 37
	FileIDFullDirectoryInformation FileInfoClass = 38
	FileValidDataLengthInformation FileInfoClass = 39
	FileNormalizedNameInformation  FileInfoClass = 48
	FileIDInformation              FileInfoClass = 59
	FileDispositionInformationEx   FileInfoClass = 64
	FileRenameInformationEx        FileInfoClass = 65
)

// FileInfo is all that the levels say about a file. Its values come from one
// stat of an open handle.
type FileInfo struct {
	Creation, LastAccess, LastWrite, Change Filetime
	AllocationSize, EndOfFile               uint64
	Attributes                              Attributes
	Links                                   uint32
	FileIndex, Volume                       uint64
	EASize                                  uint32 // what the EAs take as a list
	Unix                                    UnixInfo

	// Of the open, not of the file:
	DeletePending bool
	Access        Access
	Position      uint64
	Mode          uint32
	Name          string // from the share's root, with backslashes, a leading one included
}

// Directory reports whether the file is one.
func (f *FileInfo) Directory() bool { return f.Attributes&AttributeDirectory != 0 }

// PutTimes writes the four times, 32 bytes.
func (f *FileInfo) PutTimes(b []byte) {
	le.PutUint64(b, uint64(f.Creation))
	le.PutUint64(b[8:], uint64(f.LastAccess))
	le.PutUint64(b[16:], uint64(f.LastWrite))
	le.PutUint64(b[24:], uint64(f.Change))
}

// basic: MS-FSCC 2.4.7, 40 bytes.
func (f *FileInfo) putBasic(b []byte) int {
	f.PutTimes(b)
	le.PutUint32(b[32:], uint32(f.Attributes))
	le.PutUint32(b[36:], 0)
	return 40
}

// standard: MS-FSCC 2.4.47, 24 bytes. A file about to be deleted has one link less.
func (f *FileInfo) putStandard(b []byte) int {
	clear(b[:24])
	links := f.Links
	if f.DeletePending {
		b[20] = 1
		links -= min(links, 1)
	}
	le.PutUint64(b, f.AllocationSize)
	le.PutUint64(b[8:], f.EndOfFile)
	le.PutUint32(b[16:], links)
	if f.Directory() {
		b[21] = 1
	}
	return 24
}

// putName writes a length and as much of the name as fits (MS-FSCC 2.4.32).
func (f *FileInfo) putName(b []byte, name string) (int, Status) {
	need := UTF16Len(name)
	le.PutUint32(b, uint32(need))
	if 4+need > len(b) {
		return putTruncated(b[4:], name) + 4, StatusBufferOverflow
	}
	return 4 + PutUTF16(b[4:], name), StatusOK
}

// putTruncated encodes the longest part of name that fits, in whole characters.
func putTruncated(b []byte, name string) int {
	end, used := 0, 0
	for i := 0; i < len(name); {
		r, width := utf8.DecodeRuneInString(name[i:])
		n := 2
		if r >= 0x10000 {
			n = 4
		}
		if used+n > len(b) {
			break
		}
		used += n
		i += width
		end = i
	}
	return PutUTF16(b, name[:end])
}

// minSize is the least output buffer for each class: less is
// STATUS_INFO_LENGTH_MISMATCH (MS-SMB2 3.3.5.20.1). A class that is not here
// cannot be queried.
func (c FileInfoClass) minSize() int {
	switch c {
	case FileBasicInformation:
		return 40
	case FileStandardInformation:
		return 24
	case FileInternalInformation, FilePositionInformation, FileAttributeTagInformation:
		return 8
	case FileEAInformation, FileAccessInformation, FileModeInformation, FileAlignmentInformation:
		return 4
	case FileNameInformation, FileNormalizedNameInformation, FileAlternateNameInformation:
		return 8 // with what pads the structure, though the answer may be shorter
	case FileAllInformation:
		return 104
	case FileNetworkOpenInformation:
		return 56
	case FileIDInformation:
		return 24
	case FileStreamInformation:
		return 32
	case FileCompressionInformation:
		return 16
	}
	return 0
}

// HasEASize reports whether the class says what a file's EAs take.
func (c FileInfoClass) HasEASize() bool { return c == FileEAInformation || c == FileAllInformation }

// PutFileInfo writes the information of a class into b, which is as long as the
// client allows. With StatusBufferOverflow what is written counts all the same.
func PutFileInfo(b []byte, class FileInfoClass, f *FileInfo) (n int, status Status) {
	least := class.minSize()
	if least == 0 {
		return 0, StatusInvalidInfoClass
	}
	if len(b) < least {
		return 0, StatusInfoLengthMismatch
	}
	switch class {
	case FileBasicInformation:
		return f.putBasic(b), StatusOK
	case FileStandardInformation:
		return f.putStandard(b), StatusOK
	case FileInternalInformation:
		le.PutUint64(b, f.FileIndex)
	case FilePositionInformation:
		le.PutUint64(b, f.Position)
	case FileAttributeTagInformation:
		le.PutUint32(b, uint32(f.Attributes))
		le.PutUint32(b[4:], 0)
	case FileEAInformation:
		le.PutUint32(b, f.EASize)
	case FileAlignmentInformation:
		le.PutUint32(b, 0) // any
	case FileAccessInformation:
		le.PutUint32(b, uint32(f.Access))
	case FileModeInformation:
		le.PutUint32(b, f.Mode)
	case FileNameInformation:
		return f.putName(b, trimRoot(f.Name))
	case FileNormalizedNameInformation: // that of the root is empty, MS-FSCC 2.4, FileNormalizedNameInformation
		return f.putName(b, strings.TrimPrefix(f.Name, `\`))
	case FileAlternateNameInformation:
		return f.putAlternateName(b)
	case FileAllInformation:
		return f.putAll(b)
	case FileNetworkOpenInformation:
		f.PutTimes(b)
		le.PutUint64(b[32:], f.AllocationSize)
		le.PutUint64(b[40:], f.EndOfFile)
		le.PutUint32(b[48:], uint32(f.Attributes))
		le.PutUint32(b[52:], 0)
	case FileIDInformation:
		le.PutUint64(b, f.Volume)
		le.PutUint64(b[8:], f.FileIndex)
		le.PutUint64(b[16:], 0)
	case FileStreamInformation: // of what has no named streams; see PutStreams
		return PutStreams(b, []StreamInfo{{DefaultStream, f.EndOfFile, f.AllocationSize}})
	case FileCompressionInformation:
		clear(b[:16])
		le.PutUint64(b, f.EndOfFile)
	}
	return least, StatusOK
}

// all: MS-FSCC 2.4.2.
func (f *FileInfo) putAll(b []byte) (int, Status) {
	n := f.putBasic(b)
	n += f.putStandard(b[n:])
	le.PutUint64(b[n:], f.FileIndex)
	le.PutUint32(b[n+8:], f.EASize)
	le.PutUint32(b[n+12:], uint32(f.Access))
	le.PutUint64(b[n+16:], f.Position)
	le.PutUint32(b[n+24:], f.Mode)
	le.PutUint32(b[n+28:], 0) // alignment
	n += 32
	name, status := f.putName(b[n:], f.Name)
	return n + name, status
}

// putAlternateName gives the 8.3 name (MS-FSCC 2.4.5). The root has none.
func (f *FileInfo) putAlternateName(b []byte) (int, Status) {
	short := f.alternateName()
	if short == "" {
		return 0, StatusObjectNameNotFound
	}
	return f.putName(b, short)
}

// alternateName is the 8.3 name, "" of the root.
func (f *FileInfo) alternateName() string {
	base := f.Name[strings.LastIndexByte(f.Name, '\\')+1:]
	if base == "" {
		return ""
	}
	return ShortName(base)
}

func trimRoot(name string) string {
	if len(name) > 1 && name[0] == '\\' {
		return name[1:]
	}
	return name
}
