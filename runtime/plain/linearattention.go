package plain

// LinearAttention runs a recurrence over time whose state is a matrix S [d, e] for each head of the keys: S = f S; with rates r,
// S += k (r (v - S'k))', else S += k v'; each query of the head gives Floats[0] q'S. In: queries [batch, time, Ints[0]*d], keys
// [batch, time, kv*d], values [batch, time, kv*e], the first states [batch, kv, d, e], factors [batch, time, kv*d or kv] or none, rates
// [batch, time, kv or 1] or none. Out: [batch, time, Ints[0]*e] and the last states (ONNX LinearAttention, opset 27).
func LinearAttention(a *Args) (int, error) {
	q, k, v, past, out, state := data[float32](&a.In[0]), data[float32](&a.In[1]), data[float32](&a.In[2]), data[float32](&a.In[3]), data[float32](&a.Out[0]), data[float32](&a.Out[1])
	factors, rates := data[float32](&a.In[4]), data[float32](&a.In[5])
	batch, time, heads := a.In[0].Dims[0], a.In[0].Dims[1], a.Ints[0]
	kv, d, e := a.In[3].Dims[1], a.In[3].Dims[2], a.In[3].Dims[3]
	copy(state, past)
	group := heads / kv
	wanted := make([]float32, e)
	for b := range batch * kv {
		i, h := b/kv, b%kv
		s := state[b*d*e : (b+1)*d*e]
		for t := range time {
			row := i*time + t
			key, value := k[(row*kv+h)*d:][:d], v[(row*kv+h)*e:][:e]
			if factors != nil {
				n := a.In[4].Dims[2] / kv
				fade(s, factors[row*n*kv+h*n:][:n], e)
			}
			copy(wanted, value)
			if rates != nil {
				n := a.In[5].Dims[2]
				correct(wanted, s, key, rates[row*n+h%n])
			}
			for r, x := range key {
				addScaled(s[r*e:][:e], wanted, x)
			}
			for g := range group {
				head := row*heads + h*group + g
				y := out[head*e:][:e]
				clear(y)
				for r, x := range q[head*d:][:d] {
					addScaled(y, s[r*e:][:e], x)
				}
				for c := range y {
					y[c] *= float32(a.Floats[0])
				}
			}
		}
	}
	return 0, nil
}

// fade multiplies the rows of s, of e elements, by a factor each, or all by one.
func fade(s, factors []float32, e int) {
	for r := range len(s) / max(e, 1) {
		f := factors[r%len(factors)]
		for c := range e {
			s[r*e+c] *= f
		}
	}
}

// correct makes of a value what the state s still lacks of it, times the rate.
func correct(value, s, key []float32, rate float32) {
	e := len(value)
	held := make([]float32, e)
	for r, x := range key {
		addScaled(held, s[r*e:][:e], x)
	}
	for c, h := range held {
		value[c] = rate * (value[c] - h)
	}
}

// addScaled adds f x to y; both roundings happen on every CPU.
func addScaled(y, x []float32, f float32) {
	for c := range y {
		y[c] += float32(f * x[c])
	}
}
