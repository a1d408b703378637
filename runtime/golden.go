package rt

import (
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
)

// SetResult is the outcome of one data set.
type SetResult struct {
	Model   string     `json:"model"`
	Set     string     `json:"set"`
	Target  string     `json:"target"`
	ISA     string     `json:"isa"`
	Threads int        `json:"threads"`
	Fixed   []string   `json:"fixed,omitempty"` // inputs that the program was made for
	Outputs []Compared `json:"outputs"`
	Pass    bool       `json:"pass"`
	Error   string     `json:"error"`
}

// DataSets lists the test_data_set folders of dir, or dir itself if it holds tensors.
func DataSets(dir string) ([]string, error) {
	if _, err := os.Stat(filepath.Join(dir, "output_0.pb")); err == nil {
		return []string{dir}, nil
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var sets []string
	for _, e := range entries {
		if e.IsDir() && strings.HasPrefix(e.Name(), "test_data_set") {
			sets = append(sets, filepath.Join(dir, e.Name()))
		}
	}
	sort.Strings(sets)
	if len(sets) == 0 {
		return nil, fmt.Errorf("%s holds no test_data_set folder", dir)
	}
	return sets, nil
}

// RunSet runs a model on one data set and compares.
func (m *Model) RunSet(dir string, atol, rtol float64) SetResult {
	r := SetResult{Model: filepath.Base(filepath.Dir(dir)), Set: filepath.Base(dir), Target: "cpu", ISA: m.ISA(), Threads: m.Threads(), Pass: true}
	for _, p := range m.prog.Inputs {
		if p.Fixed != "" {
			r.Fixed = append(r.Fixed, p.Name)
		}
	}
	outs, err := m.runFiles(dir)
	if err != nil {
		r.Pass, r.Error = false, err.Error()
		return r
	}
	for i, got := range outs {
		want, err := ReadFile(filepath.Join(dir, fmt.Sprintf("output_%d.pb", i)))
		if err != nil {
			r.Pass, r.Error = false, err.Error()
			return r
		}
		abs, rel := atol, rtol
		if want.Elem == F16 || want.Elem == BF16 {
			abs, rel = max(atol, NarrowTol), max(rtol, NarrowTol)
		}
		c := Compare(got, want, abs, rel)
		if m.prog.Rounding == "int8" {
			c.near(got, want)
		}
		r.Outputs = append(r.Outputs, c)
		r.Pass = r.Pass && c.Pass
	}
	return r
}

// runFiles runs a data set's inputs: input_N.pb by position.
func (m *Model) runFiles(dir string) ([]*Value, error) {
	ins := make([]*Value, len(m.prog.Inputs))
	for i := range ins {
		v, err := ReadFile(filepath.Join(dir, fmt.Sprintf("input_%d.pb", i)))
		if err != nil {
			return nil, err
		}
		ins[i] = v
	}
	if named := m.byName(ins); named != nil {
		ins = named
	}
	return m.RunValues(ins)
}

// byName orders tensors by the inputs' names, if they carry them.
func (m *Model) byName(ins []*Value) []*Value {
	out := make([]*Value, len(ins))
	for _, v := range ins {
		found := false
		for i, p := range m.prog.Inputs {
			if p.Name == v.Name && out[i] == nil {
				out[i], found = v, true
				break
			}
		}
		if !found {
			return nil
		}
	}
	return out
}

// RunValues runs on tensors in the order of the inputs and copies the outputs.
func (m *Model) RunValues(ins []*Value) ([]*Value, error) {
	c := m.Begin()
	for i, v := range ins {
		if v == nil && m.prog.Inputs[i].Fixed != "" {
			continue
		}
		if v.Elem != m.prog.Inputs[i].Elem {
			return nil, &InputError{fmt.Sprintf("input %q is %v, want %v", m.prog.Inputs[i].Name, v.Elem, m.prog.Inputs[i].Elem)}
		}
		c.bind(i, v)
	}
	r, err := c.Run()
	if err != nil {
		return nil, err
	}
	defer r.Release()
	outs := make([]*Value, len(m.prog.Outputs))
	for i, p := range m.prog.Outputs {
		b, shape := r.OutBytes(i)
		outs[i] = &Value{Name: p.Name, Elem: p.Elem, Shape: append([]int{}, shape...)}
		if p.Elem == STRING {
			outs[i].Text = r.text(b)
		} else {
			outs[i].Data = append([]byte{}, b...)
		}
	}
	return outs, nil
}

// bind gives input i as a file's tensor.
func (c *Call) bind(i int, v *Value) {
	if v.Elem == STRING {
		c.BindText(i, v.Text, v.Shape)
		return
	}
	c.BindBytes(i, v.Data, v.Shape)
}

// Tolerances of a comparison unless a caller gives others.
const (
	DefaultATol = 1e-5
	DefaultRTol = 1e-4
	NarrowTol   = 1e-2 // both, for outputs of f16 and bf16
)

// CheckGolden runs every data set in dir with every flavour this machine has, on one thread and on three; what is outside the
// tolerance or has other bits than another run comes back as a list of problems, empty if there are none.
func CheckGolden(p *Program, dir string) ([]string, error) {
	sets, err := DataSets(dir)
	if err != nil {
		return nil, err
	}
	g := golden{p: p, sets: sets, digests: map[string]string{}}
	for _, f := range p.Flavours {
		if f.Has != nil && !f.Has() {
			continue
		}
		for _, threads := range []int{1, 3} {
			if err := g.run(Options{ISA: f.Kernels.ISA, Threads: threads}); err != nil {
				return nil, err
			}
		}
	}
	return g.problems, nil
}

type golden struct {
	p        *Program
	sets     []string
	digests  map[string]string
	problems []string
}

func (g *golden) run(o Options) error {
	m, err := NewModel(g.p, o)
	if err != nil {
		return err
	}
	defer m.Close()
	for _, set := range g.sets {
		r := m.RunSet(set, DefaultATol, DefaultRTol)
		if !r.Pass {
			g.problems = append(g.problems, fmt.Sprintf("%s, %s, %d threads: %+v", set, r.ISA, o.Threads, r))
		}
		for _, out := range r.Outputs {
			key := set + " " + out.Name
			if d := g.digests[key]; d != "" && d != out.SHA256 {
				g.problems = append(g.problems, fmt.Sprintf("%s: %s on %d threads gives other bits", key, r.ISA, o.Threads))
			}
			g.digests[key] = out.SHA256
		}
	}
	return nil
}
