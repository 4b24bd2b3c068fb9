package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"golang.org/x/sys/unix"
)

// mostSMBFile bounds a configuration file, bytes: some thousand shares.
const mostSMBFile = 1 << 20

// smbFile is what a file given by --config says, in TOML 1.0; nil where it says nothing. docs/ustack.toml
// explains each key. Paths in it are relative to the file's directory.
type smbFile struct {
	Network struct {
		Stack          *string   `toml:"stack"`
		TAP            *string   `toml:"tap"`
		Addresses      []string  `toml:"addresses"`
		HostAddresses  []string  `toml:"host_addresses"`
		Gateways       []string  `toml:"gateways"`
		Ports          []uint16  `toml:"ports"`
		Congestion     *string   `toml:"congestion"`
		MaxConnections *int      `toml:"max_connections"`
		RingIn         *byteSize `toml:"ring_in"`
		RingOut        *byteSize `toml:"ring_out"`
		Shards         *int      `toml:"shards"`
		Processors     []int     `toml:"processors"`
		Procs          *int      `toml:"procs"`
	} `toml:"network"`
	Server struct {
		Name      *string `toml:"name"`
		Workgroup *string `toml:"workgroup"`
		Comment   *string `toml:"comment"`
		User      *string `toml:"user"`
		SID       *string `toml:"sid"`
		Control   *string `toml:"control"`
		Audit     *string `toml:"audit"`
		Metrics   *string `toml:"metrics"`
	} `toml:"server"`
	Security struct {
		Users       *string  `toml:"users"`
		Keytab      *string  `toml:"keytab"`
		Admins      []string `toml:"administrators"`
		Guests      *bool    `toml:"guests"`
		Signing     *string  `toml:"signing"`
		Encryption  *string  `toml:"encryption"`
		MinProtocol *string  `toml:"min_protocol"` // no protocol: the decoder would take the number of one for a name
		MaxProtocol *string  `toml:"max_protocol"`
	} `toml:"security"`
	Limits struct {
		MaxIO          *byteSize `toml:"max_io"`
		RequestTimeout *string   `toml:"request_timeout"`
		IdleTimeout    *string   `toml:"idle_timeout"`
		Sessions       *int      `toml:"sessions"`
		ClientConns    *int      `toml:"client_connections"`
		Channels       *int      `toml:"channels"`
		Trees          *int      `toml:"trees"`
		Opens          *int      `toml:"opens"`
		Files          *int      `toml:"files"`
		Credits        *int      `toml:"credits"`
		Compound       *int      `toml:"compound"`
		Pending        *int      `toml:"pending"`

		Disconnected       *int    `toml:"disconnected"`
		ClientDisconnected *int    `toml:"client_disconnected"`
		DurableTimeout     *string `toml:"durable_timeout"`
		MaxDurableTimeout  *string `toml:"max_durable_timeout"`
	} `toml:"limits"`
	Share map[string]smbFileShare `toml:"share"`
}

// smbFileShare is a table [share.NAME].
type smbFileShare struct {
	Path     string   `toml:"path"`
	Comment  string   `toml:"comment"`
	ReadOnly bool     `toml:"read_only"`
	Encrypt  bool     `toml:"encrypt"`
	Users    []string `toml:"users"`
	Guests   *bool    `toml:"guests"` // nil: only where there are no Users
}

// readSMBFile reads a configuration file.
func readSMBFile(path string) (*smbFile, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0) // a FIFO must not hold the server up
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if st, err := f.Stat(); err != nil || !st.Mode().IsRegular() {
		return nil, cmp.Or(err, fmt.Errorf("%s is not a regular file: want one, which SIGHUP can have read again", path))
	}
	text, err := io.ReadAll(io.LimitReader(f, mostSMBFile+1))
	if err != nil {
		return nil, err
	}
	if len(text) > mostSMBFile {
		return nil, fmt.Errorf("%s is larger than %d bytes", path, mostSMBFile)
	}
	file, err := parseSMBFile(text)
	if err != nil {
		return nil, fmt.Errorf("%s%w", path, err)
	}
	return file, nil
}

// What the decoder says of a value of another type, and of a number that does not fit: TOML's type or the number, and, last, Go's type.
var (
	wrongType   = regexp.MustCompile(`^cannot decode TOML (.+?) into .*?(\S+)$`)
	wrongNumber = regexp.MustCompile(`^(?:negative )?integer value (\S+) cannot be stored in (\S+)$`)
)

// valueNames are types as who writes a file calls them.
var valueNames = map[string]string{
	"bool": "true or false", "int": "an integer", "uint16": "an integer from 0 to 65535", "string": "a string", "[]string": "a list of strings",
	"[]int": "a list of integers", "[]uint16": "a list of integers", "main.byteSize": `bytes, such as 65536 or "64KiB"`,
	"}": "a table", "main.smbFileShare": "a table", "map[string]main.smbFileShare": "tables [share.NAME]",
}

// inWords says what the decoder said of a value to who writes a file.
func inWords(said string) string {
	said = strings.TrimPrefix(said, "toml: ")
	if m := wrongType.FindStringSubmatch(said); m != nil {
		return fmt.Sprintf("this is of type %s: want %s", m[1], cmp.Or(valueNames[m[2]], m[2]))
	}
	if m := wrongNumber.FindStringSubmatch(said); m != nil {
		return fmt.Sprintf("%s does not fit: want %s", m[1], cmp.Or(valueNames[m[2]], m[2]))
	}
	return said
}

// parseSMBFile reads a file's text. An error begins with the place, ":LINE:COLUMN: ", and a key that is not
// known is one.
func parseSMBFile(text []byte) (*smbFile, error) {
	text = bytes.TrimPrefix(text, []byte("\ufeff")) // an editor's on Windows
	file := new(smbFile)
	d := toml.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	err := d.Decode(file)
	var unknown *toml.StrictMissingError
	if errors.As(err, &unknown) {
		var all []string
		for _, e := range unknown.Errors {
			line, column := e.Position()
			all = append(all, fmt.Sprintf(":%d:%d: there is no key %q", line, column, strings.Join(e.Key(), ".")))
		}
		return nil, errors.New(strings.Join(all, "; "))
	}
	var wrong *toml.DecodeError
	if errors.As(err, &wrong) {
		line, column := wrong.Position()
		why := inWords(wrong.Error())
		if key := strings.Join(wrong.Key(), "."); key != "" {
			why = key + ": " + why
		}
		return nil, fmt.Errorf(":%d:%d: %s", line, column, why)
	}
	if err != nil {
		return nil, fmt.Errorf(": %w", err)
	}
	return file, nil
}
