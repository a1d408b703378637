// Package onnx reads ONNX files into graphs. It must not know passes, kernels or targets.
//
// A model is somebody else's input: the file is mapped, not read; its structure is measured against [Limits] before a decoder
// recurses into it; weights alias the mapping; external data comes from regular files below the model's folder. Problems are
// collected, so one run reports all of them: a *[Rejected] for a model that is malformed or too large, an *[Unsupported] for
// one that needs operators or features this compiler does not have.
package onnx

import _ "mmc/ir/op" // the operators register themselves
