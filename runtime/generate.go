package rt

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// generation are the flags of generate.
type generation struct {
	prompts  tokenLists
	most     int
	batch    bool
	stop     string
	sampling Sampling
}

// tokenLists is a flag that may repeat: numbers with commas between.
type tokenLists [][]int64

func (t *tokenLists) String() string { return "" }

func (t *tokenLists) Set(s string) error {
	var list []int64
	for _, p := range strings.Split(s, ",") {
		n, err := strconv.ParseInt(strings.TrimSpace(p), 10, 64)
		if err != nil {
			return fmt.Errorf("%q is no number", p)
		}
		list = append(list, n)
	}
	*t = append(*t, list)
	return nil
}

func (g *generation) flags(fs *flag.FlagSet) {
	fs.Var(&g.prompts, "tokens", "N,N,…: a prompt as token numbers; may repeat, each is generated from by itself")
	fs.BoolVar(&g.batch, "batch", false, "generate from all prompts in one batch; those of different length need a model with a mask and positions")
	fs.IntVar(&g.most, "max", 64, "the most tokens to generate")
	fs.StringVar(&g.stop, "stop", "", "N,N,…: tokens that end a generation")
	fs.Float64Var(&g.sampling.Temperature, "temperature", 0, "0 takes the most likely token")
	fs.IntVar(&g.sampling.TopK, "top-k", 0, "choose among so many tokens; 0 for all")
	fs.Float64Var(&g.sampling.TopP, "top-p", 0, "choose among the likeliest tokens of this share; 0 for all")
	fs.Uint64Var(&g.sampling.Seed, "seed", 0, "of the choices")
}

// generated is one generation's outcome as JSON.
type generated struct {
	Prompt []int64 `json:"prompt"`
	Tokens []int64 `json:"tokens"`
	Ended  string  `json:"ended"` // stop, max or room
}

func (c *cli) generate() error {
	if len(c.gen.prompts) == 0 {
		return usageError{errors.New("generate wants --tokens N,N,…")}
	}
	stop := map[int64]bool{}
	if c.gen.stop != "" {
		var list tokenLists
		if err := list.Set(c.gen.stop); err != nil {
			return usageError{err}
		}
		for _, t := range list[0] {
			stop[t] = true
		}
	}
	m, err := c.model()
	if err != nil {
		return err
	}
	defer m.Close()
	extra, err := c.decoderInputs()
	if err != nil {
		return err
	}
	d, err := NewDecoder(m, extra)
	if errors.Is(err, ErrNoDecoder) {
		return usageError{err}
	}
	if err != nil {
		return err
	}
	defer d.Release()
	var results []generated
	groups := [][][]int64{c.gen.prompts}
	if !c.gen.batch {
		groups = nil
		for _, p := range c.gen.prompts {
			groups = append(groups, [][]int64{p})
		}
	}
	for _, g := range groups {
		part, err := c.generateBatch(d, g, stop)
		if err != nil {
			return err
		}
		results = append(results, part...)
	}
	if c.json {
		return c.print(map[string]any{"schema": 1, "isa": m.ISA(), "threads": m.Threads(), "results": results})
	}
	return nil
}

// decoderInputs reads the inputs that the decoder does not make itself.
func (c *cli) decoderInputs() (map[int]*Value, error) {
	extra := map[int]*Value{}
	for _, kv := range c.inputs {
		i, v, err := c.readInput(kv)
		if err != nil {
			return nil, err
		}
		extra[i] = v
	}
	return extra, nil
}

// generateBatch generates from some prompts together. Unless JSON is asked for it prints a line of tokens for each, as they come if there
// is one prompt.
func (c *cli) generateBatch(d *Decoder, prompts [][]int64, stop map[int64]bool) ([]generated, error) {
	if err := d.Begin(prompts); err != nil {
		return nil, err
	}
	results, samplers := make([]generated, len(prompts)), make([]*Sampler, len(prompts))
	for i, p := range prompts {
		results[i], samplers[i] = generated{Prompt: p, Tokens: []int64{}}, NewSampler(c.gen.sampling)
	}
	stream := !c.json && len(prompts) == 1
	next := make([]int64, len(prompts))
	for open := len(prompts); open > 0; d.Append(next) {
		if _, total := d.length(); d.d.Most > 0 && total > d.d.Most {
			endAll(results, "room")
			break
		}
		logits, err := d.Step()
		if err != nil {
			return nil, err
		}
		for i := range results {
			r := &results[i]
			if next[i] = samplers[i].Next(logits[i]); r.Ended != "" {
				continue
			}
			if stop[next[i]] {
				r.Ended = "stop"
				open--
				continue
			}
			if r.Tokens = append(r.Tokens, next[i]); stream {
				fmt.Fprintf(os.Stdout, "%s%d", map[bool]string{true: " "}[len(r.Tokens) > 1], next[i])
			}
			if len(r.Tokens) >= c.gen.most {
				r.Ended = "max"
				open--
			}
		}
	}
	for _, r := range results {
		if !c.json {
			fmt.Fprintln(os.Stdout, r.text(stream))
		}
	}
	return results, nil
}

// endAll ends the generations that are still open.
func endAll(results []generated, why string) {
	for i := range results {
		if results[i].Ended == "" {
			results[i].Ended = why
		}
	}
}

// text is the tokens with spaces between; nothing if they have been printed already.
func (r *generated) text(printed bool) string {
	if printed {
		return ""
	}
	return strings.Trim(fmt.Sprint(r.Tokens), "[]")
}
