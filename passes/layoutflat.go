package passes

import (
	"mmc/ir"
	"mmc/ir/op"
)

// Norms of whole images, which read as norms of rows of all their elements: in which order these stand makes no difference.

// flatImage is the image with the channels last of which v is all elements of each entry of the batch, channels first; nil if it is not that.
func flatImage(v *ir.Value) *ir.Value {
	r := by(v, op.Reshape)
	if r == nil || len(v.Shape) != 2 {
		return nil
	}
	x := imageLast(r.In[0])
	if x == nil || x.Shape[0] != v.Shape[0] {
		return nil
	}
	return x
}

// flat is all elements of each entry of the batch, as they stand.
func flat(p *ir.Patch, x *ir.Value, like *ir.Value) *ir.Value {
	return p.Emit1(op.Reshape, op.ReshapeAttr{To: ir.MakeDims(like.Shape)}, x)
}

// sinkFlat computes an elementwise operator of such rows, and of numbers for each of them, on the images with the channels last.
func sinkFlat(_ *Context, n *ir.Node) *ir.Patch {
	out := n.Out[0]
	if n.Op.Elem == nil || len(out.Shape) != 2 {
		return nil
	}
	p := ir.NewPatch(n)
	in := make([]*ir.Value, len(n.In))
	var image *ir.Value
	for i, v := range n.In {
		in[i] = v
		if x := flatImage(v); x != nil && (image == nil || ir.SameShape(x.Shape, image.Shape)) {
			in[i], image = flat(p, x, v), x
		} else if len(v.Shape) > 0 && !v.Shape[len(v.Shape)-1].Is(1) {
			return nil
		}
	}
	if image == nil {
		return nil
	}
	y := second(p, flat(p, p.Emit1(n.Op, n.Attr, in...), image))
	return p.Replace(out, flat(p, y, out))
}

// reduceFlat reduces such rows in the order in which they stand.
func reduceFlat(_ *Context, n *ir.Node) *ir.Patch {
	x := flatImage(n.In[0])
	if x == nil {
		return nil
	}
	p := ir.NewPatch(n)
	return p.Replace(n.Out[0], p.Emit1(op.Reduce, n.Attr, flat(p, x, n.In[0])))
}
