package ptxsim

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
)

// Module is parsed PTX.
type Module struct{ entries map[string]*entry }

// Has reports whether the module has an entry.
func (m *Module) Has(name string) bool { return m.entries[name] != nil }

type entry struct {
	name   string
	regs   map[string]int // number of each register and constant
	init   []uint64       // their values at the start: constants, and 0
	shared map[string]int // offset of each shared variable
	static int            // bytes of static shared memory
	params int
	code   []instr
	labels map[string]int
}

// instr is one instruction: run, or one of the kinds that the scheduler handles.
type instr struct {
	text   string
	pred   int // register, or -1
	negate bool
	kind   kind
	run    func(t *thread) error
	target string
	goal   int
	regs   []int // of a shuffle: destination, source, lane
	mode   string
}

type kind uint8

const (
	plain kind = iota
	branch
	barrier
	shuffle
	grouped // waits for a warpgroup
	await   // waits for a barrier in shared memory
	exit
)

var (
	entryLine = regexp.MustCompile(`^\.visible \.entry (\w+)\(\.param \.align \d+ \.b8 args\[(\d+)\]\)$`)
	externVar = regexp.MustCompile(`^\.extern \.shared \.align 16 \.b8 (\w+)\[\];$`)
	sharedVar = regexp.MustCompile(`^\.shared \.align 16 \.b8 (\w+)\[(\d+)\];$`)
	memory    = regexp.MustCompile(`^\[([%\w]+)(?:\+(\d+))?\]$`)
)

// Parse reads modules as one.
func Parse(texts ...string) (*Module, error) {
	m := &Module{map[string]*entry{}}
	for _, text := range texts {
		if err := m.parse(text); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (m *Module) parse(text string) error {
	var externs []string
	var e *entry
	for n, line := range strings.Split(text, "\n") {
		line, _, _ = strings.Cut(line, "//")
		line = strings.TrimSpace(line)
		if sub := entryLine.FindStringSubmatch(line); sub != nil {
			size, _ := strconv.Atoi(sub[2])
			e = &entry{name: sub[1], regs: map[string]int{}, shared: map[string]int{}, params: size, labels: map[string]int{}}
			m.entries[e.name] = e
			continue
		}
		if sub := externVar.FindStringSubmatch(line); sub != nil {
			externs = append(externs, sub[1])
			continue
		}
		if e == nil || line == "" || line == "{" || strings.HasPrefix(line, ".reg") || strings.HasPrefix(line, ".maxntid") {
			continue
		}
		if err := e.line(line, externs); err != nil {
			return fmt.Errorf("line %d: %w", n+1, err)
		}
	}
	return nil
}

func (e *entry) line(line string, externs []string) error {
	switch sub := sharedVar.FindStringSubmatch(line); {
	case sub != nil:
		size, _ := strconv.Atoi(sub[2])
		e.shared[sub[1]] = e.static
		e.static += size
		return nil
	case line == "}":
		for _, x := range externs {
			e.shared[x] = e.static
		}
		return e.link()
	case strings.HasSuffix(line, ":"):
		e.labels[strings.TrimSuffix(line, ":")] = len(e.code)
		return nil
	}
	in := instr{text: line, pred: -1}
	rest := strings.TrimSuffix(line, ";")
	if strings.HasPrefix(rest, "@") {
		var p string
		p, rest, _ = strings.Cut(rest[1:], " ")
		in.negate = strings.HasPrefix(p, "!")
		in.pred = e.reg(strings.TrimPrefix(p, "!"))
	}
	op, args, _ := strings.Cut(rest, " ")
	if err := e.decode(&in, op, operands(args)); err != nil {
		return fmt.Errorf("%q: %w", line, err)
	}
	e.code = append(e.code, in)
	return nil
}

// operands splits at commas outside braces and brackets.
func operands(s string) []string {
	var out []string
	depth, from := 0, 0
	for i, c := range s {
		switch c {
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		case ',':
			if depth == 0 {
				out, from = append(out, strings.TrimSpace(s[from:i])), i+1
			}
		}
	}
	if s = strings.TrimSpace(s[from:]); s != "" {
		out = append(out, s)
	}
	return out
}

// link fills in the branches' goals and, now that they are known, the addresses of shared variables.
func (e *entry) link() error {
	for i := range e.code {
		in := &e.code[i]
		if in.kind != branch {
			continue
		}
		goal, ok := e.labels[in.target]
		if !ok {
			return fmt.Errorf("no label %s", in.target)
		}
		in.goal = goal
	}
	for name, at := range e.shared {
		if r, ok := e.regs[name]; ok {
			e.init[r] = uint64(at)
		}
	}
	return nil
}

// reg is the number of a register, constant or variable: each has a slot.
func (e *entry) reg(s string) int {
	if r, ok := e.regs[s]; ok {
		return r
	}
	r := len(e.init)
	e.regs[s] = r
	v := uint64(0)
	switch {
	case strings.HasPrefix(s, "0f"):
		v, _ = strconv.ParseUint(s[2:], 16, 32)
	case strings.HasPrefix(s, "0d"):
		v, _ = strconv.ParseUint(s[2:], 16, 64)
	case strings.HasPrefix(s, "0x"):
		v, _ = strconv.ParseUint(s[2:], 16, 64)
	default:
		if n, err := strconv.ParseInt(s, 10, 64); err == nil {
			v = uint64(n)
		}
	}
	e.init = append(e.init, v)
	return r
}

func f32(x uint64) float32    { return math.Float32frombits(uint32(x)) }
func bits32(f float32) uint64 { return uint64(math.Float32bits(f)) }
func f64(x uint64) float64    { return math.Float64frombits(x) }
func bits64(f float64) uint64 { return math.Float64bits(f) }
func truth(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}
