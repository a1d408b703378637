package ir

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"mmc/ir/loop"
	"mmc/ir/sym"
)

// maxListed is the most elements of a constant that the text form lists; larger ones show a digest and do not parse.
const maxListed = 32

// String is the text form; Parse reads it back unless it holds constants of more than 32 elements that are not fill(seed).
func (g *Graph) String() string {
	p := &printer{names: map[*Value]string{}}
	p.b.WriteString("graph (")
	for i, v := range g.Inputs {
		if i > 0 {
			p.b.WriteString(", ")
		}
		fmt.Fprintf(&p.b, "%s %s", p.define(v, "in"), typeText(v))
	}
	p.b.WriteString(") {\n")
	for _, n := range g.Nodes {
		p.node(n)
	}
	for _, v := range g.Outputs {
		p.constant(v)
	}
	outs := make([]string, len(g.Outputs))
	for i, v := range g.Outputs {
		outs[i] = p.names[v]
	}
	fmt.Fprintf(&p.b, "\treturn %s\n}\n", strings.Join(outs, ", "))
	return p.b.String()
}

type printer struct {
	b     bytes.Buffer
	names map[*Value]string
	count int
}

func (p *printer) define(v *Value, prefix string) string {
	p.names[v] = prefix + strconv.Itoa(p.count)
	p.count++
	return p.names[v]
}

func typeText(v *Value) string {
	return v.Elem.String() + "[" + strings.ReplaceAll(string(MakeDims(v.Shape)), ";", ",") + "]"
}

func (p *printer) constant(v *Value) {
	if v == nil || v.Const == nil || p.names[v] != "" {
		return
	}
	fmt.Fprintf(&p.b, "\t%s = const %s %s\n", p.define(v, "c"), typeText(v), constText(v.Const))
}

func constText(t *Tensor) string {
	if t.Len() > maxListed {
		return fmt.Sprintf("sha256(%.4x)", sha256.Sum256(t.Data))
	}
	parts := make([]string, t.Len())
	for i := range parts {
		s := t.At(i)
		if t.Elem.Float() {
			parts[i] = strconv.FormatFloat(s.F, 'g', -1, 32)
		} else {
			parts[i] = strconv.FormatInt(s.I, 10)
		}
	}
	return "{" + strings.Join(parts, " ") + "}"
}

func (p *printer) node(n *Node) {
	args := make([]string, len(n.In))
	for i, v := range n.In {
		p.constant(v)
		args[i] = "_"
		if v != nil {
			args[i] = p.names[v]
		}
	}
	outs := make([]string, len(n.Out))
	types := make([]string, len(n.Out))
	for i, v := range n.Out {
		outs[i], types[i] = p.define(v, "v"), typeText(v)
	}
	with := ""
	if n.Op.Body != nil {
		with = withBody
	}
	fmt.Fprintf(&p.b, "\t%s = %s(%s)%s%s // %s\n", strings.Join(outs, ", "), n.Op.Name, strings.Join(args, ", "), AttrText(n.Attr), with, strings.Join(types, ", "))
	if with == "" {
		return
	}
	for line := range strings.Lines(n.Op.Body(n).String()) {
		p.b.WriteString("\t" + line)
	}
}

// withBody ends a node whose graph stands in the lines behind it.
const withBody = " with"

// AttrText prints an attribute struct as " {name=value …}" without the fields that are zero, and without graphs.
func AttrText(attr any) string {
	if attr == nil {
		return ""
	}
	v := reflect.ValueOf(attr)
	var parts []string
	for i := 0; i < v.NumField(); i++ {
		if f := v.Field(i); !f.IsZero() && f.Kind() != reflect.Pointer {
			parts = append(parts, v.Type().Field(i).Name+"="+fieldText(f))
		}
	}
	if parts == nil {
		return ""
	}
	return " {" + strings.Join(parts, " ") + "}"
}

func fieldText(f reflect.Value) string {
	switch f.Kind() {
	case reflect.String:
		return strconv.Quote(f.String())
	case reflect.Float32, reflect.Float64:
		return strconv.FormatFloat(f.Float(), 'g', -1, 32)
	}
	if e, ok := f.Interface().(loop.Elem); ok {
		return e.String()
	}
	return fmt.Sprint(f.Interface())
}

// Parse reads the text form.
func Parse(name string, src []byte) (*Graph, error) {
	p := &parser{g: &Graph{Hints: map[string]string{}}, vals: map[string]*Value{}}
	lines := strings.Split(string(src), "\n")
	for i := 0; i < len(lines); i++ {
		line, at := uncommented(lines[i]), i
		if node, ok := strings.CutSuffix(line, withBody); ok {
			line, i = node, i+bodyLines(lines[i+1:])
			var err error
			if p.body, err = Parse(name, []byte(strings.Join(lines[at+1:i+1], "\n"))); err != nil {
				return nil, err
			}
		}
		if err := p.line(line); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", name, at+1, err)
		}
	}
	if len(p.g.Outputs) == 0 {
		return nil, fmt.Errorf("%s: the graph returns nothing", name)
	}
	return p.g, p.g.Verify()
}

type parser struct {
	g    *Graph
	vals map[string]*Value
	body *Graph // of the next node
}

func uncommented(s string) string {
	if i := strings.Index(s, "//"); i >= 0 {
		s = s[:i]
	}
	return strings.TrimSpace(s)
}

// bodyLines is how many lines the graph has that begins with the first.
func bodyLines(lines []string) int {
	depth := 0
	for i, line := range lines {
		switch line = uncommented(line); {
		case strings.HasPrefix(line, "graph ("):
			depth++
		case line == "}":
			depth--
		}
		if depth == 0 {
			return i + 1
		}
	}
	return len(lines)
}

func (p *parser) line(s string) error {
	switch {
	case s == "" || s == "}":
		return nil
	case strings.HasPrefix(s, "graph ("):
		return p.inputs(strings.TrimSuffix(strings.TrimPrefix(s, "graph ("), ") {"))
	case strings.HasPrefix(s, "return "):
		var err error
		p.g.Outputs, err = p.lookup(strings.Split(s[len("return "):], ","))
		p.g.OutNames = make([]string, len(p.g.Outputs))
		return err
	}
	lhs, rhs, ok := strings.Cut(s, " = ")
	if !ok {
		return fmt.Errorf("want a definition, got %q", s)
	}
	if rest, ok := strings.CutPrefix(rhs, "const "); ok {
		return p.constant(lhs, rest)
	}
	return p.node(strings.Split(lhs, ", "), rhs)
}

func (p *parser) inputs(s string) error {
	for _, part := range splitTop(s) {
		name, typ, _ := strings.Cut(strings.TrimSpace(part), " ")
		v, err := parseType(typ)
		if err != nil {
			return err
		}
		v.Name = name
		p.vals[name] = v
		p.g.Inputs = append(p.g.Inputs, v)
	}
	return nil
}

// splitTop cuts at commas outside brackets.
func splitTop(s string) []string {
	var out []string
	depth, start := 0, 0
	for i, c := range s {
		switch c {
		case '[', '(', '{':
			depth++
		case ']', ')', '}':
			depth--
		case ',':
			if depth == 0 {
				out = append(out, s[start:i])
				start = i + 1
			}
		}
	}
	if strings.TrimSpace(s[start:]) != "" {
		out = append(out, s[start:])
	}
	return out
}

func parseType(s string) (*Value, error) {
	elem, rest, ok := strings.Cut(strings.TrimSpace(s), "[")
	if !ok || !strings.HasSuffix(rest, "]") {
		return nil, fmt.Errorf("bad type %q", s)
	}
	e, err := loop.ParseElem(elem)
	if err != nil {
		return nil, err
	}
	v := &Value{Elem: e}
	for _, d := range splitTop(strings.TrimSuffix(rest, "]")) {
		dim, err := sym.Parse(strings.TrimSpace(d))
		if err != nil {
			return nil, err
		}
		v.Shape = append(v.Shape, dim)
	}
	return v, nil
}

func (p *parser) lookup(names []string) ([]*Value, error) {
	var out []*Value
	for _, n := range names {
		n = strings.TrimSpace(n)
		v := p.vals[n]
		if v == nil && n != "_" {
			return nil, fmt.Errorf("%q is not defined", n)
		}
		out = append(out, v)
	}
	return out, nil
}

func (p *parser) constant(name, s string) error {
	i := strings.Index(s, "] ")
	if i < 0 {
		return fmt.Errorf("bad constant %q", s)
	}
	v, err := parseType(s[:i+1])
	if err != nil {
		return err
	}
	t := NewTensor(v.Elem, ConstShape(v.Shape)...)
	if err := fillConst(t, strings.TrimSpace(s[i+2:])); err != nil {
		return err
	}
	p.vals[name] = ConstValue(name, t)
	return nil
}

func fillConst(t *Tensor, s string) error {
	if seed, ok := strings.CutPrefix(s, "fill("); ok {
		n, err := strconv.ParseUint(strings.TrimSuffix(seed, ")"), 10, 64)
		FillRandom(t, n, 1)
		return err
	}
	fields := strings.Fields(strings.Trim(s, "{}"))
	if len(fields) != t.Len() {
		return fmt.Errorf("%d elements listed for %v", len(fields), t)
	}
	for i, f := range fields {
		x, err := strconv.ParseFloat(f, 64)
		if err != nil {
			return err
		}
		if n, err := strconv.ParseInt(f, 10, 64); err == nil {
			t.Set(i, loop.Scalar{F: x, I: n})
		} else {
			t.Set(i, loop.Scalar{F: x, I: int64(x)})
		}
	}
	return nil
}

// FillRandom fills t from a seed: floats uniform in [-scale, scale), other types 0 or 1.
func FillRandom(t *Tensor, seed uint64, scale float64) {
	x := seed*0x9e3779b97f4a7c15 + 1
	for i := 0; i < t.Len(); i++ {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		t.Set(i, loop.Scalar{F: (float64(float64(x>>40)/(1<<23)) - 1) * scale, I: int64(x >> 63)})
	}
}

func (p *parser) node(outs []string, s string) error {
	open := strings.IndexByte(s, '(')
	end := strings.IndexByte(s, ')')
	if open < 0 || end < open {
		return fmt.Errorf("bad node %q", s)
	}
	op := ops[s[:open]]
	if op == nil {
		return fmt.Errorf("unknown operator %q", s[:open])
	}
	in, err := p.lookup(splitTop(s[open+1 : end]))
	if err != nil {
		return err
	}
	attr, err := parseAttr(op.Proto, strings.Trim(strings.TrimSpace(s[end+1:]), "{}"))
	if err != nil {
		return err
	}
	if p.body != nil {
		v := reflect.New(reflect.TypeOf(attr)).Elem()
		v.Set(reflect.ValueOf(attr))
		v.FieldByName("Body").Set(reflect.ValueOf(p.body))
		attr, p.body = v.Interface(), nil
	}
	n, err := NewNode(op, attr, nil, in...)
	if err != nil {
		return err
	}
	if len(outs) != len(n.Out) {
		return fmt.Errorf("%s has %d outputs", op.Name, len(n.Out))
	}
	for i, o := range outs {
		n.Out[i].Name = o
		p.vals[o] = n.Out[i]
	}
	n.From = []string{outs[0]}
	p.g.Nodes = append(p.g.Nodes, n)
	return nil
}

func parseAttr(proto any, s string) (any, error) {
	if proto == nil {
		return nil, nil
	}
	v := reflect.New(reflect.TypeOf(proto)).Elem()
	for _, f := range strings.Fields(s) {
		name, val, _ := strings.Cut(f, "=")
		field := v.FieldByName(name)
		if !field.IsValid() {
			return nil, fmt.Errorf("unknown attribute %q", name)
		}
		if err := setField(field, val); err != nil {
			return nil, fmt.Errorf("attribute %s: %w", name, err)
		}
	}
	return v.Interface(), nil
}

func setField(f reflect.Value, s string) error {
	if _, ok := f.Interface().(loop.Elem); ok {
		e, err := loop.ParseElem(s)
		f.Set(reflect.ValueOf(e))
		return err
	}
	switch f.Kind() {
	case reflect.String:
		u, err := strconv.Unquote(s)
		f.SetString(u)
		return err
	case reflect.Bool:
		f.SetBool(s == "true")
		return nil
	case reflect.Float32, reflect.Float64:
		x, err := strconv.ParseFloat(s, 32)
		f.SetFloat(x)
		return err
	}
	n, err := strconv.ParseInt(s, 10, 64)
	f.SetInt(n)
	return err
}
