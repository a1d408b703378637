// A driver without a device, for tests: memory is the host's, kernels do nothing. FAKE_FAIL=cuName:code makes a call fail;
// FAKE_REPORT names a file that gets the number of allocations, graphs and streams not given back when the context is.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static long live;

static int result(const char *name) {
	const char *fail = getenv("FAKE_FAIL");
	size_t n = strlen(name);
	if (fail && strncmp(fail, name, n) == 0 && fail[n] == ':') return atoi(fail + n + 1);
	return 0;
}

#define CALL(name) int e = result(#name); if (e) return e

int cuGetErrorName(int code, const char **out) {
	static const struct { int code; const char *name; } names[] = {{2, "CUDA_ERROR_OUT_OF_MEMORY"}, {100, "CUDA_ERROR_NO_DEVICE"},
		{218, "CUDA_ERROR_INVALID_PTX"}, {700, "CUDA_ERROR_ILLEGAL_ADDRESS"}, {701, "CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES"}, {999, "CUDA_ERROR_UNKNOWN"}};
	for (unsigned i = 0; i < sizeof names / sizeof *names; i++)
		if (names[i].code == code) { *out = names[i].name; return 0; }
	return 1;
}
int cuInit(unsigned flags) { CALL(cuInit); return 0; }
int cuDeviceGetCount(int *n) { CALL(cuDeviceGetCount); *n = getenv("FAKE_NONE") ? 0 : 1; return 0; }
int cuDeviceGet(int *dev, int i) { CALL(cuDeviceGet); *dev = i; return 0; }
int cuDeviceGetName(char *name, int n, int dev) { CALL(cuDeviceGetName); strncpy(name, "Fake GPU", n); return 0; }
int cuDeviceGetAttribute(int *v, int attr, int dev) {
	CALL(cuDeviceGetAttribute);
	*v = attr == 75 ? (getenv("FAKE_OLD") ? 7 : getenv("FAKE_HOPPER") ? 9 : 8) : attr == 76 ? 0 : attr == 97 ? 232448 : 1;
	return 0;
}
int cuDevicePrimaryCtxRetain(void **ctx, int dev) { CALL(cuDevicePrimaryCtxRetain); *ctx = &live; return 0; }
int cuDevicePrimaryCtxRelease_v2(int dev) {
	const char *file = getenv("FAKE_REPORT");
	FILE *f = file ? fopen(file, "w") : NULL;
	if (f) { fprintf(f, "%ld", live); fclose(f); }
	return 0;
}
int cuCtxSetCurrent(void *ctx) { CALL(cuCtxSetCurrent); return ctx == &live ? 0 : 999; }
int cuCtxSynchronize(void) { CALL(cuCtxSynchronize); return 0; }
int cuMemAllocManaged(void **p, size_t n, unsigned flags) { CALL(cuMemAllocManaged); *p = aligned_alloc(256, (n + 255) / 256 * 256); live++; return *p ? 0 : 2; }
int cuMemFree_v2(void *p) { free(p); live--; return 0; }
int cuMemsetD8_v2(void *p, unsigned char v, size_t n) { CALL(cuMemsetD8_v2); memset(p, v, n); return 0; }
int cuModuleLoadDataEx(void **mod, const char *image, unsigned n, int *options, void **values) {
	int e = result("cuModuleLoadDataEx");
	if (e) { for (unsigned i = 0; i < n; i++) if (options[i] == 5) strcpy(values[i], "ptxas fatal: line 7"); return e; }
	if (!strstr(image, ".visible .entry gemm")) return 218;
	if (strstr(image, ".target sm_90a") && !getenv("FAKE_HOPPER")) return 209;
	*mod = &live; live++;
	return 0;
}
int cuModuleUnload(void *mod) { live--; return 0; }
int cuModuleGetFunction(void **f, void *mod, const char *name) { CALL(cuModuleGetFunction); *f = strdup(name); return 0; }
int cuFuncSetAttribute(void *f, int attr, int v) { CALL(cuFuncSetAttribute); return attr == 8 && v == 232448 ? 0 : 999; }
int cuLaunchKernel(void *f, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned shared, void *stream, void **params, void **extra) {
	CALL(cuLaunchKernel);
	if (strstr(f, "_hopper") && (((unsigned long *)params[0])[32] != 0x6d6170 || ((unsigned long *)params[0])[48] != 0x6d6170 || shared < 131072)) return 999;
	return gx && gy && gz && bx == 256 && by == 1 && bz == 1 && stream && params && params[0] && !extra ? 0 : 999;
}
int cuTensorMapEncodeTiled(unsigned long *map, int kind, unsigned rank, void *p, const unsigned long *dims, const unsigned long *steps,
	const unsigned *box, const unsigned *every, int interleave, int swizzle, int promote, int fill) {
	CALL(cuTensorMapEncodeTiled);
	memset(map, 0, 128);
	*map = 0x6d6170;
	return (unsigned long)map % 64 == 0 && (kind == 1 || kind == 7) && rank == 2 && (unsigned long)p % 16 == 0 && dims[0] && dims[1] && steps[0] % 16 == 0 &&
		steps[0] >= dims[0] * (kind == 1 ? 2 : 4) && box[0] * (kind == 1 ? 2 : 4) == 128 && box[1] == 128 && every[0] == 1 && every[1] == 1 &&
		!interleave && swizzle == 3 && !fill ? 0 : 1;
}
int cuStreamCreate(void **s, unsigned flags) { CALL(cuStreamCreate); *s = malloc(1); live++; return 0; }
int cuStreamDestroy_v2(void *s) { free(s); live--; return 0; }
int cuStreamSynchronize(void *s) { CALL(cuStreamSynchronize); return 0; }
int cuStreamBeginCapture_v2(void *s, int mode) { CALL(cuStreamBeginCapture_v2); return 0; }
int cuStreamEndCapture(void *s, void **g) { CALL(cuStreamEndCapture); *g = malloc(1); live++; return 0; }
int cuGraphInstantiateWithFlags(void **exec, void *g, unsigned long long flags) { CALL(cuGraphInstantiateWithFlags); *exec = malloc(1); live++; return 0; }
int cuGraphDestroy(void *g) { free(g); live--; return 0; }
int cuGraphExecDestroy(void *g) { free(g); live--; return 0; }
int cuGraphLaunch(void *g, void *s) { CALL(cuGraphLaunch); return 0; }
