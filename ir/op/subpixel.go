package op

import (
	"slices"

	"mmc/ir"
	"mmc/ir/sym"
)

// A transposed convolution with steps of s is a convolution with steps of 1 that makes s results beside each other at each place, along every
// axis, as channels (Shi et al., 2016): result q s + r takes the places q - j with the weights r + s j. All phases r have as many places, the
// last perhaps with weights of 0.

// mostZeros is how many times as many weights as there are the phases may have.
const mostZeros = 4

// subPixels reports whether the windows of a transposed convolution of an image of these sizes can be read so: nothing lies behind the last
// phase of the last place, and most weights are not 0.
func subPixels(a Im2ColAttr, spatial, image []sym.Dim, groups int64) bool {
	k, s, p := a.Kernel.List(), a.Strides.List(), a.Pads.List()
	more := 1.0
	for i, d := range spatial {
		more *= float64((k[i]+s[i]-1)/s[i]*s[i]) / float64(k[i])
		phases := d.Add(sym.Const((k[i]+s[i]-1)/s[i] - 1)).Mul(sym.Const(s[i]))
		left, ok := phases.Sub(image[i]).Const()
		if !ok || left < p[i] || a.Dilations.List()[i] != 1 {
			return false
		}
	}
	return more <= mostZeros && (len(spatial) < 3 || len(spatial) == 3 && groups == 1)
}

// transposedBySubPixels is the transposed convolution of x with weights [channels, outputs of a group, kernel…], constant.
func (b *builder) transposedBySubPixels(x, w, bias *ir.Value, a Im2ColAttr, image []sym.Dim, groups int64) *ir.Value {
	k, s := a.Kernel.List(), a.Strides.List()
	r, shape := len(s), ir.ConstShape(w.Shape)
	taps, pads := make([]int64, r), make([]int64, r)
	for i := range s {
		taps[i] = (k[i] + s[i] - 1) / s[i]
		pads[i] = taps[i] - 1
	}
	inner := *b.c
	inner.Attrs = map[string]ir.Attribute{"group": {I: groups}, "pads": {Ints: slices.Concat(pads, pads)}}
	width := shape[1]
	phases := ir.NumElements(s)
	weights := b.phaseWeights(w, groups, taps, s, k)
	if bias != nil {
		bias = b.expand(b.reshape(bias, dims(groups, 1, width)), dims(groups, phases, width))
		bias = b.reshape(bias, dims(groups*phases*width))
	}
	if b.err != nil {
		return nil
	}
	y, err := convolve(&inner, x, weights, bias)
	if b.err = err; err != nil {
		return nil
	}
	y = b.transpose(y, channelsLast(r)...)
	if b.err != nil {
		return nil
	}
	places := y.Shape[1 : r+1]
	split, perm := dims(y.Shape[0], places), []int64{0}
	if groups > 1 {
		split = append(split, sym.Const(groups))
	}
	first := int64(len(split))
	var full []sym.Dim
	for i := range r {
		perm = append(perm, int64(i+1), first+int64(i))
		full = append(full, places[i].Mul(sym.Const(s[i])))
	}
	for axis := int64(r + 1); axis < first; axis++ {
		perm = append(perm, axis)
	}
	y = b.reshape(y, append(append(split, sym.Consts(s...)...), sym.Const(width)))
	y = b.reshape(b.transpose(y, append(perm, first+int64(r))...), dims(y.Shape[0], full, groups*width))
	for i, d := range image {
		if b.err == nil && y.Shape[i+1] != d {
			y = b.slice(y, i+1, sym.Const(a.Pads.List()[i]), d)
		}
	}
	return b.transpose(y, channelsSecond(r)...)
}

// phaseWeights are the weights of the convolution, [groups*phases*outputs of a group, channels of a group, taps…]: along each axis the weights
// r + s j of phase r, for the places in order those of the last j first.
func (b *builder) phaseWeights(w *ir.Value, groups int64, taps, s, kernel []int64) *ir.Value {
	r, shape := len(s), ir.ConstShape(w.Shape)
	p := padding{b, "constant", b.like(w, 0)}
	split := dims(groups, shape[0]/groups, shape[1])
	if groups == 1 {
		split = split[1:]
	}
	rank := int64(len(split))
	for i := range s {
		w = p.around(w, i+2, sym.Const(0), sym.Const(taps[i]*s[i]-kernel[i]))
		split = append(split, sym.Const(taps[i]), sym.Const(s[i]))
	}
	w = b.reshape(w, split)
	perm := []int64{0}[:rank-2]
	for i := range s {
		perm = append(perm, rank+2*int64(i)+1)
	}
	perm = append(perm, rank-1, rank-2)
	for i := range s {
		perm = append(perm, rank+2*int64(i))
	}
	w = b.reshape(b.transpose(w, perm...), dims(groups*ir.NumElements(s)*shape[1], shape[0]/groups, sym.Consts(taps...)))
	for i := range r {
		if b.err == nil && taps[i] > 1 {
			at := alongAxis(w.Shape, i+2, sym.Const(taps[i]-1), sym.Const(taps[i]), -1)
			w = b.do(Slice, at, w)
		}
	}
	return w
}
