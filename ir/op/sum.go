package op

import (
	"mmc/ir"
)

func init() { ir.FromONNX("", "Sum", 1, readFold(Add)) }
