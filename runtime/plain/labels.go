package plain

import "math"

// LabelEncoder maps the elements of In[0] to those of In[2] at the place of the equal key in In[1], the last of equal keys; what is no
// key gets the last element of In[2] (ai.onnx.ml LabelEncoder, opset 4).
func LabelEncoder(a *Args) (int, error) {
	places := map[uint64]int{}
	for i := range a.In[1].Len() {
		places[label(&a.In[1], i)] = i
	}
	size := a.In[2].Elem.Size()
	values, out := raw(&a.In[2]), raw(&a.Out[0])
	for i := range a.In[0].Len() {
		p, known := places[label(&a.In[0], i)]
		if !known {
			p = a.In[1].Len()
		}
		copy(out[i*size:][:size], values[p*size:])
	}
	return 0, nil
}

// label is element i of t as a number that is equal where elements are, what is not a number too.
func label(t *Tensor, i int) uint64 {
	x := 0.0
	switch t.Elem {
	case F32:
		x = float64(data[float32](t)[i])
	case F64:
		x = data[float64](t)[i]
	default:
		n := uint64(0)
		for k, b := range raw(t)[i*t.Elem.Size():][:t.Elem.Size()] {
			n |= uint64(b) << (8 * k)
		}
		return n
	}
	switch {
	case x != x:
		return math.MaxUint64
	case x == 0:
		return 0
	}
	return math.Float64bits(x)
}

// How Ngrams weighs its counts.
const (
	Counts   = iota // as they are
	Presence        // the weight where there are any
	Weighed         // times the weight
)

// Ngrams counts in Out[0] [rows, width] the grams of the rows In[0] [rows, n]: those of Ints[0] to Ints[1] elements which stand 1 to
// Ints[2] + 1 places from each other. In[1] holds the grams, first those of one element, In[2] where each length starts, In[3] the place
// of each gram in a row of the result, In[4] its weight; Ints[3] says how it is weighed (ONNX TfIdfVectorizer, opset 9).
func Ngrams(a *Args) (int, error) {
	x, pool, starts, places, weights, out := data[int64](&a.In[0]), data[int64](&a.In[1]), data[int64](&a.In[2]), data[int64](&a.In[3]), data[float32](&a.In[4]), data[float32](&a.Out[0])
	n, width := a.In[0].Dims[a.In[0].Rank-1], a.Out[0].Dims[a.Out[0].Rank-1]
	clear(out)
	counts := make([]float32, len(places))
	gram := make([]byte, 0, 8*a.Ints[1])
	number := gramNumbers(pool, starts)
	for r := range len(out) / max(width, 1) {
		clear(counts)
		row := x[r*n:][:n]
		for length := a.Ints[0]; length <= a.Ints[1]; length++ {
			for step := 1; step <= a.Ints[2]+1; step++ {
				for from := 0; from+(length-1)*step < n; from++ {
					gram = gram[:0]
					for k := range length {
						gram = appendBits(gram, row[from+k*step])
					}
					if g, ok := number[string(gram)]; ok {
						counts[g]++
					}
				}
				if length == 1 {
					break
				}
			}
		}
		for g, count := range counts {
			if count != 0 {
				out[r*width+int(places[g])] += weigh(count, weights[g], a.Ints[3])
			}
		}
	}
	return 0, nil
}

func weigh(count, weight float32, mode int) float32 {
	switch mode {
	case Counts:
		return count
	case Presence:
		return weight
	}
	return float32(count * weight)
}

// gramNumbers numbers the grams of a pool by their bits.
func gramNumbers(pool, starts []int64) map[string]int {
	number, n := map[string]int{}, 0
	for i, from := range starts {
		end := len(pool)
		if i+1 < len(starts) {
			end = int(starts[i+1])
		}
		for p := int(from); p < end; p += i + 1 {
			var bits []byte
			for _, e := range pool[p : p+i+1] {
				bits = appendBits(bits, e)
			}
			number[string(bits)] = n
			n++
		}
	}
	return number
}

func appendBits(b []byte, x int64) []byte {
	for k := range 8 {
		b = append(b, byte(x>>(8*k)))
	}
	return b
}
