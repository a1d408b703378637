package plain

import "math"

// GridSample samples In[0] [batch, channels, spatial…] at the places in In[1] [batch, out…, axes]. Ints: mode (0 nearest, 1 linear, 2
// cubic), padding (0 zeros, 1 border, 2 reflection), whether -1 and 1 are the centres of the corner elements.
func GridSample(a *Args) (int, error) {
	in, grid, out := &a.In[0], &a.In[1], &a.Out[0]
	r := in.Rank - 2
	g := sampler{x: data[float32](in), shape: in.Dims[2 : 2+r], mode: a.Ints[0], padding: a.Ints[1], corners: a.Ints[2] != 0}
	places, y := data[float32](grid), data[float32](out)
	n, plane := product(out.Dims[2:2+r]), product(g.shape)
	var at [3]float64
	for b := range in.Dims[0] {
		for c := range in.Dims[1] {
			for i := range n {
				p := places[(b*n+i)*r:]
				for k := range r {
					at[k] = g.place(float64(p[r-1-k]), g.shape[k])
				}
				y[(b*in.Dims[1]+c)*n+i] = float32(g.sample(g.x[(b*in.Dims[1]+c)*plane:][:plane], at[:r]))
			}
		}
	}
	return 0, nil
}

type sampler struct {
	x             []float32
	shape         []int
	mode, padding int
	corners       bool
}

// place maps -1 … 1 to an axis of n elements, as its padding says.
func (g *sampler) place(v float64, n int) float64 {
	x := (float64(float64(v+1)*float64(n)) - 1) / 2
	if g.corners {
		x = float64(v+1) / 2 * float64(n-1)
	}
	if g.mode == 0 {
		x = math.RoundToEven(x)
	}
	low, high := g.borders(n)
	switch {
	case x >= low && x <= high || g.padding == 0:
		return x
	case g.padding == 1:
		return min(max(x, 0), float64(n-1))
	}
	return reflect(x, low, high)
}

func (g *sampler) borders(n int) (low, high float64) {
	if g.corners {
		return 0, float64(n - 1)
	}
	return -0.5, float64(n) - 0.5
}

// fold brings an element's index into the axis, or says that it is outside.
func (g *sampler) fold(i, n int) (int, bool) {
	if i >= 0 && i < n {
		return i, true
	}
	switch g.padding {
	case 1:
		return min(max(i, 0), n-1), true
	case 2:
		low, high := g.borders(n)
		return min(max(int(reflect(float64(i), low, high)), 0), n-1), true
	}
	return 0, false
}

// reflect mirrors x at the borders until it lies within.
func reflect(x, low, high float64) float64 {
	span := high - low
	if span <= 0 {
		return low
	}
	if x < low {
		d := low - x
		n := math.Floor(d / span)
		rest := d - float64(n*span)
		if math.Mod(n, 2) == 0 {
			return low + rest
		}
		return high - rest
	}
	if x > high {
		d := x - high
		n := math.Floor(d / span)
		rest := d - float64(n*span)
		if math.Mod(n, 2) == 0 {
			return high - rest
		}
		return low + rest
	}
	return x
}

func (g *sampler) sample(plane []float32, at []float64) float64 {
	taps := [3]int{1, 2, 4}[g.mode]
	sum := 0.0
	var k [3]int
	counts := [3]int{taps, taps, taps}
	for more := true; more; more = next(k[:len(at)], counts[:len(at)]) {
		w, pos, inside := 1.0, 0, true
		for d, x := range at {
			low := math.Floor(x)
			i := int(min(max(low, -1e9), 1e9)) + k[d]
			switch g.mode {
			case 1:
				w *= 1 - math.Abs(x-low-float64(k[d]))
			case 2:
				i--
				w *= cubic(math.Abs(x - low - float64(k[d]-1)))
			}
			p, ok := g.fold(i, g.shape[d])
			inside = inside && ok
			pos = pos*g.shape[d] + p
		}
		if inside && w != 0 {
			sum += float64(w * float64(plane[pos]))
		}
	}
	return sum
}

// cubic is the convolution kernel of Keys (1981) with a = -0.75.
func cubic(x float64) float64 {
	const a = -0.75
	if x <= 1 {
		return float64(float64(float64(float64((a+2)*x)-(a+3))*x)*x) + 1
	}
	if x < 2 {
		return float64(float64(float64(float64(float64(a*x)-5*a)*x)+8*a)*x) - 4*a
	}
	return 0
}
