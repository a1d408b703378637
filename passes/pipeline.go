package passes

// Pipeline is the order of the passes. It is read from top to bottom and reviewed as such.
var Pipeline = []Pass{
	Integers,     // before Fold, which multiplies constant bytes by their scales
	Fold,         // what is left is what runs
	Simplify,     // so that patterns see no reshapes or casts that do nothing
	Choice,       // after Simplify: conditions are not repeated
	Blocks,       // before Layout, as it makes transpositions
	Affine,       // masks' positions
	Layout,       // before all that looks for an operator after another: transpositions stand between them
	Heads,        // before Attention, Linear and CSE: products of four axes, biases next to their products
	Scale,        // before Linear, which takes one bias
	CSE,          // exporters write the same mask and the same shape arithmetic once a layer
	DeadCode,     //
	Embedding,    //
	LayerNorm,    // before Linear, whose bias looks like the last step of a norm
	L2Norm,       // before Attention, which it may be within
	GELU,         //
	SiLU,         //
	Clamp,        //
	Whole,        // after Clamp, which bounds what is quantised
	Attention,    // before Linear: products of two computed operands belong to it
	Simplify2,    // transposes that Attention has put next to others
	Linear,       //
	Bytes,        //
	Windows,      // before Residual: it moves the output's projection past the moves that end at the residual sum
	L2Norm2,      // what it has not taken
	Simplify3,    // reshapes that it has put next to others
	Activation,   // act(linear)
	Residual,     // linear + x
	Activation2,  // act(linear + x)
	Gate,         // act(linear) * x
	ResidualNorm, // norm(x + y) for the sums that Residual has left
	Parts,        // after the sums that belong to layers and norms
	Siblings,     // after all that looks for one layer after another
	LineMeans,    // the mean of a convolution that has its activation
	Winograd,     // last: layers are whole
	CSE2,         //
	DeadCode2,    //
}

// Names are those of the pipeline's passes.
func Names() []string {
	names := make([]string, len(Pipeline))
	for i, p := range Pipeline {
		names[i] = p.Name
	}
	return names
}
