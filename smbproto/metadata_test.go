package smbproto

import (
	"bytes"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"golang.org/x/sys/unix"

	"ustack/smbproto/wire"
)

// visit opens a file that is there, asks for all that is known of it and closes it.
func visit(tb testing.TB) (once func()) {
	p := withStreams(tb)
	p.want(p.closeMsg(p.newFile("file")), wire.StatusOK)
	create := newSteady(p, p.createMsg("file", opening{rd | wire.AccessReadAttributes, shareAll, wire.Open, 0}))
	query := newSteady(p, p.queryMsg(wire.FileID{}, wire.InfoFile, uint8(wire.FileAllInformation), 1000))
	shut := newSteady(p, p.closeMsg(wire.FileID{}))
	p.message -= 3
	return func() {
		create.renumber()
		id := wire.ReadFileID(create.exchange(tb, create.b, 1<<20)[128:])
		p.a.Out.Consume(p.a.Out.Len())
		id.Put(query.msg[88:])
		query.once(tb, 1<<20)
		id.Put(shut.msg[72:])
		shut.once(tb, 1<<20)
	}
}

func BenchmarkVisit(b *testing.B) {
	once := visit(b)
	b.ReportAllocs()
	for b.Loop() {
		once()
	}
}

func TestVisitAllocatesLittle(t *testing.T) {
	const most = 26
	if n := testing.AllocsPerRun(50, visit(t)); n > most {
		t.Errorf("CREATE, QUERY_INFO and CLOSE: %v allocations, want at most %d", n, most)
	}
}

// needStrace skips a test where strace is missing, or may not trace.
func needStrace(t *testing.T) (path string) {
	t.Helper()
	path, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("strace is not installed: apt-get install strace")
	}
	if out, err := exec.Command(path, "-o", os.DevNull, "true").CombinedOutput(); err != nil {
		t.Skipf("strace may not trace: %v\n%s", err, out)
	}
	return path
}

// A trace of this test's own binary, which is told by the environment to do nothing but visits, shows what they ask of Linux.
func TestVisitTakesFewSystemCalls(t *testing.T) {
	const told, begin, rounds = "USTACK_TEST_VISITS", "visits-begin", 100
	if os.Getenv(told) != "" {
		once := visit(t)
		_ = unix.Access(begin, 0)
		for range rounds {
			once()
		}
		return
	}
	needXattrs(t)
	strace := needStrace(t)
	log := filepath.Join(t.TempDir(), "log")
	cmd := exec.Command(strace, "-f", "-qq", "-o", log, "-e", "trace=/^(access|faccessat|openat2?|close|statx|ioctl|.*xattr)$",
		os.Args[0], "-test.run=^TestVisitTakesFewSystemCalls$")
	cmd.Env = append(os.Environ(), told+"=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	b, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	_, b, ok := bytes.Cut(b, []byte(begin))
	if !ok {
		t.Fatal("the trace does not show where the visits begin")
	}
	calls := map[string]int{}
	for _, m := range regexp.MustCompile(`(?m)^\d+ +(\w+)\(`).FindAllSubmatch(b, -1) {
		calls[string(m[1])]++
	}
	maps.DeleteFunc(calls, func(_ string, n int) bool { return n < rounds/2 })
	for name, n := range calls {
		calls[name] = (n + rounds/2) / rounds // what is left at the end, and the runtime's own, is not of a visit
	}
	if calls["ioctl"] == 1 { // where the file system counts the room of xattrs with the file's
		delete(calls, "ioctl")
	}
	want := map[string]int{
		"openat2": 1, "openat": 1, // to look the file up, and to open it for input once its user may read it
		"getxattr":   1, // of the descriptor
		"fgetxattr":  1, // of the attributes, for CREATE
		"flistxattr": 1, // for QUERY_INFO: there are neither attributes nor EAs
		"statx":      3, // which file it is; what it is like now that it is entered; and for QUERY_INFO
		"close":      2,
	}
	if !maps.Equal(calls, want) {
		t.Errorf("CREATE, QUERY_INFO and CLOSE take\n%v, want\n%v", calls, want)
	}
}
