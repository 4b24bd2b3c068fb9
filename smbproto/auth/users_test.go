package auth

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"pgregory.net/rapid"
)

const someHash = "8846f7eaee8fb117ad06bdd830b7586c" // of "password"

func userFileWith(t *testing.T, text string, mode fs.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "users")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil { // whatever the umask
		t.Fatal(err)
	}
	return path
}

func TestUserFileKeepsWhatWasAdded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "users")
	f, err := CreateUserFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"alice", "Bob", "žofie", "a b", "carol"} {
		if err := f.Add(name, "password"); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(f.Add("ALICE", "other"), f.Remove("CAROL")); err != nil {
		t.Fatal(err)
	}
	again, err := OpenUserFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range []*UserFile{f, again} {
		if got, want := f.Names(), []string{"alice", "Bob", "žofie", "a b"}; !slices.Equal(got, want) {
			t.Errorf("names %q, want %q", got, want)
		}
		for name, password := range map[string]string{"Alice": "other", "bob": "password", "ŽOFIE": "password", "A B": "password"} {
			if hash, ok := f.Lookup(name); !ok || hash != NTHash(password) {
				t.Errorf("Lookup(%q) = %x, %v", name, hash, ok)
			}
		}
		if hash, ok := f.Lookup("carol"); ok || hash != [16]byte{} {
			t.Error("the removed user is still there")
		}
	}
}

func TestUserFileIsSavedWithMode0600AndNothingLeftBeside(t *testing.T) {
	path := userFileWith(t, "", 0o400)
	f, err := OpenUserFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Add("alice", "password"); err != nil {
		t.Fatal(err)
	}
	st, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if st.Mode() != 0o600 {
		t.Errorf("mode %v, want 0600", st.Mode())
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 1 {
		t.Errorf("directory has %v, %v; want the file alone", entries, err)
	}
}

func TestUserFileKeepsCommentsAndOrder(t *testing.T) {
	path := userFileWith(t, "# staff\nbob:"+someHash+"\n\n#alice:"+someHash+"\n", 0o600)
	f, err := OpenUserFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Add("carol", "password"), f.Remove("bob"), f.Add("dan", "password")); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(path)
	if want := "# staff\n\n#alice:" + someHash + "\ncarol:" + someHash + "\ndan:" + someHash + "\n"; err != nil || string(got) != want {
		t.Errorf("file %q, %v; want %q", got, err, want)
	}
}

func TestUserFileThatOthersMayAccessIsRefused(t *testing.T) {
	for _, mode := range []fs.FileMode{0o640, 0o604, 0o610, 0o602, 0o601, 0o644} {
		_, err := OpenUserFile(userFileWith(t, "", mode))
		if !errors.Is(err, ErrUserFile) || !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), "chmod 600") {
			t.Errorf("mode %o: %v", mode, err)
		}
	}
}

func TestWhatIsNoUserFileIsRefused(t *testing.T) {
	dir := t.TempDir()
	fifo := filepath.Join(dir, "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenUserFile(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) || !errors.Is(err, ErrUserFile) {
		t.Errorf("no file: %v", err)
	}
	for _, path := range []string{fifo, dir} {
		if _, err := OpenUserFile(path); !errors.Is(err, ErrUserFile) {
			t.Errorf("%s: %v", path, err)
		}
	}
	if _, err := CreateUserFile(userFileWith(t, "", 0o600)); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a file that exists is created: %v", err)
	}
}

func TestBadLinesAreNamedByNumber(t *testing.T) {
	good := "alice:" + someHash + "\n"
	for name, tc := range map[string]struct{ text, want string }{
		"no colon":       {good + "bob\n", "line 2: no colon"},
		"empty name":     {":" + someHash, "line 1: empty user name"},
		"short hash":     {"# x\n\n" + good + "bob:1234\n", "line 4: user \"bob\": hash of 4"},
		"long hash":      {"bob:" + someHash + "00", "line 1: user \"bob\": hash of 34"},
		"not hex":        {"bob:" + strings.Repeat("g", 32), "line 1: user \"bob\": hash is not hexadecimal"},
		"third field":    {"bob:" + someHash + ":x", "hash of 34"},
		"twice":          {good + good, "line 2: user \"alice\" is already on line 1"},
		"twice by case":  {good + "\nALICE:" + someHash, "line 3: user \"ALICE\" is already on line 1"},
		"control":        {"a\tb:" + someHash, "control character"},
		"space before":   {" bob:" + someHash, "space"},
		"space behind":   {"bob :" + someHash, "space"},
		"CR LF":          {"bob:" + someHash + "\r\n", "hash of 33"},
		"not UTF-8":      {"b\xffb:" + someHash, "not UTF-8"},
		"name too long":  {strings.Repeat("x", 257) + ":" + someHash, "257 bytes"},
		"zero byte":      {"b\x00b:" + someHash, "control character"},
		"comment inside": {good + " # not a comment", "line 2: no colon"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := OpenUserFile(userFileWith(t, tc.text, 0o600))
			if !errors.Is(err, ErrUserFile) || !strings.Contains(err.Error(), tc.want) {
				t.Fatalf("got %v, want %q in it", err, tc.want)
			}
			if strings.Contains(err.Error(), someHash) {
				t.Errorf("the error shows a hash: %v", err)
			}
		})
	}
}

func TestBadNamesAndPasswordsChangeNothing(t *testing.T) {
	path := userFileWith(t, "alice:"+someHash+"\n", 0o600)
	f, err := OpenUserFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range [][2]string{
		{"", "x"}, {"a:b", "x"}, {"a\nb", "x"}, {"#a", "x"}, {" a", "x"}, {strings.Repeat("é", 129), "x"}, {"\xff", "x"},
		{"bob", ""}, {"alice", ""}, {"bob", strings.Repeat("x", 257)}, {"bob", "\xff"},
	} {
		if err := f.Add(c[0], c[1]); !errors.Is(err, ErrUserFile) {
			t.Errorf("Add(%q, %q): %v", c[0], c[1], err)
		}
	}
	if err := f.Remove("bob"); !errors.Is(err, ErrUserFile) {
		t.Errorf("Remove of nobody: %v", err)
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != "alice:"+someHash+"\n" {
		t.Errorf("file %q, %v", got, err)
	}
}

func TestAFailedSaveOrReloadKeepsTheAccounts(t *testing.T) {
	path := userFileWith(t, "alice:"+someHash+"\n", 0o600)
	f, err := OpenUserFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := f.Reload(); !errors.Is(err, ErrUserFile) {
		t.Errorf("Reload of nonsense: %v", err)
	}
	if err := os.RemoveAll(filepath.Dir(path)); err != nil {
		t.Fatal(err)
	}
	if err := f.Add("bob", "password"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Add without a directory: %v", err)
	}
	if names := f.Names(); !slices.Equal(names, []string{"alice"}) {
		t.Errorf("names %q, want alice alone", names)
	}
}

func TestASymbolicLinkStaysAndItsTargetIsSaved(t *testing.T) {
	path := userFileWith(t, "", 0o600)
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	f, err := OpenUserFile(link)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Add("alice", "password"); err != nil {
		t.Fatal(err)
	}
	if st, err := os.Lstat(link); err != nil || st.Mode().Type() != fs.ModeSymlink {
		t.Errorf("the link is now %v, %v", st.Mode(), err)
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != "alice:"+someHash+"\n" {
		t.Errorf("target %q, %v", got, err)
	}
}

// The table behaves as a map does, and survives its own text.
func TestUserTableAgreesWithAMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		table, err := parseUsers("# head\n")
		if err != nil {
			t.Fatal(err)
		}
		model := map[string][16]byte{}
		name := rapid.SampledFrom([]string{"a", "A", "b", "B", "č", "Č", "d"})
		t.Repeat(map[string]func(*rapid.T){
			"set": func(t *rapid.T) {
				n, hash := name.Draw(t, "name"), [16]byte{rapid.Byte().Draw(t, "hash")}
				table.set(n, hash)
				model[strings.ToLower(n)] = hash
			},
			"remove": func(t *rapid.T) {
				n := name.Draw(t, "name")
				_, was := model[strings.ToLower(n)]
				if got := table.remove(n); got != was {
					t.Fatalf("remove(%q) = %v, want %v", n, got, was)
				}
				delete(model, strings.ToLower(n))
			},
			"": func(t *rapid.T) {
				again, err := parseUsers(table.text())
				if err != nil {
					t.Fatalf("its own text: %v", err)
				}
				if len(again.names()) != len(model) {
					t.Fatalf("names %q, want %d", again.names(), len(model))
				}
				for n, want := range model {
					for _, table := range []*userTable{&table, &again} {
						if got, ok := table.lookup(n); !ok || got != want {
							t.Fatalf("lookup(%q) = %x, %v; want %x", n, got, ok, want)
						}
					}
				}
			},
		})
	})
}

func FuzzUserFile(f *testing.F) {
	f.Add("# staff\nalice:" + someHash + "\n\nBob:" + strings.ToUpper(someHash))
	f.Add("alice:" + someHash + "\nALICE:" + someHash)
	f.Add(" \r\n:\n")
	f.Fuzz(func(t *testing.T, text string) {
		table, err := parseUsers(text)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "line ") {
				t.Errorf("error without a line: %v", err)
			}
			return
		}
		again, err := parseUsers(table.text())
		if err != nil {
			t.Fatalf("text %q of a good file: %v", table.text(), err)
		}
		if again.text() != table.text() || !slices.Equal(again.names(), table.names()) {
			t.Errorf("%q read again is %q", table.text(), again.text())
		}
		for _, name := range table.names() {
			a, ok := table.lookup(strings.ToUpper(name))
			b, same := again.lookup(name)
			if !ok || !same || a != b {
				t.Errorf("user %q: %x %v, read again %x %v", name, a, ok, b, same)
			}
		}
	})
}

// Files belong to SIDs, so no two users of a file may have the same.
func TestNoTwoUsersHaveOneSID(t *testing.T) {
	one, other := twoOfOneRID(t)
	path := filepath.Join(t.TempDir(), "users")
	f, err := CreateUserFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Add(one, "secret"); err != nil {
		t.Fatal(err)
	}
	if err := f.Add(other, "secret"); !errors.Is(err, ErrUserFile) {
		t.Errorf("a user with the SID of another is added: %v", err)
	}
	if err := f.Add(strings.ToUpper(one), "other"); err != nil {
		t.Errorf("the user's own password is changed: %v", err)
	}
	line := strings.Repeat("0", 32) + "\n"
	if err := os.WriteFile(path, []byte(one+":"+line+other+":"+line), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenUserFile(path); !errors.Is(err, ErrUserFile) {
		t.Errorf("a file with two users of one SID is read: %v", err)
	}
}

// twoOfOneRID finds two such names by trying.
func twoOfOneRID(t *testing.T) (one, other string) {
	t.Helper()
	seen := map[uint32]string{}
	for i := range 1 << 20 {
		name := fmt.Sprintf("user%d", i)
		if first, ok := seen[RID(name)]; ok {
			return first, name
		}
		seen[RID(name)] = name
	}
	t.Fatal("a million names have as many SIDs")
	return "", ""
}

func TestNoLetterBeyondASCIIIsTheOtherCaseOfOneOfASCII(t *testing.T) {
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{"alice", "ALICE", true}, {"jürgen", "JÜRGEN", true}, {"γιώργος", "ΓΙΏΡΓΟΣ", true},
		{"alıce", "alice", false}, {"alıce", "ALICE", false}, {"ſmith", "smith", false}, {"mi\u212ae", "mike", false},
	} {
		if same := SameName(c.a, c.b); same != c.same || (RID(c.a) == RID(c.b)) != c.same || (RealmNumbers(c.a, "R") == RealmNumbers(c.b, "R")) != c.same {
			t.Errorf("%s and %s: one user %v", c.a, c.b, same)
		}
	}
}
