package edged_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// module is the path of this module, as go.mod says it.
const module = "edged"

// source is one Go file of the module.
type source struct {
	path string // relative, with slashes
	room string // the package's folder; "." is the root
	test bool
	fset *token.FileSet
	file *ast.File
}

// at returns the place of a node, fit for an error message.
func (s *source) at(n ast.Node) string {
	return s.path + ":" + strconv.Itoa(s.fset.Position(n.Pos()).Line)
}

// lines returns how many lines a node takes.
func (s *source) lines(n ast.Node) int {
	return s.fset.Position(n.End()).Line - s.fset.Position(n.Pos()).Line + 1
}

// tree parses the module once for all tests. It reads the files in this process,
// so that the test cache knows what the result depends on.
var tree = sync.OnceValues(func() ([]*source, error) {
	var all []*source
	err := walk(func(name string) error {
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		fset := token.NewFileSet()
		file, err := parser.ParseFile(fset, name, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		all = append(all, &source{
			path: name, room: path.Dir(name), test: strings.HasSuffix(name, "_test.go"), fset: fset, file: file,
		})
		return nil
	})
	return all, err
})

// walk calls fn with every file of the module that a person wrote.
func walk(fn func(name string) error) error {
	return filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if base := d.Name(); base == "testdata" || base == "bin" || base == ".git" {
				return filepath.SkipDir
			}
			return nil
		}
		return fn(filepath.ToSlash(name))
	})
}

func sources(t *testing.T) []*source {
	t.Helper()
	all, err := tree()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// rule is one line of the codemap.
type rule struct {
	pure    bool
	imports []string // rooms; "*" means all
}

// TestCodemap checks that every import between our packages is one that the
// codemap of ARCHITECTURE.md allows, that it lists exactly the packages there
// are, and that none of its permissions is unused.
func TestCodemap(t *testing.T) {
	codemap := readCodemap(t)
	used := map[string]map[string]bool{}
	for _, s := range sources(t) {
		if used[s.room] == nil {
			used[s.room] = map[string]bool{}
		}
		r, ok := codemap[s.room]
		if !ok {
			t.Errorf("%s: the codemap of ARCHITECTURE.md does not list %s", s.path, s.room)
			codemap[s.room] = rule{imports: []string{"*"}}
			continue
		}
		if s.test {
			continue
		}
		for _, spec := range s.file.Imports {
			room, ours := roomOf(spec)
			if !ours {
				continue
			}
			used[s.room][room] = true
			if !slices.Contains(r.imports, room) && !slices.Contains(r.imports, "*") {
				t.Errorf("%s: the codemap does not let %s import %s", s.at(spec), s.room, room)
			}
		}
	}
	for room, r := range codemap {
		if used[room] == nil {
			t.Errorf("the codemap lists %s, which does not exist", room)
			continue
		}
		for _, imported := range r.imports {
			if imported != "*" && !used[room][imported] {
				t.Errorf("the codemap lets %s import %s, which it does not; strike it", room, imported)
			}
		}
	}
}

// roomOf returns the folder of an imported package of ours.
func roomOf(spec *ast.ImportSpec) (room string, ours bool) {
	name, _ := strconv.Unquote(spec.Path.Value)
	if name == module {
		return ".", true
	}
	return strings.CutPrefix(name, module+"/")
}

// TestLibraries checks that every library is imported only by the rooms that
// ARCHITECTURE.md names for it. A room in parentheses may do so in tests.
func TestLibraries(t *testing.T) {
	libraries := map[string][]string{}
	for line := range strings.Lines(block(t, "libraries")) {
		name, rooms, _ := strings.Cut(strings.TrimSpace(line), ":")
		libraries[strings.TrimSpace(name)] = strings.Fields(rooms)
	}
	used := map[string]bool{}
	for _, s := range sources(t) {
		for _, spec := range s.file.Imports {
			name, _ := strconv.Unquote(spec.Path.Value)
			if first, _, _ := strings.Cut(name, "/"); !strings.Contains(first, ".") {
				continue // ours, or the standard library's
			}
			library := ""
			for l := range libraries {
				if name == l || strings.HasPrefix(name, l+"/") {
					library = l
				}
			}
			used[library] = true
			rooms := libraries[library]
			if !slices.Contains(rooms, s.room) && !(s.test && slices.Contains(rooms, "("+s.room+")")) {
				t.Errorf("%s: ARCHITECTURE.md does not let %s import %s", s.at(spec), s.room, name)
			}
		}
	}
	for l := range libraries {
		if !used[l] {
			t.Errorf("ARCHITECTURE.md lists the library %s, which nobody imports", l)
		}
	}
}

// impure is what the deterministic core may not touch, and why.
var impure = map[string]string{
	"os": "does I/O", "os/exec": "starts processes", "net": "does I/O", "net/http": "does I/O", "syscall": "does I/O",
	"context": "implies waiting", "sync": "implies goroutines", "sync/atomic": "implies goroutines",
	"log": "does I/O", "log/slog": "does I/O", "math/rand": "is not seeded by us", "math/rand/v2": "is not seeded by us",
	"runtime": "asks about the process", "crypto/rand": "is not repeatable", "hash/maphash": "is seeded by the process",
}

// clockNames are the functions of package time that look at a clock.
var clockNames = []string{"Now", "Since", "Until", "After", "Sleep", "NewTimer", "NewTicker", "Tick", "AfterFunc"}

// TestPureRooms checks that the rooms marked pure have no clock, goroutine,
// channel, file, socket, logger or source of chance.
func TestPureRooms(t *testing.T) {
	codemap := readCodemap(t)
	for _, s := range sources(t) {
		if s.test || !codemap[s.room].pure {
			continue
		}
		for _, spec := range s.file.Imports {
			name, _ := strconv.Unquote(spec.Path.Value)
			if why, bad := impure[name]; bad {
				t.Errorf("%s: %s is pure and may not import %q, which %s", s.at(spec), s.room, name, why)
			}
			if room, ours := roomOf(spec); ours && !codemap[room].pure {
				t.Errorf("%s: %s is pure and may not import %s, which is not", s.at(spec), s.room, room)
			}
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.GoStmt:
				t.Errorf("%s: a pure room starts a goroutine", s.at(n))
			case *ast.ChanType:
				t.Errorf("%s: a pure room has a channel", s.at(n))
			case *ast.SelectorExpr:
				if x, ok := n.X.(*ast.Ident); ok && x.Name == "time" && slices.Contains(clockNames, n.Sel.Name) {
					t.Errorf("%s: a pure room calls time.%s", s.at(n), n.Sel.Name)
				}
			}
			return true
		})
	}
}

func readCodemap(t *testing.T) map[string]rule {
	t.Helper()
	m := map[string]rule{}
	for line := range strings.Lines(block(t, "codemap")) {
		name, rooms, _ := strings.Cut(strings.TrimSpace(line), ":")
		fields := strings.Fields(name)
		if len(fields) == 0 {
			t.Fatalf("codemap: no room in %q", line)
		}
		m[fields[0]] = rule{pure: slices.Contains(fields[1:], "pure"), imports: strings.Fields(rooms)}
	}
	return m
}

// block returns the fenced block of the name in ARCHITECTURE.md.
func block(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile("ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(text), "```"+name+"\n")
	text2, _, closed := strings.Cut(rest, "```")
	if !found || !closed {
		t.Fatalf("ARCHITECTURE.md has no block %q", name)
	}
	return text2
}
