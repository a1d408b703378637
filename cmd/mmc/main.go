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
	Build   buildCmd   `cmd:"" help:"Compile a model to a standalone binary. Example: mmc build model.onnx -o embed"`
	Emit    emitCmd    `cmd:"" help:"Write the model as a Go module with a typed API. Example: mmc emit model.onnx -o ./embed"`
	Run     runCmd     `cmd:"" help:"Compile (cached) and run once. Example: mmc run model.onnx -i x=x.npy -o out"`
	Test    testCmd    `cmd:"" help:"Compare with expected outputs. Example: mmc test models/*"`
	Bench   benchCmd   `cmd:"" help:"Measure. Example: mmc bench model.onnx --dim batch=1 --dim sequence=128 --kernels"`
	Explain explainCmd `cmd:"" help:"Say what was fused, what nearly was, kernels, work and memory. Example: mmc explain model.onnx"`
	Opt     optCmd     `cmd:"" help:"Print the graph after all passes, or after one. Example: mmc opt model.onnx --after layernorm"`
	Ops     opsCmd     `cmd:"" help:"List operators, opsets, types and targets."`
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
	case errors.Is(err, os.ErrNotExist):
		return rt.ExitUsage
	}
	return rt.ExitInternal
}

var errTarget = errors.New("target not available")

// targetsFor picks the kernels for --target and --isa.
func targetsFor(target, isa string) (goos, goarch string, list []codegen.Target, err error) {
	switch {
	case target == "purego":
		list = targets.For("")
	case target == "":
		list = targets.For(hostArch)
		goos, goarch = hostOS, hostArch
	default:
		var ok bool
		goos, goarch, ok = strings.Cut(target, "/")
		if !ok || strings.Contains(goarch, "+") {
			return "", "", nil, fmt.Errorf("%w: %q (linux/amd64, linux/arm64, purego or another GOOS/GOARCH)", errTarget, target)
		}
		list = targets.For(goarch)
	}
	if isa == "" || isa == "purego" {
		if isa == "purego" {
			list = targets.For("")
		}
		return goos, goarch, list, nil
	}
	for _, t := range list {
		if t.ISA() == isa {
			return goos, goarch, []codegen.Target{list[0], t}, nil
		}
	}
	return "", "", nil, fmt.Errorf("%w: instruction set %q for %s/%s", errTarget, isa, goos, goarch)
}
