// Command mmc compiles ONNX models to Go programs.
package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/alecthomas/kong"

	"mmc/codegen"
	"mmc/driver"
	"mmc/frontend/onnx"
	"mmc/passes"
	"mmc/runtime"
	"mmc/targets"
)

var cli struct {
	Build    buildCmd    `cmd:"" help:"Compile a model to a standalone binary. Example: mmc build model.onnx -o embed"`
	Emit     emitCmd     `cmd:"" help:"Write the model as a Go module with a typed API. Example: mmc emit model.onnx -o ./embed"`
	Run      runCmd      `cmd:"" help:"Compile (cached) and run once. Example: mmc run model.onnx -i x=x.npy -o out"`
	Test     testCmd     `cmd:"" help:"Compare with expected outputs. Example: mmc test models/*"`
	Generate generateCmd `cmd:"" help:"Compile (cached) and generate tokens with a decoder. Example: mmc generate gpt2 --tokens 464,3280,318 --max 20 --temperature 0.8 --top-p 0.9"`
	Bench    benchCmd    `cmd:"" help:"Measure. Example: mmc bench model.onnx --dim batch=1 --dim sequence=128 --kernels"`
	Explain  explainCmd  `cmd:"" help:"Say what was fused, what nearly was, kernels, work and memory. Example: mmc explain model.onnx"`
	Opt      optCmd      `cmd:"" help:"Print the graph after all passes, or after one. Example: mmc opt model.onnx --after layernorm"`
	Ops      opsCmd      `cmd:"" help:"List operators, opsets, types and targets."`
}

func main() {
	parser := kong.Must(&cli, kong.Name("mmc"), kong.Description("Compiles ONNX models to self-contained Go programs."), kong.UsageOnError(), kong.DefaultEnvars("MMC"))
	ctx, err := parser.Parse(os.Args[1:])
	if err != nil {
		parser.Errorf("%s", err)
		os.Exit(rt.ExitUsage)
	}
	os.Exit(exitCode(ctx.Run()))
}

// exitCode reports an error on stderr and maps it to the documented code.
func exitCode(err error) int {
	if err == nil {
		return rt.ExitOK
	}
	var exit *driver.Exit
	if errors.As(err, &exit) {
		return exit.Code
	}
	if !errors.Is(err, driver.ErrMismatch) {
		fmt.Fprintln(os.Stderr, "mmc:", err)
	}
	var rej *onnx.Rejected
	var uns *onnx.Unsupported
	var bug *passes.Internal
	switch {
	case errors.Is(err, driver.ErrMismatch):
		return rt.ExitMismatch
	case errors.As(err, &rej):
		return rt.ExitRejected
	case errors.As(err, &uns):
		return rt.ExitUnsupported
	case errors.Is(err, errTarget):
		return rt.ExitNotAvailable
	case errors.As(err, &bug):
		fmt.Fprintf(os.Stderr, "the graph before the pass, as a test case:\n%s", bug.Before)
	case errors.Is(err, errUsage), errors.Is(err, os.ErrNotExist):
		return rt.ExitUsage
	}
	return rt.ExitInternal
}

var (
	errTarget = errors.New("target not available")
	errUsage  = errors.New("bad flag")
)

// chosen is what --target and --isa ask for.
type chosen struct {
	goos, goarch string
	kernels      []codegen.Target
	accelerator  *codegen.Accelerator
}

// targetFor picks the kernels for --target, --isa and --dtype.
func targetFor(target, isa, dtype string) (c chosen, err error) {
	switch target {
	case "purego":
		c.kernels = targets.For("")
	case "":
		c = chosen{goos: hostOS, goarch: hostArch, kernels: targets.For(hostArch)}
	default:
		if c, err = parseTarget(target, dtype); err != nil {
			return c, err
		}
	}
	if dtype != "f32" && c.accelerator == nil {
		return c, fmt.Errorf("%w: --dtype %s is for tensor cores; add +cuda to --target, as in linux/amd64+cuda", errTarget, dtype)
	}
	switch isa {
	case "", rt.Accelerator:
		return c, nil
	case "purego":
		c.kernels = targets.For("")
		return c, nil
	}
	for _, t := range c.kernels {
		if t.ISA() == isa {
			c.kernels = []codegen.Target{c.kernels[0], t}
			return c, nil
		}
	}
	return c, fmt.Errorf("%w: instruction set %q for %s/%s", errTarget, isa, c.goos, c.goarch)
}

// parseTarget reads GOOS/GOARCH, with +cuda for kernels on a GPU too.
func parseTarget(target, dtype string) (c chosen, err error) {
	var ok bool
	c.goos, c.goarch, ok = strings.Cut(target, "/")
	arch, accelerator, found := strings.Cut(c.goarch, "+")
	c.goarch, c.kernels = arch, targets.For(arch)
	if found {
		c.accelerator = targets.Accelerator(accelerator, dtype)
		ok = ok && c.accelerator != nil && c.goos == "linux" && (arch == "amd64" || arch == "arm64")
	}
	if !ok {
		return c, fmt.Errorf("%w: %q (linux/amd64, linux/amd64+cuda, linux/arm64, purego or another GOOS/GOARCH)", errTarget, target)
	}
	return c, nil
}
