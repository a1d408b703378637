package onnx

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"

	"mmc/frontend/onnx/onnxpb"
	"mmc/ir"
	"mmc/ir/loop"
	"mmc/ir/sym"
)

// Options of Load.
type Options struct {
	Dims       map[string]int64 // sizes for named axes, or for symbols such as s0
	Apart      map[string]bool  // axes of these names have a size of their own for each input; NAME is INPUT.NAME then
	TrustLinks bool             // allow external data behind links

	// Fixed holds inputs that the program is made for: operators read them as constants, and a run checks them.
	Fixed map[string]*ir.Tensor
	Fix   map[string]string // the same as text: numbers with commas, or a .pb file
}

// Model is a graph and where it came from.
type Model struct {
	Graph    *ir.Graph
	Digest   string // sha256 of the model file
	Producer string
	NumNodes int // in the file, functions not inlined
}

// Load reads the model at path: a file, or a folder that holds model.onnx. The error is a *Rejected, an *Unsupported or what
// the operating system said.
func Load(path string, o Options) (m *Model, err error) {
	if fi, err := os.Stat(path); err == nil && fi.IsDir() {
		path = filepath.Join(path, "model.onnx")
	}
	data, err := mapPath(path)
	if err != nil {
		return nil, err
	}
	defer func() {
		if r := recover(); r != nil {
			m, err = nil, fmt.Errorf("internal error while reading the model: %v", r)
		}
	}()
	return Decode(data, filepath.Dir(path), o)
}

// Decode is Load for a file's contents; dir is the folder of its external data.
func Decode(data []byte, dir string, o Options) (*Model, error) {
	if len(data) == 0 {
		return nil, rejected("the file is empty")
	}
	if err := (&measure{}).check(data, modelMsg, 0); err != nil {
		return nil, notONNX(data, err)
	}
	var p onnxpb.ModelProto
	if err := p.Unmarshal(data); err != nil {
		return nil, rejected("malformed protobuf: %v", err)
	}
	r := &reader{
		model: &p, opts: o, ext: &external{dir: dir, trustLinks: o.TrustLinks, files: map[string][]byte{}, words: ir.NewWords()},
		tensors: map[*onnxpb.TensorProto]*ir.Tensor{}, subst: map[string]sym.Dim{},
	}
	r.zeros = r.maybeZero(p.Graph)
	g, err := r.read()
	if err != nil && len(r.zeros) > 0 {
		// An operator may need the size to be at least 1.
		r.zeros, r.subst, r.missing = nil, map[string]sym.Dim{}, Unsupported{}
		g, err = r.read()
	}
	if err != nil {
		return nil, err
	}
	return &Model{g, fmt.Sprintf("%x", sha256.Sum256(data)), p.ProducerName, len(p.Graph.Node)}, nil
}

func notONNX(data []byte, err error) error {
	head := string(data[:min(len(data), 64)])
	switch {
	case strings.HasPrefix(head, "version https://git-lfs"):
		return rejected("this is a Git LFS pointer, not the model: fetch the file itself (git lfs pull)")
	case strings.HasPrefix(head, "PK\x03\x04"):
		return rejected("this is a zip archive, not an ONNX model: unpack it first")
	case strings.HasPrefix(strings.ToLower(strings.TrimSpace(head)), "<!doctype"), strings.HasPrefix(head, "<html"):
		return rejected("this is an HTML page, not an ONNX model")
	}
	return err
}

// reader holds the state of one model's reading; subst are the facts about symbols found so far.
type reader struct {
	model   *onnxpb.ModelProto
	opts    Options
	ext     *external
	tensors map[*onnxpb.TensorProto]*ir.Tensor
	subst   map[string]sym.Dim
	zeros   map[string]bool // keys of the symbols that may be 0
	names   map[string]bool // the model's for axes of inputs
	opsets  map[string]int

	g        *ir.Graph
	vals     map[string]*ir.Value
	wide     map[conversion]*ir.Value
	bad      map[string]bool // values that a failed node should have made
	rejects  []string
	missing  Unsupported
	numNodes int
}

// maxFacts is the most equalities between symbols that reading discovers.
const maxFacts = 256

// read builds the graph, and again from the start whenever an operator shows that a symbol must equal something.
func (r *reader) read() (*ir.Graph, error) {
	if r.model.Graph == nil {
		return nil, rejected("the file holds no graph (is it an ONNX model?)")
	}
	if err := r.readOpsets(); err != nil {
		return nil, err
	}
	for range maxFacts {
		var u *ir.Unify
		err := r.graph()
		if errors.As(err, &u) {
			r.learn(u)
			continue
		}
		if err != nil {
			return nil, err
		}
		return r.g, nil
	}
	return nil, rejected("the shapes of this model imply more than %d equalities between symbols", maxFacts)
}

func (r *reader) learn(u *ir.Unify) {
	fact := map[string]sym.Dim{u.Sym: u.To}
	for s, d := range r.subst {
		r.subst[s] = d.Subst(fact)
	}
	r.subst[u.Sym] = u.To
}

// MaxOpset is the newest opset of the default domain whose operators are read.
const MaxOpset = 28

func (r *reader) readOpsets() error {
	r.opsets = map[string]int{}
	for _, o := range r.model.OpsetImport {
		d := domainName(o.Domain)
		if _, twice := r.opsets[d]; twice && r.opsets[d] != int(o.Version) {
			return rejected("two opset versions, %d and %d, for domain %q", r.opsets[d], o.Version, d)
		}
		if o.Version < 1 || o.Version > 1000 {
			return rejected("opset version %d for domain %q", o.Version, d)
		}
		r.opsets[d] = int(o.Version)
	}
	v, ok := r.opsets[""]
	if !ok && len(r.opsets) == 0 {
		return rejected("the model names no opset")
	}
	if v > MaxOpset || ok && v < 1 {
		r.missing.add("", "opset", fmt.Sprintf("opset %d (1 to %d are read)", v, MaxOpset), "the model")
		return &r.missing
	}
	return nil
}

func domainName(d string) string {
	if d == "ai.onnx" {
		return ""
	}
	return d
}

func (r *reader) graph() error {
	r.g = &ir.Graph{Hints: map[string]string{}, Words: r.ext.words}
	r.vals, r.bad, r.wide = map[string]*ir.Value{}, map[string]bool{}, map[conversion]*ir.Value{}
	r.rejects, r.missing, r.numNodes = nil, Unsupported{}, 0
	p := r.model.Graph
	if len(p.SparseInitializer) > 0 {
		r.missing.add("", "SparseTensor", "sparse initializers", "the graph")
	}
	for _, t := range p.Initializer {
		r.initializer(t)
	}
	r.inputs(p.Input)
	if err := r.nodes(p.Node, scope{vals: r.vals, opsets: r.opsets}, ""); err != nil {
		return err
	}
	r.outputs(p.Output)
	switch {
	case len(r.rejects) > 0:
		return &Rejected{r.rejects}
	case len(r.missing.List) > 0:
		r.missing.sort()
		return &r.missing
	}
	if err := r.g.Verify(); err != nil {
		return fmt.Errorf("internal error: the graph read does not verify: %w", err)
	}
	return nil
}

func (r *reader) reject(format string, args ...any) {
	r.rejects = append(r.rejects, fmt.Sprintf(format, args...))
}

// problems counts what has been reported so far.
func (r *reader) problems() int {
	n := len(r.rejects)
	for _, m := range r.missing.List {
		n += m.Count
	}
	return n
}

// problem files an error under the model's faults or the compiler's gaps.
func (r *reader) problem(what, domain, op string, err error) {
	var u *ir.Unsupported
	if errors.As(err, &u) {
		r.missing.add(domain, op, u.Why, what)
		r.missing.needs(u.Unknown, r.g)
		return
	}
	r.reject("%s: %v", what, err)
}

func (r *reader) initializer(p *onnxpb.TensorProto) {
	if len(p.Name) > MaxName || p.Name == "" {
		r.reject("an initializer has a name of %d bytes", len(p.Name))
		return
	}
	if r.vals[p.Name] != nil {
		r.reject("initializer %q is defined twice", p.Name)
		return
	}
	t, err := r.tensor(p)
	if err != nil {
		r.problem(fmt.Sprintf("initializer %q", p.Name), "", "TensorProto", err)
		r.bad[p.Name] = true
		return
	}
	r.vals[p.Name] = ir.ConstValue(p.Name, t)
}

func (r *reader) tensor(p *onnxpb.TensorProto) (*ir.Tensor, error) {
	if t, ok := r.tensors[p]; ok {
		return t, nil
	}
	t, err := r.ext.tensor(p)
	if err == nil {
		r.tensors[p] = t
	}
	return t, err
}

// inputs makes the graph's inputs. An axis gets its symbol by the model's name for it and by how often that name came before
// in the same shape: files exist that call two different axes of one input by one name.
func (r *reader) inputs(list []*onnxpb.ValueInfoProto) {
	seen := map[string]bool{}
	symbols := map[string]string{}
	r.names = map[string]bool{}
	for _, p := range list {
		for _, d := range p.GetType().GetTensorType().GetShape().GetDim() {
			r.names[d.GetDimParam()] = true
		}
	}
	for _, p := range list {
		if r.vals[p.Name] != nil && r.vals[p.Name].Const != nil {
			continue // an initializer that could be overridden is a constant here
		}
		if seen[p.Name] || len(p.Name) > MaxName || p.Name == "" {
			r.reject("input %.64q is declared twice, or has no name or a name beyond the limit", p.Name)
			continue
		}
		seen[p.Name] = true
		v, err := r.input(p, symbols)
		if err != nil {
			r.problem(fmt.Sprintf("input %q", p.Name), "", "input", err)
			r.bad[p.Name] = true
			continue
		}
		r.vals[p.Name] = v
		r.g.Inputs = append(r.g.Inputs, v)
		if v.Fixed != nil {
			r.vals[p.Name] = ir.ConstValue(p.Name, v.Fixed)
		}
	}
}

func (r *reader) input(p *onnxpb.ValueInfoProto, symbols map[string]string) (*ir.Value, error) {
	tt := p.GetType().GetTensorType()
	if tt == nil {
		return nil, ir.NotSupported("an input that is no tensor")
	}
	elem, err := ir.ElemFromONNX(int64(tt.ElemType))
	if err != nil {
		return nil, err
	}
	if tt.Shape == nil {
		return nil, ir.NotSupported("an input without a shape")
	}
	if len(tt.Shape.Dim) > ir.MaxRank {
		return nil, fmt.Errorf("rank %d is beyond the limit of %d", len(tt.Shape.Dim), ir.MaxRank)
	}
	v := &ir.Value{Name: p.Name, Elem: elem}
	if t, err := r.opts.fixed(p.Name, elem, len(tt.Shape.Dim)); t != nil || err != nil {
		return v, errors.Join(err, fix(v, t, tt.Shape.Dim))
	}
	count := map[string]int{}
	for a, d := range tt.Shape.Dim {
		size := d.GetDimValue()
		if size < 0 || size > MaxDimension {
			return nil, fmt.Errorf("axis %d has size %d", a, size)
		}
		dim := sym.Const(size)
		if _, fixed := d.Value.(*onnxpb.TensorShapeProto_Dimension_DimValue); !fixed {
			hint := d.GetDimParam()
			if r.opts.Apart[hint] {
				hint = p.Name + "." + hint
			}
			dim = r.symbol(r.axisKey(p, a, count), hint, symbols)
		}
		v.Shape = append(v.Shape, dim)
	}
	return v, nil
}

// fixed is what the options say an input must hold, or nil.
func (o *Options) fixed(name string, elem loop.Elem, rank int) (*ir.Tensor, error) {
	text, ok := o.Fix[name]
	if !ok {
		return o.Fixed[name], nil
	}
	if strings.HasSuffix(text, ".pb") {
		t, _, err := ReadTensor(text)
		return t, err
	}
	if elem == loop.String {
		return nil, ir.NotSupported("strings that are fixed")
	}
	parts := strings.Split(text, ",")
	t := ir.NewTensor(elem, int64(len(parts)))
	if rank == 0 && len(parts) == 1 {
		t.Shape = nil
	}
	for i, p := range parts {
		x, err := strconv.ParseFloat(strings.NewReplacer("true", "1", "false", "0").Replace(strings.TrimSpace(p)), 64)
		if err != nil {
			return nil, fmt.Errorf("it is to hold %.40q, which is not a number", p)
		}
		t.Set(i, loop.Scalar{F: x, I: int64(x)})
	}
	return t, nil
}

// maxFixed is the most elements of an input that can be fixed.
const maxFixed = 1 << 12

// fix makes v an input that must hold t.
func fix(v *ir.Value, t *ir.Tensor, dims []*onnxpb.TensorShapeProto_Dimension) error {
	if t == nil {
		return nil
	}
	if t.Elem != v.Elem || len(t.Shape) != len(dims) || t.Len() > maxFixed {
		return fmt.Errorf("it is to hold %v, but is %v of rank %d (at most %d elements can be fixed)", t, v.Elem, len(dims), maxFixed)
	}
	for a, d := range dims {
		_, fixed := d.Value.(*onnxpb.TensorShapeProto_Dimension_DimValue)
		if fixed && d.GetDimValue() != t.Shape[a] {
			return fmt.Errorf("it is to hold %v, but axis %d is %d", t, a, d.GetDimValue())
		}
	}
	v.Shape, v.Fixed = sym.Consts(t.Shape...), t
	return nil
}

// axisKey names the symbol of an input's axis: by the model's own name for it and how often that came before in the shape, which
// count holds, or by its place.
func (r *reader) axisKey(p *onnxpb.ValueInfoProto, axis int, count map[string]int) string {
	hint := p.GetType().GetTensorType().Shape.Dim[axis].GetDimParam()
	if hint == "" || r.opts.Apart[hint] {
		return fmt.Sprintf("%s@%d", p.Name, axis)
	}
	count[hint]++
	return fmt.Sprintf("%s#%d", hint, count[hint]-1)
}

// maybeZero finds the symbols that may be 0 when a program runs, such as the length of a cache of keys and values: they are sizes of
// floating-point inputs only, of rank 1, of rank 3 and more and there of the only open axis after the first, or of the rows of what an
// attention operator takes as its cache.
func (r *reader) maybeZero(g *onnxpb.GraphProto) map[string]bool {
	zeros, others := map[string]bool{}, map[string]bool{}
	caches := cacheRows(g.GetNode())
	for _, p := range g.GetInput() {
		tt := p.GetType().GetTensorType()
		if tt == nil || tt.Shape == nil {
			continue
		}
		elem, err := ir.ElemFromONNX(int64(tt.ElemType))
		float := err == nil && elem.Float()
		rows, isCache := caches[p.Name]
		count := map[string]int{}
		var inner []string
		for a, d := range tt.Shape.Dim {
			if _, fixed := d.Value.(*onnxpb.TensorShapeProto_Dimension_DimValue); fixed {
				continue
			}
			switch key := r.axisKey(p, a, count); {
			case isCache && float && a == rows:
				zeros[key] = true
			case isCache || a == 0 && len(tt.Shape.Dim) > 1:
				others[key] = true
			default:
				inner = append(inner, key)
			}
		}
		into := others
		if rank := len(tt.Shape.Dim); float && (rank == 1 || rank >= 3) && len(inner) == 1 {
			into = zeros
		}
		for _, key := range inner {
			into[key] = true
		}
	}
	for key := range others {
		delete(zeros, key)
	}
	return zeros
}

// cacheInput is an input of an attention operator that holds past keys or values, and the axis of their rows.
type cacheInput struct{ input, axis int }

var cacheInputs = map[string][]cacheInput{
	".Attention":                        {{4, 2}, {5, 2}},
	"com.microsoft.Attention":           {{4, 3}},
	"com.microsoft.MultiHeadAttention":  {{6, 2}, {7, 2}},
	"com.microsoft.GroupQueryAttention": {{3, 2}, {4, 2}},
}

// cacheRows are the names that attention operators read as caches, with the axis of their rows.
func cacheRows(nodes []*onnxpb.NodeProto) map[string]int {
	out := map[string]int{}
	for _, n := range nodes {
		for _, c := range cacheInputs[domainName(n.Domain)+"."+n.OpType] {
			if c.input < len(n.Input) {
				out[n.Input[c.input]] = c.axis
			}
		}
	}
	return out
}

func (r *reader) symbol(key, hint string, symbols map[string]string) sym.Dim {
	name, ok := symbols[key]
	if !ok {
		name = fmt.Sprintf("s%d", len(symbols))
		if r.zeros[key] {
			name = fmt.Sprintf("z%d", len(symbols))
		}
		symbols[key] = name
		r.g.Hints[name] = hint
	}
	if n, ok := r.opts.Dims[hint]; ok && hint != "" {
		return sym.Const(n)
	}
	if own := ownName(name); !r.names[own] {
		if n, ok := r.opts.Dims[own]; ok {
			return sym.Const(n)
		}
	}
	return sym.Sym(name).Subst(r.subst)
}

// ownName is what a symbol is called by where the model has no name for its axis.
func ownName(symbol string) string { return "s" + symbol[1:] }

func (r *reader) outputs(list []*onnxpb.ValueInfoProto) {
	if len(list) == 0 {
		r.reject("the graph has no outputs")
	}
	seen := map[string]bool{}
	for _, p := range list {
		v := r.vals[p.Name]
		switch {
		case r.bad[p.Name]:
			continue
		case v == nil:
			r.reject("output %q is not computed by any node", p.Name)
			continue
		case seen[p.Name]:
			r.reject("output %q is declared twice", p.Name)
			continue
		}
		seen[p.Name] = true
		if v.Sequence {
			r.problem(fmt.Sprintf("output %q", p.Name), "", "output", ir.NotSupported("an output that is a sequence"))
			continue
		}
		v, err := r.declared(p, v)
		if err != nil {
			r.problem(fmt.Sprintf("output %q", p.Name), "", "output", err)
			continue
		}
		r.g.Outputs = append(r.g.Outputs, v)
		r.g.OutNames = append(r.g.OutNames, p.Name)
	}
}

// declared is an output in the narrow float type that the model declares for it; other types are what the operators give.
func (r *reader) declared(p *onnxpb.ValueInfoProto, v *ir.Value) (*ir.Value, error) {
	elem, err := ir.ElemFromONNX(int64(p.GetType().GetTensorType().GetElemType()))
	if err != nil || !elem.Stored() || v.Elem != wider(elem) {
		return v, nil
	}
	return r.converted(v, elem, "output "+p.Name)
}

// Names of the operators that can be read, as domain and name, sorted.
func Names() [][2]string {
	var out [][2]string
	for k := range ir.Spellings() {
		out = append(out, k)
	}
	sort.Slice(out, func(i, j int) bool { return out[i][0]+" "+out[i][1] < out[j][0]+" "+out[j][1] })
	return out
}
