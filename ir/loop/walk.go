package loop

// SharedLoads are a walk kernel's loads from buffers that do not walk: their lanes are the same at all places.
func (k *Kernel) SharedLoads() (vs []Val) {
	for _, v := range k.Stages[0].Insts {
		if in := &k.Insts[v]; in.Code == Load && !k.Bufs[in.Buf].Walk {
			vs = append(vs, v)
		}
	}
	return vs
}

// WindowEnd is the number of a walk kernel's instructions up to the last that uses lanes of a buffer that walks: the chain over the
// places of a window. What follows is done once a result.
func (k *Kernel) WindowEnd() int {
	end := 0
	for i, v := range k.Stages[0].Insts {
		for _, a := range k.Insts[v].Args {
			if a != None && k.Insts[a].Code == Load && k.Bufs[k.Insts[a].Buf].Walk {
				end = i + 1
			}
		}
	}
	return end
}

// Turn is an instruction of a walk kernel for one of several rows that are worked on in turns, or for all of them.
type Turn struct {
	V     Val
	Pos   int   // as in LastUses
	Row   int   // AllRows for a load of lanes that the rows share
	Again bool  // the row before has loaded from the same buffer just now
	Done  []Val // shared lanes that are not used after this
}

// AllRows is the row of a load for all.
const AllRows = -1

// InTurns orders a walk kernel's instructions for some rows: up to the window's end each instruction for one row after the other, so that
// the chains over the window overlap, then what follows row by row. Rows that are neighbouring lanes of one place share nothing; others
// share what does not walk. What is kept is in registers already.
func (k *Kernel) InTurns(rows int, lanes bool, kept []Val) (turns []Turn) {
	insts, last, end := k.Stages[0].Insts, k.LastUses(), k.WindowEnd()
	stays := map[Val]bool{}
	for _, v := range kept {
		stays[v] = true
	}
	shared := map[Val]bool{}
	for pos, v := range insts[:end] {
		in := &k.Insts[v]
		switch {
		case stays[v]:
			continue
		case in.Code == Load && !k.Bufs[in.Buf].Walk && !lanes:
			turns = append(turns, Turn{V: v, Pos: pos, Row: AllRows})
			shared[v] = true
			continue
		}
		for row := range rows {
			turns = append(turns, Turn{V: v, Pos: pos, Row: row, Again: row > 0})
		}
		for _, a := range in.Args {
			if shared[a] && last[a] <= pos {
				turns[len(turns)-1].Done = append(turns[len(turns)-1].Done, a)
				delete(shared, a)
			}
		}
	}
	for row := range rows {
		for i, v := range insts[end:] {
			if !stays[v] {
				turns = append(turns, Turn{V: v, Pos: end + i, Row: row})
			}
		}
	}
	return turns
}
