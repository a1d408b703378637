package passes

import (
	"fmt"

	"mmc/ir"
)

// Pass is one rewriting of a graph.
type Pass struct {
	Name, Doc string
	Run       func(*Context) error
}

// Rule tries to rewrite the graph at a node of operator Root.
type Rule struct {
	Kind string // what explain counts; "" for rules that are no fusion
	Root func() *ir.Op
	Try  func(c *Context, n *ir.Node) *ir.Patch
}

// Site is one fusion done, or one that was nearly possible with the reason against it.
type Site struct{ Pass, Kind, Where, Reason string }

// Report is what the passes did.
type Report struct{ Fused, Missed []Site }

// Context is a graph being rewritten, with who reads each value.
type Context struct {
	Graph   *ir.Graph
	Report  *Report
	pass    string
	users   map[*ir.Value][]*ir.Node
	missed  map[string]bool
	patches int
}

// maxPatches bounds one pass over a graph of n nodes.
func maxPatches(n int) int { return 1000 + 20*n }

// Options of Run.
type Options struct {
	Verify  bool            // verify the graph after every pass
	Disable map[string]bool // passes to leave out
	After   string          // stop after this pass
	Observe func(pass string, g *ir.Graph)
}

// Internal is a fault of ours: the pass and the graph before it, which is the failing test case.
type Internal struct {
	Pass   string
	Before string
	Err    error
}

func (e *Internal) Error() string {
	return fmt.Sprintf("internal error in pass %s: %v", e.Pass, e.Err)
}

func (e *Internal) Unwrap() error { return e.Err }

// Run applies the passes in order.
func Run(g *ir.Graph, list []Pass, o Options) (*Report, error) {
	rep := &Report{}
	for _, p := range list {
		if o.Disable[p.Name] {
			continue
		}
		for _, g := range g.Graphs() {
			if err := runOne(g, p, o, rep); err != nil {
				return rep, err
			}
		}
		if o.Observe != nil {
			o.Observe(p.Name, g)
		}
		if p.Name == o.After {
			break
		}
	}
	return rep, nil
}

func runOne(g *ir.Graph, p Pass, o Options, rep *Report) (err error) {
	before := ""
	if o.Verify {
		before = g.String()
	}
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%v", r)
		}
		if err != nil {
			err = &Internal{p.Name, before, err}
		}
	}()
	c := &Context{Graph: g, Report: rep, pass: p.Name, missed: map[string]bool{}}
	if err := p.Run(c); err != nil || !o.Verify {
		return err
	}
	return g.Verify()
}

// Rewrite makes a pass that applies rules at every node, first to last, until none applies.
func Rewrite(name, doc string, rules ...Rule) Pass {
	return Pass{name, doc, func(c *Context) error {
		for changed := true; changed; {
			changed = false
			nodes := append([]*ir.Node{}, c.Graph.Nodes...)
			for _, n := range nodes {
				did, err := c.tryAll(n, rules)
				if err != nil {
					return err
				}
				changed = changed || did
			}
		}
		return nil
	}}
}

func (c *Context) tryAll(n *ir.Node, rules []Rule) (bool, error) {
	for _, r := range rules {
		if r.Root != nil && r.Root() != n.Op || c.dead(n) {
			continue
		}
		p := r.Try(c, n)
		if p == nil {
			continue
		}
		if err := c.Graph.Apply(p); err != nil {
			return false, fmt.Errorf("at %v: %w", n.From, err)
		}
		if err := deadCode(c); err != nil {
			return false, err
		}
		c.users = nil
		if c.patches++; c.patches > maxPatches(len(c.Graph.Nodes)) {
			return false, fmt.Errorf("the rules do not come to an end at %v", n.From)
		}
		if r.Kind != "" {
			c.Report.Fused = append(c.Report.Fused, Site{Pass: c.pass, Kind: r.Kind, Where: where(n)})
		}
		return true, nil
	}
	return false, nil
}

// dead reports whether nothing reads n: its replacement has been made.
func (c *Context) dead(n *ir.Node) bool {
	for _, v := range n.Out {
		if len(c.Users(v)) > 0 || c.isOutput(v) {
			return false
		}
	}
	return true
}

func where(n *ir.Node) string {
	if len(n.From) == 0 {
		return n.Op.Name
	}
	return n.From[len(n.From)-1]
}

// Miss records why a fusion was refused at n, once a site.
func (c *Context) Miss(n *ir.Node, kind, format string, args ...any) *ir.Patch {
	s := Site{c.pass, kind, where(n), fmt.Sprintf(format, args...)}
	if !c.missed[s.Where+s.Reason] {
		c.missed[s.Where+s.Reason] = true
		c.Report.Missed = append(c.Report.Missed, s)
	}
	return nil
}

// Users are the nodes that read v, each once.
func (c *Context) Users(v *ir.Value) []*ir.Node {
	if c.users == nil {
		c.users = map[*ir.Value][]*ir.Node{}
		for _, n := range c.Graph.Nodes {
			for i, in := range n.In {
				if in != nil && !contains(n.In[:i], in) {
					c.users[in] = append(c.users[in], n)
				}
			}
		}
	}
	return c.users[v]
}

func contains(vs []*ir.Value, v *ir.Value) bool {
	for _, w := range vs {
		if w == v {
			return true
		}
	}
	return false
}

func (c *Context) isOutput(v *ir.Value) bool { return contains(c.Graph.Outputs, v) }

// Only returns the one node that reads v, or nil if there are others or v is an output.
func (c *Context) Only(v *ir.Value) *ir.Node {
	if u := c.Users(v); len(u) == 1 && !c.isOutput(v) {
		return u[0]
	}
	return nil
}

// by is the node that defines v if it applies op, else nil.
func by(v *ir.Value, op *ir.Op) *ir.Node {
	if v == nil || v.Def == nil || v.Def.Op != op {
		return nil
	}
	return v.Def
}

// scalar is the content of a constant of one element.
func scalar(v *ir.Value) (float64, bool) {
	if v == nil || v.Const == nil || v.Const.Len() != 1 {
		return 0, false
	}
	s := v.Const.At(0)
	return s.F + float64(s.I), true
}

// number is the content of a constant without axes.
func number(v *ir.Value) (float64, bool) {
	x, ok := scalar(v)
	return x, ok && len(v.Shape) == 0
}

// operands returns the two inputs of n in both orders, for commutative operators.
func operands(n *ir.Node) [2][2]*ir.Value {
	return [2][2]*ir.Value{{n.In[0], n.In[1]}, {n.In[1], n.In[0]}}
}

// near compares a constant of a pattern with its ideal.
func near(x, ideal float64) bool {
	d := x - ideal
	return d < 1e-4 && d > -1e-4
}

// isScale reports whether v is something times a constant scalar, or divided by one.
func isScale(v *ir.Value, mul, div *ir.Op) (x *ir.Value, by float64, n *ir.Node) {
	if v.Def == nil {
		return nil, 0, nil
	}
	n = v.Def
	switch n.Op {
	case mul:
		for _, o := range operands(n) {
			if k, ok := scalar(o[1]); ok && len(o[1].Shape) <= len(o[0].Shape) {
				return o[0], k, n
			}
		}
	case div:
		if k, ok := scalar(n.In[1]); ok && k != 0 && len(n.In[1].Shape) <= len(n.In[0].Shape) {
			return n.In[0], 1 / k, n
		}
	}
	return nil, 0, nil
}
