package rt

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"sort"
	"unsafe"
)

// Decoding says which inputs and outputs of a program make it a decoder: numbers of ports, -1 for none.
type Decoding struct {
	IDs, Mask, Positions int
	Logits               int   // [batch, rows, vocabulary]
	Past, Present        []int // caches, in pairs; none if the program reads all tokens in every step
	PastAxis             int   // of the caches: the one that grows
	Slots                []int // of the caches if they can stay in place, longer than they are
	Most                 int   // tokens that the program has room for; 0 if it does not say
	Ragged               bool  // each sequence's rows are written behind its own, so that filling is behind shorter prompts, not before
}

// Decoder generates tokens with a model. It belongs to one goroutine. Where the program allows it, the caches stay in memory of the
// decoder that has room for more tokens than there are, and a step adds its rows behind. Otherwise a step reads them where the last one
// left them and leaves the longer ones in the memory of its own run.
type Decoder struct {
	m     *Model
	d     *Decoding
	extra map[int]*Value // inputs that stay the same, such as an encoder's states

	batch  int
	tokens [][]int64 // all of each sequence; shorter prompts are filled up on the left unless the program is ragged
	pad    []int     // how many of a sequence's first tokens are filling
	done   []int     // how many the caches hold
	seen   int       // the most of these: the caches' length
	caches [][]byte  // that stay in place
	kept   []Ptr     // the same by slot
	shapes [][]int   // what they hold
	room   int       // the length that they have room for
	last   Result    // or the step that holds the caches
	held   bool
	ids    []int64
	mask   []int64
	pos    []int64
	narrow []int32   // the same for inputs of i32
	sizes  [3][2]int // and their shapes
	logits []float32
	rows   [][]float32 // of logits, one a sequence
}

// ErrNoDecoder is the error for a program that is no decoder.
var ErrNoDecoder = errors.New("this program is no decoder: it has no input of token ids with an output of a score for each of a vocabulary")

// NewDecoder prepares generation with a model; extra holds the inputs beside tokens, mask, positions and caches, by number.
func NewDecoder(m *Model, extra map[int]*Value) (*Decoder, error) {
	d := m.prog.Decoding
	if d == nil {
		return nil, ErrNoDecoder
	}
	for i, p := range m.prog.Inputs {
		if !d.feeds(i) && extra[i] == nil && p.Fixed == "" {
			return nil, &InputError{fmt.Sprintf("input %q is not given", p.Name)}
		}
	}
	return &Decoder{m: m, d: d, extra: extra}, nil
}

// feeds reports whether the decoder itself makes input i.
func (d *Decoding) feeds(i int) bool {
	for _, k := range d.Past {
		if k == i {
			return true
		}
	}
	return i == d.IDs || i == d.Mask || i == d.Positions
}

// Begin starts anew with a batch of prompts, none of them empty. Prompts of different length need a program with a mask and positions.
func (d *Decoder) Begin(prompts [][]int64) error {
	if len(prompts) != d.batch {
		d.Release()
	}
	d.drop()
	longest := 0
	for _, p := range prompts {
		longest = max(longest, len(p))
	}
	d.batch, d.seen = len(prompts), 0
	d.tokens, d.pad, d.done = d.tokens[:0], d.pad[:0], d.done[:0]
	for _, p := range prompts {
		if len(p) == 0 {
			return &InputError{"a prompt is empty"}
		}
		if len(p) < longest && (d.d.Mask < 0 || d.d.Positions < 0 && !d.d.Ragged) {
			return &InputError{"prompts of different length need a program with a mask and positions"}
		}
		pad := longest - len(p)
		if d.d.Ragged {
			pad = 0
		}
		d.pad, d.done = append(d.pad, pad), append(d.done, 0)
		d.tokens = append(d.tokens, append(make([]int64, pad, longest+64), p...))
	}
	if d.batch == 0 {
		return &InputError{"there is no prompt"}
	}
	return nil
}

// Release gives the caches' memory back.
func (d *Decoder) Release() {
	d.drop()
	d.caches, d.kept, d.room = nil, nil, 0
}

// drop gives the last step's memory back.
func (d *Decoder) drop() {
	if d.held {
		d.last.Release()
	}
	d.held = false
}

// inPlace reports whether the caches stay in the decoder's memory. A device keeps its own.
func (d *Decoder) inPlace() bool { return len(d.d.Slots) > 0 && d.m.dev == nil }

// reserve makes room in the caches for so many tokens, and for as many again, so that a generation seldom needs more.
func (d *Decoder) reserve(total int) {
	if total <= d.room {
		return
	}
	room := max(total+64, 2*d.room)
	if d.d.Most > 0 {
		room = max(total, min(room, d.d.Most))
	}
	old := d.caches
	d.caches, d.shapes, d.kept = nil, nil, make([]Ptr, d.m.prog.Slots)
	for k, i := range d.d.Past {
		outer, inner := 1, d.m.prog.Inputs[i].Elem.Size()
		shape := d.emptyCache(i)
		for a, n := range shape {
			if a < d.d.PastAxis {
				outer *= n
			} else if a > d.d.PastAxis {
				inner *= n
			}
		}
		mem := reserve(outer * room * inner)
		for o := 0; d.seen > 0 && o < outer; o++ {
			copy(mem[o*room*inner:], old[k][o*d.room*inner:][:d.seen*inner])
		}
		d.caches, d.shapes = append(d.caches, mem), append(d.shapes, shape)
		d.kept[d.d.Slots[k]] = Ptr(unsafe.SliceData(mem))
	}
	d.room = room
}

// emptyCache is the shape of cache input i when it is empty.
func (d *Decoder) emptyCache(i int) []int {
	shape := make([]int, len(d.m.prog.Inputs[i].Axes))
	for a, ax := range d.m.prog.Inputs[i].Axes {
		shape[a] = ax.Const
	}
	shape[0], shape[d.d.PastAxis] = d.batch, 0
	return shape
}

// Append adds a token to every sequence.
func (d *Decoder) Append(next []int64) {
	for i, t := range next {
		d.tokens[i] = append(d.tokens[i], t)
	}
}

// Step runs the program on the tokens that it has not seen and gives the scores of what comes next, a row for each sequence. They belong
// to the decoder and are good until the next step.
func (d *Decoder) Step() ([][]float32, error) {
	if len(d.d.Past) == 0 {
		d.seen = 0
		clear(d.done)
	}
	rows, total := d.length()
	if d.d.Most > 0 && total > d.d.Most {
		return nil, &InputError{fmt.Sprintf("%d tokens are more than the %d that the model has room for", total, d.d.Most)}
	}
	c := d.m.Begin()
	if d.inPlace() {
		d.reserve(total)
		c.s.kept, c.s.length = d.kept, d.room
	}
	d.bind(c, rows, total)
	r, err := c.Run()
	if err != nil {
		return nil, err
	}
	d.drop()
	d.last, d.held, d.seen = r, true, total
	scores := d.scores(&r, rows)
	for i, t := range d.tokens {
		d.done[i] = len(t)
	}
	if d.inPlace() {
		d.drop()
	}
	return scores, nil
}

// length is how many tokens of a sequence are new at most, and how many there are.
func (d *Decoder) length() (rows, total int) {
	for i, t := range d.tokens {
		rows, total = max(rows, len(t)-d.done[i]), max(total, len(t))
	}
	return rows, total
}

// bind gives the call its inputs: rows new tokens of each sequence, total with those before.
func (d *Decoder) bind(c *Call, rows, total int) {
	d.ids, d.mask, d.pos = d.ids[:0], d.mask[:0], d.pos[:0]
	for i, t := range d.tokens {
		for k := d.done[i]; k < d.done[i]+rows; k++ {
			id := int64(0)
			if k < len(t) {
				id = t[k]
			}
			d.ids, d.pos = append(d.ids, id), append(d.pos, int64(max(k-d.pad[i], 0)))
		}
		for k := range total {
			d.mask = append(d.mask, int64(b2i(k >= d.pad[i] && k < len(t))))
		}
	}
	d.narrow = d.narrow[:0]
	d.integers(c, d.d.IDs, d.ids, &d.sizes[0], rows)
	d.integers(c, d.d.Mask, d.mask, &d.sizes[1], total)
	d.integers(c, d.d.Positions, d.pos, &d.sizes[2], rows)
	for i, v := range d.extra {
		c.BindBytes(i, v.Data, v.Shape)
	}
	for k, i := range d.d.Past {
		d.bindPast(c, i, k)
	}
}

// integers binds numbers [batch, cols] to input i, of whatever integer type it is.
func (d *Decoder) integers(c *Call, i int, v []int64, size *[2]int, cols int) {
	if i < 0 {
		return
	}
	*size = [2]int{d.batch, cols}
	shape := size[:]
	switch d.m.prog.Inputs[i].Elem {
	case I32:
		at := len(d.narrow)
		for _, x := range v {
			d.narrow = append(d.narrow, int32(x))
		}
		n := d.narrow[at:]
		c.BindBytes(i, unsafe.Slice((*byte)(Ptr(unsafe.SliceData(n))), 4*len(n)), shape)
	case F32:
		f := make([]float32, len(v))
		for k, x := range v {
			f[k] = float32(x)
		}
		Bind(c, i, Tensor[float32]{f, shape})
	case BOOL:
		f := make([]bool, len(v))
		for k, x := range v {
			f[k] = x != 0
		}
		Bind(c, i, Tensor[bool]{f, shape})
	default:
		Bind(c, i, Tensor[int64]{v, shape})
	}
}

// bindPast gives cache k, input i, what the last step left, or an empty cache.
func (d *Decoder) bindPast(c *Call, i, k int) {
	if d.held {
		data, shape := d.last.OutBytes(d.d.Present[k])
		c.BindBytes(i, data, shape)
		return
	}
	if !d.inPlace() {
		c.BindBytes(i, nil, d.emptyCache(i))
		return
	}
	d.shapes[k][d.d.PastAxis] = d.seen
	size := d.m.prog.Inputs[i].Elem.Size()
	for _, n := range d.shapes[k] {
		size *= n
	}
	c.BindBytes(i, d.caches[k][:size], d.shapes[k]) // only the shape counts: the program goes to the slot
}

// scores copies the last token's row of every sequence.
func (d *Decoder) scores(r *Result, rows int) [][]float32 {
	t := Output[float32](r, d.d.Logits)
	vocab := t.Shape[len(t.Shape)-1]
	if len(d.logits) < d.batch*vocab || len(d.rows) != d.batch {
		d.logits, d.rows = make([]float32, d.batch*vocab), make([][]float32, d.batch)
	}
	for i := range d.rows {
		d.rows[i] = d.logits[i*vocab : (i+1)*vocab]
		copy(d.rows[i], t.Data[(i*rows+len(d.tokens[i])-d.done[i]-1)*vocab:])
	}
	return d.rows
}

// Sampling says how the next token is chosen. The zero value takes the most likely.
type Sampling struct {
	Temperature float64 // 0: the most likely token
	TopK        int     // 0: no limit
	TopP        float64 // 0: no limit
	Seed        uint64
}

// Sampler chooses tokens. The same seed gives the same tokens.
type Sampler struct {
	o     Sampling
	rng   *rand.Rand
	order []int
	p     []float64
}

// NewSampler starts a sequence of choices.
func NewSampler(o Sampling) *Sampler {
	return &Sampler{o: o, rng: rand.New(rand.NewPCG(o.Seed, 0x9e3779b97f4a7c15))}
}

// Next chooses from the scores of a vocabulary.
func (s *Sampler) Next(logits []float32) int64 {
	best := 0
	for i, x := range logits {
		if x > logits[best] {
			best = i
		}
	}
	if s.o.Temperature <= 0 {
		return int64(best)
	}
	s.order = s.order[:0]
	for i := range logits {
		s.order = append(s.order, i)
	}
	sort.SliceStable(s.order, func(i, j int) bool { return logits[s.order[i]] > logits[s.order[j]] })
	n := len(s.order)
	if s.o.TopK > 0 {
		n = min(n, s.o.TopK)
	}
	s.p = s.p[:0]
	sum := 0.0
	for _, i := range s.order[:n] {
		p := math.Exp(float64(logits[i]-logits[best]) / s.o.Temperature)
		s.p, sum = append(s.p, p), sum+p
	}
	if s.o.TopP > 0 && s.o.TopP < 1 {
		part := 0.0
		for k, p := range s.p {
			if part += p; part >= s.o.TopP*sum {
				n, sum = k+1, part
				break
			}
		}
	}
	x := s.rng.Float64() * sum
	for k, p := range s.p[:n] {
		if x -= p; x < 0 {
			return int64(s.order[k])
		}
	}
	return int64(s.order[n-1])
}
