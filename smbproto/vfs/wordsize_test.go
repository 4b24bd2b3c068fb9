package vfs

import (
	"go/build"
	"go/types"
	"slices"
	"testing"
)

// The build ends with a word about the platform exactly where an int is too short for the package.
func TestAPlatformOf32BitsIsRefusedByName(t *testing.T) {
	for _, arch := range []string{
		"386", "arm", "mips", "mipsle",
		"amd64", "arm64", "loong64", "mips64", "mips64le", "ppc64", "ppc64le", "riscv64", "s390x",
	} {
		platform := build.Default
		platform.GOOS, platform.GOARCH = "linux", arch
		p, err := platform.ImportDir(".", 0)
		if err != nil {
			t.Fatal(err)
		}
		short := types.SizesFor("gc", arch).Sizeof(types.Typ[types.Int]) < 8
		if refused := slices.Contains(p.GoFiles, "wordsize.go"); refused != short {
			t.Errorf("%s: refused is %v, and int has less than 64 bits is %v", arch, refused, short)
		}
	}
}
