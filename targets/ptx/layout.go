package ptx

// The words of each entry's parameter. Sizes and strides are as in package rt; strides are in bytes.
const (
	maxAxes = 8

	rowLength = 0                 // elements of a row
	rowOuter  = 1                 // rows
	rowRank   = 2                 // axes over the rows
	rowDims   = 3                 // their sizes
	rowPtrs   = rowDims + maxAxes // the buffers, then for each its strides along the axes
	rowBufs   = 12                //
	rowStride = rowPtrs + rowBufs //
	rowWords  = rowStride + rowBufs*maxAxes

	gemmM, gemmN, gemmK        = 0, 1, 2
	gemmA, gemmLDA             = 3, 4
	gemmB                      = 5
	gemmPanel, gemmBN, gemmBK  = 6, 7, 8 // from one group of sixteen columns to the next, one column, one step of k
	gemmC, gemmLDC             = 9, 10
	gemmBias, gemmRes, gemmLDR = 11, 12, 13
	gemmBatch                  = 14 // three sizes
	gemmSA, gemmSB, gemmSC     = 17, 20, 23
	gemmMany                   = 24 // products of one A side by side: 0, or how many
	gemmOthers                 = 25 // their B, C and Bias
	gemmWords                  = gemmOthers + 3*maxMany
	maxMany                    = 4

	attBatch, attHeads, attM, attS, attD, attE = 0, 1, 2, 3, 4, 5
	attQ, attK, attV, attOut, attMask          = 6, 10, 14, 18, 22 // address, strides of batch, head and row
	attWords                                   = 26

	moveTotal, moveRank, moveDims = 0, 1, 2
	moveFrom, moveTo              = 10, 11
	moveSF, moveST                = 12, 20
	moveWords                     = 28

	embPlaces, embRank, embWidth, embDims = 0, 1, 2, 3
	embOut, embFault                      = 11, 12 // embFault is set to 1 by an index outside its table
	embTable                              = 13     // for each table: rows' address, indices' address, size, wide, strides
	embTableWords                         = 4 + maxAxes
	embTables                             = 4
	embWords                              = embTable + embTables*embTableWords
)
