package edged_test

import (
	"go/ast"
	"go/token"
	"path"
	"slices"
	"strings"
	"testing"
)

// The limits of the house.
const (
	fileLinesMax     = 800
	functionLinesMax = 70
)

// exemptions are the files and functions above a limit: "path" or "path function",
// and the lines that it may have at most. The list only shrinks: split what grows.
var exemptions = map[string]int{}

// TestSizes checks the length of files and functions, and that no exemption has
// become needless.
func TestSizes(t *testing.T) {
	needed := map[string]bool{}
	check := func(name string, lines, most int) {
		if lines <= most {
			return
		}
		needed[name] = true
		if most = max(most, exemptions[name]); lines > most {
			t.Errorf("%s has %d lines, more than %d", name, lines, most)
		}
	}
	for _, s := range sources(t) {
		check(s.path, s.fset.File(s.file.Pos()).LineCount(), fileLinesMax)
		for _, d := range s.file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok {
				check(s.path+" "+f.Name.Name, s.lines(f), functionLinesMax)
			}
		}
	}
	for name := range exemptions {
		if !needed[name] {
			t.Errorf("%q needs no exemption any more; strike it", name)
		}
	}
}

// TestDocumented checks that every exported name has a comment, and that every
// package has one that states its guarantees and caveats.
func TestDocumented(t *testing.T) {
	doc := map[string]string{}
	for _, s := range sources(t) {
		if s.test {
			continue
		}
		doc[s.room] += s.file.Doc.Text()
		for _, d := range s.file.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Name.IsExported() && exportedReceiver(d) && d.Doc == nil {
					t.Errorf("%s: %s has no comment", s.at(d), d.Name.Name)
				}
			case *ast.GenDecl:
				for _, name := range undocumented(d) {
					t.Errorf("%s: %s has no comment", s.at(name), name.Name)
				}
			}
		}
	}
	for room, text := range doc {
		if text == "" {
			t.Errorf("%s has no package comment", room)
		}
		if room == "." || path.Base(room) == "cmd" || strings.HasPrefix(room, "cmd/") {
			continue // vocabulary and wiring promise nothing by themselves
		}
		for _, section := range []string{"# Guarantees", "# Caveats"} {
			if !strings.Contains(text, section) && room != "internal/bench" {
				t.Errorf("the comment of package %s has no section %q", room, section)
			}
		}
	}
}

// exportedReceiver reports whether a function is a plain one, or a method of an
// exported type.
func exportedReceiver(f *ast.FuncDecl) bool {
	if f.Recv == nil {
		return true
	}
	name := ""
	ast.Inspect(f.Recv.List[0].Type, func(n ast.Node) bool {
		if id, ok := n.(*ast.Ident); ok && name == "" {
			name = id.Name
		}
		return true
	})
	return ast.IsExported(name)
}

// undocumented returns the exported names of a declaration that neither have a
// comment nor stand in a commented group.
func undocumented(d *ast.GenDecl) []*ast.Ident {
	var names []*ast.Ident
	for _, spec := range d.Specs {
		switch spec := spec.(type) {
		case *ast.TypeSpec:
			if spec.Name.IsExported() && spec.Doc == nil && d.Doc == nil {
				names = append(names, spec.Name)
			}
		case *ast.ValueSpec:
			for _, name := range spec.Names {
				if name.IsExported() && spec.Doc == nil && spec.Comment == nil && d.Doc == nil {
					names = append(names, name)
				}
			}
		}
	}
	return names
}

// TestRefusals checks for what the house does without: init functions, tests
// that sleep in real time, and variables of packages that change.
func TestRefusals(t *testing.T) {
	vars := packageVariables(sources(t))
	for _, s := range sources(t) {
		for _, d := range s.file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			if f.Recv == nil && f.Name.Name == "init" {
				t.Errorf("%s: an init function; let main call it", s.at(f))
			}
			// In a bubble of synctest, time is virtual and sleeping costs none.
			if s.test && calls(f, "time", "Sleep") && !calls(f, "synctest", "") {
				t.Errorf("%s: %s sleeps; wait for the condition instead", s.at(f), f.Name.Name)
			}
			ast.Inspect(f, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.AssignStmt:
					for _, left := range n.Lhs {
						s.refuseChange(t, vars, left, n.Tok)
					}
				case *ast.IncDecStmt:
					s.refuseChange(t, vars, n.X, n.Tok)
				}
				return true
			})
		}
	}
}

// calls reports whether a function names pkg.name; an empty name stands for all.
func calls(f *ast.FuncDecl, pkg, name string) (found bool) {
	ast.Inspect(f, func(n ast.Node) bool {
		if s, ok := n.(*ast.SelectorExpr); ok {
			x, ok := s.X.(*ast.Ident)
			found = found || ok && x.Name == pkg && (name == "" || s.Sel.Name == name)
		}
		return true
	})
	return found
}

// packageVariables returns the names of all package variables by room.
func packageVariables(all []*source) map[string]map[string]bool {
	vars := map[string]map[string]bool{}
	for _, s := range all {
		if vars[s.room] == nil {
			vars[s.room] = map[string]bool{}
		}
		for _, d := range s.file.Decls {
			g, ok := d.(*ast.GenDecl)
			if !ok || g.Tok != token.VAR {
				continue
			}
			for _, spec := range g.Specs {
				for _, name := range spec.(*ast.ValueSpec).Names {
					vars[s.room][name.Name] = name.Name != "_"
				}
			}
		}
	}
	return vars
}

// refuseChange reports an assignment to a package variable or to a part of one.
func (s *source) refuseChange(t *testing.T, vars map[string]map[string]bool, left ast.Expr, tok token.Token) {
	t.Helper()
	for {
		switch x := left.(type) {
		case *ast.IndexExpr:
			left = x.X
			continue
		case *ast.SelectorExpr:
			left = x.X
			continue
		case *ast.StarExpr:
			left = x.X
			continue
		}
		break
	}
	id, ok := left.(*ast.Ident)
	if !ok || tok == token.DEFINE || s.test || !vars[s.room][id.Name] {
		return
	}
	// The parser has resolved names within the file: one that is declared inside
	// a function hides the package's.
	local := id.Obj != nil && s.file.Scope.Lookup(id.Name) != id.Obj
	if !local {
		t.Errorf("%s: package variable %s is changed", s.at(left), id.Name)
	}
}

// platforms are the words at the end of a file's name that the go command reads
// as a build constraint.
var platforms = strings.Fields(`aix android darwin dragonfly freebsd hurd illumos ios js linux nacl netbsd openbsd
	plan9 solaris wasip1 windows zos unix 386 amd64 arm arm64 loong64 mips mips64 mips64le mipsle ppc64 ppc64le
	riscv64 s390x wasm sparc64`)

// TestFileNames checks that no file is left out of a build by its name alone.
func TestFileNames(t *testing.T) {
	for _, s := range sources(t) {
		name := strings.TrimSuffix(strings.TrimSuffix(path.Base(s.path), ".go"), "_test")
		if at := strings.LastIndexByte(name, '_'); at > 0 && slices.Contains(platforms, name[at+1:]) {
			t.Errorf("%s: the go command reads _%s as a build constraint; write //go:build and choose another name", s.path, name[at+1:])
		}
	}
}
