package plain

import "math"

// DeformPatches lays the windows of In[0] [batch, channels, height, width] out as rows in Out[0] [batch, groups, windows, channels/groups *
// kernel]: an element is sampled at its place in the window moved by the offsets In[1] [batch, sets * kernel * 2, rows, columns], first
// down, then right, and multiplied by the mask In[2] [batch, sets * kernel, rows, columns] if there is one. Ints: kernel, strides,
// dilations and first pads, two each (ONNX DeformConv, opset 22).
func DeformPatches(a *Args) (int, error) {
	x, offsets, mask, out := data[float32](&a.In[0]), data[float32](&a.In[1]), data[float32](&a.In[2]), data[float32](&a.Out[0])
	batch, channels, height, width := a.In[0].Dims[0], a.In[0].Dims[1], a.In[0].Dims[2], a.In[0].Dims[3]
	taps, rows, cols := a.Ints[0]*a.Ints[1], a.In[1].Dims[2], a.In[1].Dims[3]
	sets, groups, plane := a.In[1].Dims[1]/(2*taps), a.Out[0].Dims[1], rows*cols
	inGroup := channels / groups
	for i := range batch * channels {
		b, c := i/channels, i%channels
		set, image := b*sets+c/(channels/sets), x[i*height*width:][:height*width]
		for p := range plane {
			r := out[((b*groups+c/inGroup)*plane+p)*inGroup*taps+c%inGroup*taps:][:taps]
			for t := range r {
				down, right := offsets[((set*taps+t)*2)*plane+p], offsets[((set*taps+t)*2+1)*plane+p]
				y := float32(p/cols*a.Ints[2]-a.Ints[6]+t/a.Ints[1]*a.Ints[4]) + down
				z := float32(p%cols*a.Ints[3]-a.Ints[7]+t%a.Ints[1]*a.Ints[5]) + right
				r[t] = sampleLinear(image, height, width, y, z)
				if mask != nil {
					r[t] *= mask[(set*taps+t)*plane+p]
				}
			}
		}
	}
	return 0, nil
}

// sampleLinear samples an image at row y, column x; there are zeros around it.
func sampleLinear(image []float32, height, width int, y, x float32) float32 {
	if !(y > -1 && y < float32(height) && x > -1 && x < float32(width)) {
		return 0
	}
	top, left := float32(math.Floor(float64(y))), float32(math.Floor(float64(x)))
	fy, fx := y-top, x-left
	at := func(r, c int) float32 {
		if r < 0 || r >= height || c < 0 || c >= width {
			return 0
		}
		return image[r*width+c]
	}
	r, c := int(top), int(left)
	upper := float32((1-fx)*at(r, c)) + float32(fx*at(r, c+1))
	lower := float32((1-fx)*at(r+1, c)) + float32(fx*at(r+1, c+1))
	return float32((1-fy)*upper) + float32(fy*lower)
}
