package codegen

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"strings"
)

// allowedImports are what emitted packages may import, besides the module's own.
var allowedImports = map[string]bool{"context": true, "embed": true, "os": true, "testing": true, "math": true, "unsafe": true}

// allowedDirectives are the compiler directives in what we emit, besides build constraints.
var allowedDirectives = map[string]bool{"//go:embed weights.bin": true, "//go:embed kernels.ptx": true, "//go:embed hopper.ptx": true, "//go:noescape": true}

// check parses emitted Go files again and refuses what the emitter never means to write: other imports, init functions,
// directives, cgo. The runtime's files are ours and only parsed.
func check(files []File) error {
	for _, f := range files {
		if !strings.HasSuffix(f.Path, ".go") || strings.Contains(f.Path, "rt/") {
			continue
		}
		if err := checkFile(f); err != nil {
			return fmt.Errorf("internal error: emitted %s: %w", f.Path, err)
		}
	}
	return nil
}

func checkFile(f File) error {
	tree, err := parser.ParseFile(token.NewFileSet(), f.Path, f.Data, parser.ParseComments)
	if err != nil {
		return err
	}
	for _, imp := range tree.Imports {
		path := strings.Trim(imp.Path.Value, `"`)
		if !allowedImports[path] && strings.Contains(path, ".") {
			return fmt.Errorf("import of %q", path)
		}
	}
	for _, d := range tree.Decls {
		if fn, ok := d.(*ast.FuncDecl); ok && fn.Name.Name == "init" {
			return fmt.Errorf("an init function")
		}
	}
	for _, g := range tree.Comments {
		for _, c := range g.List {
			if text := c.Text; strings.HasPrefix(text, "//go:") && !strings.HasPrefix(text, "//go:build ") && !allowedDirectives[text] {
				return fmt.Errorf("directive %q", text)
			}
		}
	}
	return nil
}
