package codegen

import "mmc/ir/loop"

// Use is how a program uses a row kernel: on rows, after a linear layer, as the softmax of attention, on rows of embedding tables.
type Use struct{ Rows, Epilogue, Softmax, Embedding bool }

// Accelerator makes kernels for a device that a program uses beside the CPU.
type Accelerator struct {
	Name  string // as in --target OS/ARCH+NAME
	DType string // of products
	// Emit prints the kernels, and a file of Go that declares openDevice.
	Emit func(kernels []*loop.Kernel, uses []Use) []File
	// Runtime are the packages it needs, below the module's rt.
	Runtime func() ([]File, error)
	// Require and Sums are what go.mod and go.sum need.
	Require, Sums string
}

// Requirement is the line of go.mod, if there is one.
func (a *Accelerator) Requirement() string {
	if a.Require == "" {
		return ""
	}
	return "\nrequire " + a.Require + "\n"
}

// AcceleratorFiles are the packages that an accelerator needs, below rt.
func AcceleratorFiles(o Options) ([]File, error) {
	o.defaults()
	files, err := o.Accelerator.Runtime()
	return o.localise(files), err
}

// uses says how the program uses each row kernel.
func (p *Plan) uses() []Use {
	uses := make([]Use, len(p.Kernels))
	for _, c := range p.Calls {
		args := c.Args
		if c.Method == "Conv" || c.Method == "Winograd" || c.Method == "Scaled" {
			args = append(append([]Field{}, args[0].Val.List...), args[1:]...) // the Linear, and what is around it
		}
		if c.Method == "Layers" {
			args = append(append([]Field{}, args[0].Val.List...), args[1].Val.List...)
		}
		for _, f := range args {
			if f.Val.Int == nil || *f.Val.Int < 0 {
				continue
			}
			switch {
			case f.Name == "Kernel" && (c.Method == "Rows" || c.Method == "Scaled"), f.Name == "Cell", f.Name == "Reset", f.Name == "Before", f.Name == "After",
				f.Name == "Act" && c.Method == "Winograd":
				uses[*f.Val.Int].Rows = true
			case f.Name == "Kernel" && c.Method == "Embedding":
				uses[*f.Val.Int].Embedding = true
			case f.Name == "Act":
				uses[*f.Val.Int].Epilogue = true
			case f.Name == "Softmax":
				uses[*f.Val.Int].Softmax = true
			}
		}
	}
	return uses
}
