package rt

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
)

// Compared is how an output differs from its reference.
type Compared struct {
	Name   string  `json:"name"`
	Shape  []int   `json:"shape"`
	MaxAbs float64 `json:"max_abs"`
	MaxRel float64 `json:"max_rel"`
	MaxULP float64 `json:"max_ulp"`
	Cosine float64 `json:"cosine"`
	SHA256 string  `json:"sha256"`
	Pass   bool    `json:"pass"`
	Why    string  `json:"why,omitempty"`
}

// Digest is the sha256 over the element type's name, the shape as little-endian int64s and the bytes; those
// of a string come after their number, an int64 too.
func Digest(v *Value) string {
	h := sha256.New()
	h.Write([]byte(v.Elem.String()))
	var b [8]byte
	for _, d := range v.Shape {
		binary.LittleEndian.PutUint64(b[:], uint64(d))
		h.Write(b[:])
	}
	h.Write(v.Data)
	for _, s := range v.Text {
		binary.LittleEndian.PutUint64(b[:], uint64(len(s)))
		h.Write(b[:])
		h.Write([]byte(s))
	}
	return fmt.Sprintf("%x", h.Sum(nil))
}

// Compare compares an output with its reference: floats within atol + rtol*|want|, NaN and infinities in the same places,
// everything else exactly.
func Compare(got, want *Value, atol, rtol float64) Compared {
	c := Compared{Name: got.Name, Shape: append([]int{}, got.Shape...), SHA256: Digest(got), Pass: true}
	if got.Elem != want.Elem || fmt.Sprint(got.Shape) != fmt.Sprint(want.Shape) {
		c.fail("is %v%v, want %v%v", got.Elem, got.Shape, want.Elem, want.Shape)
		return c
	}
	for i, s := range got.Text {
		if s != want.Text[i] {
			c.fail("element %d is %q, want %q", i, s, want.Text[i])
		}
	}
	n := len(got.Data) / got.Elem.Size()
	var dot, gg, ww float64
	for i := range n {
		g, w := got.At(i), want.At(i)
		dot, gg, ww = dot+float64(g*w), gg+float64(g*g), ww+float64(w*w)
		c.element(i, g, w, got.Elem, atol, rtol)
	}
	c.Cosine = 1
	if gg > 0 && ww > 0 {
		c.Cosine = finite(dot / math.Sqrt(gg*ww))
	}
	return c
}

// LeastCosine is what a model that rounds to 8 bits has to keep: a step of rounding more or less moves single elements far.
const LeastCosine = 0.99

// near lets a float output pass whose direction is right and whose shape agrees.
func (c *Compared) near(got, want *Value) {
	if !c.Pass && got.Elem <= BF16 && len(got.Data) == len(want.Data) && got.Elem == want.Elem && c.Cosine >= LeastCosine && c.MaxAbs < math.MaxFloat64 {
		c.Pass, c.Why = true, fmt.Sprintf("(8 bits: cosine %.6f)", c.Cosine)
	}
}

func (c *Compared) fail(format string, args ...any) {
	if c.Pass {
		c.Why = fmt.Sprintf(format, args...)
	}
	c.Pass = false
}

func (c *Compared) element(i int, g, w float64, e Elem, atol, rtol float64) {
	if g == w || g != g && w != w {
		return
	}
	if g != g || w != w || math.IsInf(g, 0) || math.IsInf(w, 0) {
		c.fail("element %d is %g, want %g", i, g, w)
		return
	}
	d := math.Abs(g - w)
	c.MaxAbs = max(c.MaxAbs, d)
	c.MaxRel = max(c.MaxRel, finite(d/math.Abs(w)))
	if e == F32 {
		c.MaxULP = max(c.MaxULP, ulps(float32(g), float32(w)))
	}
	if e > BF16 || d > atol+float64(rtol*math.Abs(w)) {
		c.fail("element %d is %g, want %g", i, g, w)
	}
}

func finite(x float64) float64 {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return math.MaxFloat64
	}
	return x
}

func ulps(a, b float32) float64 {
	key := func(f float32) int64 {
		u := int64(int32(math.Float32bits(f)))
		if u < 0 {
			u = math.MinInt32 - u
		}
		return u
	}
	return math.Abs(float64(key(a) - key(b)))
}
