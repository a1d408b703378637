package golden

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"mmc/driver"
	"mmc/runtime"
	"mmc/targets"
)

// driverFaults are what can go wrong with a GPU, as a made-up driver has it: its environment, and what a program that must use the
// GPU says and exits with. Products of those with FAKE_HOPPER, a GPU of compute capability 9.0, are in bf16.
var driverFaults = []struct {
	name, env, says string
	code            int
}{
	{"no driver", "LD_LIBRARY_PATH=", "not available here: no NVIDIA driver", rt.ExitNotAvailable},
	{"no device", "FAKE_NONE=1", "the NVIDIA driver has no device", rt.ExitNotAvailable},
	{"driver refuses", "FAKE_FAIL=cuInit:100", "cuInit: CUDA_ERROR_NO_DEVICE (100)", rt.ExitNotAvailable},
	{"old device", "FAKE_OLD=1", "Fake GPU has compute capability 7.0", rt.ExitNotAvailable},
	{"PTX refused", "FAKE_FAIL=cuModuleLoadDataEx:218", "cuModuleLoadDataEx: CUDA_ERROR_INVALID_PTX (218): ptxas fatal: line 7", rt.ExitNotAvailable},
	{"kernel missing", "FAKE_FAIL=cuModuleGetFunction:999", "the module has no kernel gemm", rt.ExitNotAvailable},
	{"out of memory", "FAKE_FAIL=cuMemAllocManaged:2", "cuMemAllocManaged: CUDA_ERROR_OUT_OF_MEMORY (2)", rt.ExitNotAvailable},
	{"launch fails", "FAKE_FAIL=cuLaunchKernel:701", "cuLaunchKernel of windows: CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES (701)", rt.ExitInternal},
	{"sticky error", "FAKE_FAIL=cuStreamSynchronize:700", "cuStreamSynchronize: CUDA_ERROR_ILLEGAL_ADDRESS (700)", rt.ExitInternal},
	{"unknown error", "FAKE_FAIL=cuStreamSynchronize:12345", "cuStreamSynchronize: unknown error (12345)", rt.ExitInternal},
	{"graph refused", "FAKE_FAIL=cuGraphInstantiateWithFlags:999", "cuGraphInstantiateWithFlags: CUDA_ERROR_UNKNOWN (999)", rt.ExitInternal},
	{"well", "", "", rt.ExitOK},
	{"Hopper, not asked for", "FAKE_HOPPER=1 FAKE_FAIL=cuTensorMapEncodeTiled:1", "", rt.ExitOK},
	{"no map", "FAKE_HOPPER=1 MMC_WGMMA=1 FAKE_FAIL=cuTensorMapEncodeTiled:999", "cuTensorMapEncodeTiled: CUDA_ERROR_UNKNOWN (999)", rt.ExitInternal},
	{"Hopper", "FAKE_HOPPER=1 MMC_WGMMA=1", "", rt.ExitOK},
}

// TestDriverFaults runs a program with a made-up libcuda.so.1: every fault is one line that names the call, and everything is given
// back. Without --isa cuda, a program that finds no usable GPU runs on the CPU.
func TestDriverFaults(t *testing.T) {
	dir := t.TempDir()
	gcc, err := exec.LookPath("gcc")
	if err != nil {
		t.Skip("no gcc to make a driver with")
	}
	if out, err := exec.Command(gcc, "-shared", "-fPIC", "-O1", "-o", filepath.Join(dir, "libcuda.so.1"), "testdata/fakecuda/libcuda.c").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	c, err := driver.Compile("models/digits-vit/model.onnx", driver.Options{Targets: everything(), Accelerator: targets.Accelerator("cuda", "f32")})
	if err != nil {
		t.Fatal(err)
	}
	tensor, err := driver.Compile("models/digits-vit/model.onnx", driver.Options{Targets: everything(), Accelerator: targets.Accelerator("cuda", "bf16")})
	if err != nil {
		t.Fatal(err)
	}
	p := suite(t, []*driver.Compiled{c, tensor})
	for _, f := range driverFaults {
		t.Run(f.name, func(t *testing.T) {
			report, program := filepath.Join(dir, "report"), 0
			if strings.Contains(f.env, "FAKE_HOPPER") {
				program = 1
			}
			cmd := p.command(program, "bench", "--isa", rt.Accelerator, "--dim", "batch=1", "--runs", "3", "--warmup", "3", "--json")
			cmd.Env = append(os.Environ(), "LD_LIBRARY_PATH="+dir, "FAKE_REPORT="+report)
			cmd.Env = append(cmd.Env, strings.Fields(f.env)...)
			var msg strings.Builder
			cmd.Stderr = &msg
			if code := codeOf(cmd.Run()); code != f.code || !strings.Contains(msg.String(), f.says) || strings.Count(msg.String(), "\n") > 1 {
				t.Errorf("exit code %d, want %d with %q: %s", code, f.code, f.says, msg.String())
			}
			if live, err := os.ReadFile(report); err == nil && string(live) != "0" {
				t.Errorf("%s allocations are not given back", live)
			} else if err != nil && f.code != rt.ExitNotAvailable {
				t.Error(err)
			}
			os.Remove(report)
		})
	}
	cmd := p.command(0, "test", "models/digits-vit/test_data_set_0")
	cmd.Env = append(os.Environ(), "LD_LIBRARY_PATH="+dir, "FAKE_NONE=1")
	if out, err := cmd.CombinedOutput(); err != nil || strings.Contains(string(out), rt.Accelerator+"/") {
		t.Errorf("does not fall back to the CPU: %v %s", err, out)
	}
}

func codeOf(err error) int {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode()
	}
	return 0
}
