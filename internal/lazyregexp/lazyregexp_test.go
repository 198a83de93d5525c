package lazyregexp

import (
	"errors"
	"go/ast"
	"go/constant"
	"go/parser"
	"go/token"
	"go/types"
	"io/fs"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

// TestEveryExpressionCompiles compiles what is compiled on first use, all over the
// module, so that no user is the first to use a malformed one.
func TestEveryExpressionCompiles(t *testing.T) {
	found := 0
	eachPackage(t, func(fset *token.FileSet, files []*ast.File) {
		known := constants(fset, files)
		eachCall(files, func(call *ast.CallExpr, name string, _ bool) {
			if name != "lazyregexp.New" && name != "regexp.MustCompile" {
				return
			}
			at := fset.Position(call.Pos())
			value := known[call.Args[0]].Value
			if value == nil || value.Kind() != constant.String {
				t.Errorf("%s: the expression is no constant, and no test can compile it", at)
				return
			}
			found++
			if _, err := regexp.Compile(constant.StringVal(value)); err != nil {
				t.Errorf("%s: %v", at, err)
			}
		})
	})
	if found < 70 {
		t.Errorf("only %d expressions were found: the test does not see the code", found)
	}
}

// TestNothingIsCompiledBeforeMain holds every package of the program to it.
func TestNothingIsCompiledBeforeMain(t *testing.T) {
	slow := []string{"regexp.MustCompile", "regexp.Compile", "template.Must"}
	found := 0
	eachPackage(t, func(fset *token.FileSet, files []*ast.File) {
		eachCall(files, func(call *ast.CallExpr, name string, atStart bool) {
			if !slices.Contains(slow, name) {
				return
			}
			found++
			if atStart {
				t.Errorf("%s: %s runs before main, for every command; use lazyregexp.New or sync.OnceValue", fset.Position(call.Pos()), name)
			}
		})
	})
	if found < 10 {
		t.Errorf("only %d calls were found: the test does not see the code", found)
	}
}

// TestStartIsSeen is that of the test above: what runs at the start, and what does not.
func TestStartIsSeen(t *testing.T) {
	const source = `package p
var early = regexp.MustCompile("a")
var wrapped = []*regexp.Regexp{regexp.MustCompile("b")}
var called = func() *regexp.Regexp { return regexp.MustCompile("c") }()
var late = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile("d") })
func init() { regexp.MustCompile("e") }
func f() { regexp.MustCompile("f"); func() { regexp.MustCompile("g") }() }
`
	file, err := parser.ParseFile(token.NewFileSet(), "p.go", source, 0)
	if err != nil {
		t.Fatal(err)
	}
	var early, late strings.Builder
	eachCall([]*ast.File{file}, func(call *ast.CallExpr, name string, atStart bool) {
		if name != "regexp.MustCompile" {
			return
		}
		to := &late
		if atStart {
			to = &early
		}
		to.WriteString(call.Args[0].(*ast.BasicLit).Value)
	})
	if early.String() != `"a""b""c""e"` || late.String() != `"d""f""g"` {
		t.Errorf("at the start: %s, later: %s", early.String(), late.String())
	}
}

// TestMethods holds each method to that of the standard library.
func TestMethods(t *testing.T) {
	const expression, text = `([a-z])([0-9]*)`, "a1,b,,c23"
	want, got := regexp.MustCompile(expression), New(expression)
	same := func(name string, got, want any) {
		t.Helper()
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	same("String", got.String(), want.String())
	for _, s := range []string{text, "", ",,"} {
		same("Match", got.Match([]byte(s)), want.Match([]byte(s)))
		same("MatchString", got.MatchString(s), want.MatchString(s))
		same("FindSubmatch", got.FindSubmatch([]byte(s)), want.FindSubmatch([]byte(s)))
		same("FindStringSubmatch", got.FindStringSubmatch(s), want.FindStringSubmatch(s))
		for _, n := range []int{-1, 0, 2} {
			same("FindAllString", got.FindAllString(s, n), want.FindAllString(s, n))
			same("FindAllStringSubmatch", got.FindAllStringSubmatch(s, n), want.FindAllStringSubmatch(s, n))
			same("Split", got.Split(s, n), want.Split(s, n))
		}
		same("ReplaceAllString", got.ReplaceAllString(s, "$2$1"), want.ReplaceAllString(s, "$2$1"))
	}
}

func TestConcurrentUse(t *testing.T) {
	r := New(`^[a-z]{1,20}$`)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if !r.MatchString("abc") || r.MatchString("ABC") {
				t.Error("a wrong match")
			}
		})
	}
	all.Wait()
}

func BenchmarkMatch(b *testing.B) {
	for name, r := range map[string]interface{ MatchString(string) bool }{"lazy": New(`^a`), "regexp": regexp.MustCompile(`^a`)} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				r.MatchString("b")
			}
		})
	}
}

// eachPackage calls f with the files of every package of the program, without tests.
func eachPackage(t *testing.T, f func(*token.FileSet, []*ast.File)) {
	t.Helper()
	for _, root := range []string{filepath.Join("..", "..", "cmd"), ".."} {
		err := filepath.WalkDir(root, func(dir string, d fs.DirEntry, err error) error {
			if err != nil || !d.IsDir() {
				return err
			}
			if filepath.Base(dir) == "lazyregexp" {
				return nil // it hands on what it was given
			}
			names, err := filepath.Glob(filepath.Join(dir, "*.go"))
			fset, files := token.NewFileSet(), []*ast.File(nil)
			for _, name := range names {
				if !strings.HasSuffix(name, "_test.go") {
					file, errFile := parser.ParseFile(fset, name, nil, parser.SkipObjectResolution)
					files, err = append(files, file), errors.Join(err, errFile)
				}
			}
			if len(files) > 0 && err == nil {
				f(fset, files)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// constants are the types, and the values, of a package's expressions as far as they
// are known without what it imports.
func constants(fset *token.FileSet, files []*ast.File) map[ast.Expr]types.TypeAndValue {
	info := types.Info{Types: map[ast.Expr]types.TypeAndValue{}}
	config := types.Config{Error: func(error) {}}
	_, _ = config.Check("p", fset, files, &info) // of course there are errors
	return info.Types
}

// eachCall calls f for every call of a package's function, by the names of both, and
// says whether it is made before main begins.
func eachCall(files []*ast.File, f func(call *ast.CallExpr, name string, atStart bool)) {
	for _, file := range files {
		for _, decl := range file.Decls {
			made, isFunction := decl.(*ast.FuncDecl)
			callsWithin(decl, !isFunction || made.Recv == nil && made.Name.Name == "init", f)
		}
	}
}

// callsWithin are those of a node. A function in it runs later, unless it is called
// where it stands.
func callsWithin(node ast.Node, atStart bool, f func(call *ast.CallExpr, name string, atStart bool)) {
	ast.Inspect(node, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncLit:
			callsWithin(n.Body, false, f)
			return false
		case *ast.CallExpr:
			if here, ok := n.Fun.(*ast.FuncLit); ok {
				callsWithin(here.Body, atStart, f)
				for _, argument := range n.Args {
					callsWithin(argument, atStart, f)
				}
				return false
			}
			if called, ok := n.Fun.(*ast.SelectorExpr); ok {
				if of, ok := called.X.(*ast.Ident); ok {
					f(n, of.Name+"."+called.Sel.Name, atStart)
				}
			}
		}
		return true
	})
}
