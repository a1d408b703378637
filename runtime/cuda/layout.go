package cuda

// The words of each entry's parameter. Sizes and strides are as in package rt; strides are in bytes.
const (
	MaxAxes = 8

	RowLength = 0                 // elements of a row
	RowOuter  = 1                 // rows
	RowRank   = 2                 // axes over the rows
	RowDims   = 3                 // their sizes
	RowPtrs   = RowDims + MaxAxes // the buffers, then for each its strides along the axes
	RowBufs   = 12
	RowStride = RowPtrs + RowBufs
	RowWords  = RowStride + RowBufs*MaxAxes

	GemmM, GemmN, GemmK        = 0, 1, 2
	GemmA, GemmLDA             = 3, 4
	GemmB                      = 5
	GemmPanel, GemmBN, GemmBK  = 6, 7, 8 // from one group of sixteen columns to the next, one column, one step of k
	GemmC, GemmLDC             = 9, 10
	GemmBias, GemmRes, GemmLDR = 11, 12, 13
	GemmBatch                  = 14 // three sizes
	GemmSA, GemmSB, GemmSC     = 17, 20, 23
	GemmCount, GemmOf          = 24, 25 // rows of a line of C and lines of a group; GemmLDC apart
	GemmLine, GemmGroup        = 26, 27 // from one line of C to the next, and one group
	GemmRounded                = 28     // B rounded to the type of tensor cores, a row a column, or 0
	GemmRoundedRow             = 29     // from one of its rows to the next
	GemmWords                  = 30

	HopperMapA  = 32 // for entries whose names end in Hopper, behind the words above: maps of A and of B rounded, from words at multiples of 64 bytes
	HopperMapB  = HopperMapA + MapWords
	HopperWords = HopperMapB + MapWords

	OperandTotal, OperandRowWords, OperandK = 0, 1, 2 // words in all and of a row; operands of a row before zeros follow
	OperandFrom, OperandPanel, OperandTo    = 3, 4, 5
	OperandWords                            = 6

	AttBatch, AttHeads, AttM, AttS, AttD, AttE = 0, 1, 2, 3, 4, 5
	AttQ, AttK, AttV, AttOut, AttMask          = 6, 10, 14, 18, 22 // address, strides of batch, head and row
	AttGroup                                   = 26                // heads of queries for one of keys and values
	AttWords                                   = 27

	MoveTotal, MoveRank, MoveDims = 0, 1, 2
	MoveFrom, MoveTo              = 10, 11
	MoveSF, MoveST                = 12, 20
	MoveWords                     = 28

	EmbPlaces, EmbRank, EmbWidth, EmbDims = 0, 1, 2, 3
	EmbOut, EmbFault                      = 11, 12 // EmbFault is set to 1 by an index outside its table
	EmbTable                              = 13     // for each table: rows' address, indices' address, size, wide, strides
	EmbTableWords                         = 4 + MaxAxes
	EmbTables                             = 4
	EmbWords                              = EmbTable + EmbTables*EmbTableWords

	GatherTotal, GatherOuter, GatherAxis, GatherCount, GatherInner = 0, 1, 2, 3, 4 // total in units of the entry's size, Inner in bytes
	GatherData, GatherIndex, GatherOut, GatherWide, GatherFault    = 5, 6, 7, 8, 9
	GatherAxes, GatherDims, GatherStride                           = 10, 11, 11 + MaxAxes
	GatherWords                                                    = GatherStride + MaxAxes

	WindowTotal, WindowChannels, WindowX, WindowOut   = 0, 1, 2, 3
	WindowIn, WindowCount, WindowKernel, WindowStride = 4, 7, 10, 13 // three each, as are the next two
	WindowDilation, WindowPad                         = 16, 19
	WindowWords                                       = 22

	NarrowTotal, NarrowRowWords, NarrowK, NarrowAll, NarrowLo = 0, 1, 2, 3, 4 // words in all and of a row; columns, and with those again
	NarrowA, NarrowRow, NarrowAgain, NarrowTo                 = 5, 6, 7, 8
	NarrowWords                                               = 9

	UnpackTotal, UnpackK, UnpackBlock, UnpackShift, UnpackMask = 0, 1, 2, 3, 4 // elements; of 4 bits two steps share a byte
	UnpackFrom, UnpackPanel, UnpackSize, UnpackTo              = 5, 6, 7, 8    // bytes from panel to panel, and of a block
	UnpackWords                                                = 9

	BytesTotal, BytesN, BytesRowWords, BytesLo, BytesIntegers = 0, 1, 2, 3, 4 // elements of the result, columns
	BytesA, BytesW, BytesSums, BytesZero, BytesBias, BytesC   = 5, 6, 7, 8, 9, 10
	BytesWords                                                = 11

	IntegersTotal, IntegersM, IntegersN, IntegersK                               = 0, 1, 2, 3 // elements of the result
	IntegersA, IntegersB, IntegersC, IntegersZeroA, IntegersZeroB, IntegersWhole = 4, 5, 6, 7, 8, 9
	IntegersBN, IntegersBK                                                       = 10, 11 // from one column of B, and step of k, to the next
	IntegersBatch, IntegersSA, IntegersSB                                        = 12, 15, 18
	IntegersWords                                                                = 21

	FillTo, FillKind, FillCount, FillStart, FillStep = 0, 1, 2, 3, 4 // kind: see below
	FillWords                                        = 5

	NumbersTo, NumbersKind, NumbersCount, NumbersValues = 0, 1, 2, 3
	MaxNumbers                                          = 16
	NumbersWords                                        = NumbersValues + MaxNumbers
)

// The product on tensor cores: stages of k in shared memory, bytes of operands in each stage's rows, and of a row there; the side of the
// tile of entries whose names end in Wide, and the shared memory that they want.
const (
	TensorStages = 3
	TensorDepth  = 64
	TensorLine   = TensorDepth + 16
	Wide         = "_wide"
	WideSide     = 128
	WideShared   = TensorStages * 2 * WideSide * TensorLine
)

// The product by wgmma, in tiles of WideSide: stages of k, and the bytes of a row of a box.
const (
	Hopper       = "_hopper"
	HopperStages = 4
	HopperLine   = 128
)

// HopperShared is the shared memory that entries for operands of a size want: stages from a multiple of 1,024 bytes on, each with a box of
// B and those of as many values of A in f32, and two barriers for each.
func HopperShared(operand int) int {
	return 1024 + HopperStages*((1+4/operand)*WideSide*HopperLine+16)
}

// What FillKind and NumbersKind say of the elements.
const (
	KindI32 = iota
	KindI64
	KindF32
)
