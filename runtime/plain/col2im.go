package plain

// windows are the numbers that describe windows along up to three axes: Ints holds the number of axes, then kernels, strides,
// dilations and pads.
type windows struct {
	kernel, stride, dilation, pad []int
}

func windowsOf(a *Args) windows {
	r := a.Ints[0]
	return windows{a.Ints[1 : 1+r], a.Ints[1+r : 1+2*r], a.Ints[1+2*r : 1+3*r], a.Ints[1+3*r : 1+5*r]}
}

// Col2Im adds the windows of In[0] [batch, channels*kernel, windows] into Out[0] [batch, channels, image…].
func Col2Im(a *Args) (int, error) {
	w, out := windowsOf(a), &a.Out[0]
	x, y := data[float32](&a.In[0]), data[float32](out)
	r := len(w.kernel)
	image := out.Dims[2 : 2+r]
	clear(y)
	var count, at, place [3]int
	for i := range r {
		count[i] = (image[i]+w.pad[i]+w.pad[r+i]-w.dilation[i]*(w.kernel[i]-1)-1)/w.stride[i] + 1
	}
	wins, plane, k := product(count[:r]), product(image), 0
	for n := range out.Dims[0] * out.Dims[1] {
		for more := true; more; more = next(place[:r], w.kernel) {
			for j := range wins {
				pos, inside := 0, true
				for i := range r {
					p := at[i]*w.stride[i] - w.pad[i] + place[i]*w.dilation[i]
					inside = inside && p >= 0 && p < image[i]
					pos = pos*image[i] + p
				}
				if inside {
					y[n*plane+pos] += x[k*wins+j]
				}
				next(at[:r], count[:r])
			}
			k++
		}
	}
	return 0, nil
}

// MaxPool gives the greatest elements of the windows of In[0] [batch, channels, spatial…] and where they are, as indices into the whole
// input; with Ints[after the windows] not 0 the spatial axes are counted last axis slowest.
func MaxPool(a *Args) (int, error) {
	w, in, out := windowsOf(a), &a.In[0], &a.Out[0]
	r := len(w.kernel)
	columns := a.Ints[1+5*r] != 0
	x, y, idx := data[float32](in), data[float32](out), data[int64](&a.Out[1])
	spatial, count := in.Dims[2:2+r], out.Dims[2:2+r]
	var at, place [3]int
	k, plane := 0, product(spatial)
	for n := range in.Dims[0] * in.Dims[1] {
		for more := true; more; more = next(at[:r], count) {
			best, where := float32(0), -1
			for inner := true; inner; inner = next(place[:r], w.kernel) {
				pos, col, step, inside := 0, 0, 1, true
				for i := range r {
					p := at[i]*w.stride[i] - w.pad[i] + place[i]*w.dilation[i]
					inside = inside && p >= 0 && p < spatial[i]
					pos, col, step = pos*spatial[i]+p, col+p*step, step*spatial[i]
				}
				if !inside || where >= 0 && !(x[n*plane+pos] > best) {
					continue
				}
				best, where = x[n*plane+pos], n*plane+pos
				if columns {
					where = n*plane + col
				}
			}
			y[k], idx[k] = best, int64(where)
			k++
		}
	}
	return 0, nil
}
