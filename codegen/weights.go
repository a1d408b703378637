package codegen

import (
	"encoding/binary"
	"io"
	"math"

	"mmc/ir"
	"mmc/runtime"
)

// align is the alignment of every constant in the weights.
const align = 64

// layOutWeights gives every constant its offset and turns weight numbers in calls into offsets.
func (p *Plan) layOutWeights() {
	at := int64(0)
	for i := range p.Consts {
		p.Consts[i].Offset = at
		at += (p.Consts[i].size() + align - 1) / align * align
	}
	place := func(m *Mem) {
		if m.Space == Weight {
			m.Index = int(p.Consts[m.Index].Offset)
		}
	}
	for i := range p.Calls {
		p.Calls[i].walk(place)
	}
}

// WeightBytes is the size of the weights.
func (p *Plan) WeightBytes() int64 {
	if len(p.Consts) == 0 {
		return 0
	}
	last := p.Consts[len(p.Consts)-1]
	return last.Offset + (last.size()+align-1)/align*align
}

// size is the number of bytes in the file. Vectors have room for whole lanes behind them: kernels may load them whole.
func (c *Const) size() int64 {
	switch c.Pack {
	case Panels:
		k, n := c.T.Shape[0], c.T.Shape[1]
		return (n + 15) / 16 * 16 * k * 4
	case BytePanels:
		k, n := c.T.Shape[0], c.T.Shape[1]
		return (n + 15) / 16 * 16 * ((k + 3) / 4 * 4)
	case CodedPanels:
		k, n := c.T.Shape[0], c.T.Shape[1]
		return (n + 15) / 16 * int64(c.Form.Step(int(k)))
	}
	return int64(len(c.T.Data))
}

// halfBlock is how many steps of k numbers of two bytes are unpacked in at least.
const halfBlock = 64

// formOf is how a layer's weights are written in fewer bits, if they can be without a loss: as the model has them or, where decoding waits for
// memory, in two bytes if all are upper halves of f32 or all are f16.
func formOf(t *ir.Tensor, decodes bool) (form rt.Coded, ok bool) {
	if c := t.Coded; c != nil {
		return rt.Coded{Bits: int(c.Bits), Block: int(c.Block)}, true
	}
	if !decodes {
		return form, false
	}
	upper, half := true, true
	for _, f := range ir.Slice[float32](t) {
		bits := math.Float32bits(f)
		upper = upper && bits&0xffff == 0
		half = half && math.Float32bits(rt.F16ToF32(rt.F32ToF16(f))) == bits
		if !upper && !half || f-f != 0 {
			return form, false
		}
	}
	return rt.Coded{Bits: 16, Block: halfBlock, Half: !upper}, true
}

// WriteWeights writes the weights: constants at their offsets, matrices of linear layers packed in panels of 16 columns.
func (p *Plan) WriteWeights(w io.Writer) error {
	for i := range p.Consts {
		c := &p.Consts[i]
		data := c.T.Data
		switch c.Pack {
		case Panels:
			data = panels(c.T)
		case BytePanels:
			data = bytePanels(c.T)
		case CodedPanels:
			data = codedPanels(c.T, c.Form)
		}
		pad := make([]byte, (int64(len(data))+align-1)/align*align-int64(len(data)))
		if _, err := w.Write(data); err != nil {
			return err
		}
		if _, err := w.Write(pad); err != nil {
			return err
		}
	}
	return nil
}

// panels is the matrix [k, n] as [n/16][k][16], zeros behind the last column.
func panels(t *ir.Tensor) []byte {
	k, n := int(t.Shape[0]), int(t.Shape[1])
	out := make([]byte, (n+15)/16*16*k*4)
	at := 0
	for p := 0; p < n; p += 16 {
		width := min(16, n-p) * 4
		for r := range k {
			from := (r*n + p) * 4
			copy(out[at:at+width], t.Data[from:])
			at += 64
		}
	}
	return out
}

// bytePanels is the matrix of i8 [k, n] as [n/16][k/4][16][4], zeros behind the last row and column.
func bytePanels(t *ir.Tensor) []byte {
	k, n := int(t.Shape[0]), int(t.Shape[1])
	words := (k + 3) / 4
	out := make([]byte, (n+15)/16*16*words*4)
	for r := range k {
		for c := range n {
			out[((c/16*words+r/4)*16+c%16)*4+r%4] = t.Data[r*n+c]
		}
	}
	return out
}

// codedPanels is a matrix [k, n] in panels of sixteen columns, as rt.Coded describes them; there are zeros behind the last row and column.
func codedPanels(t *ir.Tensor, form rt.Coded) []byte {
	if form.Bits == 16 {
		return halfPanels(t, form)
	}
	k, n, c := int(t.Shape[0]), int(t.Shape[1]), t.Coded
	step := form.Step(k)
	size := step / ((k + form.Block - 1) / form.Block)
	out := make([]byte, (n+15)/16*step)
	for column := range n {
		panel, lane := out[column/16*step:], column%16
		for r := range k {
			block := panel[r/form.Block*size:][:size]
			if r%form.Block == 0 {
				at := r/form.Block*n + column
				block[lane] = c.Zeros[at]
				binary.LittleEndian.PutUint32(block[16+lane*4:], math.Float32bits(c.Scales[at]))
			}
			i := r % form.Block
			numbers := block[16+64:]
			if form.Bits == 4 {
				numbers[i/2*16+lane] |= c.Q[r*n+column] << (i % 2 * 4)
			} else {
				numbers[i*16+lane] = c.Q[r*n+column]
			}
		}
	}
	return out
}

func halfPanels(t *ir.Tensor, form rt.Coded) []byte {
	n, step := int(t.Shape[1]), form.Step(int(t.Shape[0]))
	out := make([]byte, (n+15)/16*step)
	for i, f := range ir.Slice[float32](t) {
		h := uint16(math.Float32bits(f) >> 16)
		if form.Half {
			h = rt.F32ToF16(f)
		}
		row, column := i/n, i%n
		binary.LittleEndian.PutUint16(out[column/16*step+(row*16+column%16)*2:], h)
	}
	return out
}
