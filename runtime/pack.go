package rt

import "unsafe"

// Panel is one call of a packing kernel. The kernels read the fields at these offsets; strides are in bytes.
type Panel struct {
	From [Lanes]Ptr // 0: rows that become columns, or the first line
	To   Ptr        // 128
	N    int        // 136: elements of a row, or lines
	Step int        // 144: from one line to the next
}

// maxLines is the most lines of one kernel call.
const maxLines = 4096

// columns makes n rows the columns of a panel of size floats: row c becomes column c, and columns behind the last are anything.
func (g *Gemm) columns(w *worker, panel []float32, n int) {
	p := &w.panel
	for c := n; c < Lanes; c++ {
		p.From[c] = p.From[0]
	}
	p.To, p.N = Ptr(unsafe.SliceData(panel)), len(panel)/Lanes
	callPanel(g.Columns, p)
}

// pack lays a matrix of k rows and n columns out in panels. The stride of its rows is in elements.
func (g *Gemm) pack(w *worker, dst []float32, src Ptr, k, n, rowStride int) {
	g.packRows(w, dst, src, k, 0, k, n, rowStride)
}

// packRows is pack for rows r0 … r1 of k, of which src is the first.
func (g *Gemm) packRows(w *worker, dst []float32, src Ptr, k, r0, r1, n, rowStride int) {
	p := &w.panel
	p.Step = rowStride * 4
	for c := 0; c < n; c += Lanes {
		panel := dst[(c*k + r0*Lanes):(c*k + r1*Lanes)]
		if c+Lanes > n {
			narrow(panel, At(src, c*4), n-c, p.Step)
			return
		}
		for r := 0; r < r1-r0; r += maxLines {
			p.From[0], p.To = At(src, (r*rowStride+c)*4), Ptr(&panel[r*Lanes])
			p.N = min(maxLines, r1-r0-r)
			callPanel(g.Lines, p)
		}
	}
}

// narrow fills a panel with lines of fewer than Lanes elements.
func narrow(panel []float32, from Ptr, cols, step int) {
	for r := range len(panel) / Lanes {
		line := panel[r*Lanes : (r+1)*Lanes]
		clear(line[copy(line, unsafe.Slice((*float32)(At(from, r*step)), cols)):])
	}
}

//go:noinline
func callPanel(f func(*Panel), p *Panel) { f(p) }

// packColumns lays n columns of k elements out in panels; column says where each begins.
func (g *Gemm) packColumns(w *worker, dst []float32, n, k int, column func(c int) Ptr) {
	for p := 0; p < n; p += Lanes {
		count := min(Lanes, n-p)
		for c := range count {
			w.panel.From[c] = column(p + c)
		}
		g.columns(w, dst[p*k:(p+Lanes)*k], count)
	}
}

// ColumnsGo makes sixteen rows of N elements the columns of a panel, in plain Go: eight at a time, so that their addresses stay in
// registers.
func ColumnsGo(p *Panel) {
	for h := 0; h < Lanes; h += 8 {
		a, b, c, d, e, f, g, i := p.From[h], p.From[h+1], p.From[h+2], p.From[h+3], p.From[h+4], p.From[h+5], p.From[h+6], p.From[h+7]
		for j := range p.N {
			out, at := (*[8]float32)(At(p.To, (j*Lanes+h)*4)), j*4
			out[0], out[1], out[2], out[3] = *(*float32)(At(a, at)), *(*float32)(At(b, at)), *(*float32)(At(c, at)), *(*float32)(At(d, at))
			out[4], out[5], out[6], out[7] = *(*float32)(At(e, at)), *(*float32)(At(f, at)), *(*float32)(At(g, at)), *(*float32)(At(i, at))
		}
	}
}

// LinesGo copies N lines of sixteen elements that lie a step apart, in plain Go.
func LinesGo(p *Panel) {
	for j := range p.N {
		copyLanes(At(p.To, j*Lanes*4), At(p.From[0], j*p.Step))
	}
}
