package main

import (
	"strings"
	"testing"
)

func TestWithTakesWhatLeavesTheServerWhereItIsMeasured(t *testing.T) {
	for _, c := range []struct{ with, only, want string }{
		{"--spin=-1ns", ".", ""},
		{"--copy-all", ".", ""},
		{"--recovery=rack", ".", ""},
		{"--queues=1", ".", ""},
		{"--ring-in=64KiB", ".", ""},
		{"--max-io=64KiB", "^SMB", ""},
		{"--max-io=64KiB", "^(bulk in|SMB)", "ustack serve sink: unknown flag --max-io"},
		{"--procs=2", ".", "not --procs: the server has one processor"},
		{"--cpu=1", ".", "not --cpu: "},
		{"--shards=2", ".", "not --shards: "},
		{"--stack=kernel", ".", "not --stack: where"},
		{"--stack", ".", "not --stack: "},
		{"--addr=10.77.0.3/24", ".", "not --addr: "},
		{"--host-addr=10.77.0.9/24", ".", "not --host-addr: "},
		{"--tap=tap9", ".", "not --tap: "},
		{"--port=99", ".", "not --port: "},
		{"--control=x", ".", "not --control: "},
		{"--congestion=reno", ".", "not --congestion: all contenders"},
		{"--check", "^bulk in", "not --check: what is done with the bytes"},
		{"--fill", "^bulk out", "not --fill: what is done with the bytes"},
		{"--no-check", ".", "unknown flag --no-check"},
		{"--max-protocol=SMB2_02", "^SMB", "not --max-protocol: "},
		{"--min-protocol=NT1", "^SMB", "not --min-protocol: "},
		{"--share=a=/", "^SMB", "not --share: "},
		{"--no-guest", "^SMB", "not --no-guest: "},
		{"--help", ".", "not --help: "}, // which would end this program
		{"--spin=fast", ".", "--spin"},
		{"--spin", ".", "--spin"},
		{"--spni=1us", ".", "unknown flag --spni"},
		{"--spin=1us -- x", ".", "--spin"},
		{"--", ".", "want a flag"},
		{"--=1", ".", "unknown flag"},
		{"--spin=1us\x00", ".", "--spin"},
		{"spin", ".", "want a flag"},
		{"-h", ".", "want a flag"},
		{"", ".", "want a flag"},
	} {
		err := checkWith([]string{c.with}, planned(t, c.only))
		if (err == nil) != (c.want == "") || err != nil && (!strings.HasPrefix(err.Error(), "--with") || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%q: %v, want %q", c.with, err, c.want)
		}
	}
	if err := checkWith([]string{"--queues", "1"}, planned(t, ".")); err == nil {
		t.Error("a value may stand alone")
	}
}

// A flag that is gone or has another name is to be refused by that.
func TestWithRefusesFlagsThatThereAre(t *testing.T) {
	known := map[string]bool{"help": true, "no-guest": true}
	for _, leaf := range newParser(new(cli)).Model.Leaves(false) {
		if strings.HasPrefix(leaf.Path(), "ustack serve ") || strings.HasPrefix(leaf.Path(), "serve ") {
			for _, f := range leaf.Flags {
				known[f.Name] = true
			}
		}
	}
	for flag := range notWith {
		if !known[flag] {
			t.Errorf("ustack serve has no --%s", flag)
		}
	}
}
