package loop

// LastUses gives, for every value that is used, the position of its last use: instructions are numbered through all stages, with
// one number more at the end of each stage. A loop uses the values from before it until its end.
func (k *Kernel) LastUses() map[Val]int {
	last := map[Val]int{}
	stageOf := map[Val]int{}
	pos := 0
	for si, s := range k.Stages {
		end := pos + len(s.Insts)
		for _, v := range s.Insts {
			stageOf[v] = si
			for _, a := range k.Insts[v].Args {
				if a == None {
					continue
				}
				last[a] = pos
				if s.Loop && stageOf[a] != si {
					last[a] = end
				}
			}
			pos++
		}
		pos++
	}
	return last
}
