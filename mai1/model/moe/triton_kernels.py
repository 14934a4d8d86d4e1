"""The experts' kernels in Triton: grouped matrix products that gather tokens as they read them and apply SwiGLU as they write.

Imported only where they are asked for: Triton comes with torch for GPUs. A program computes one tile of rows of one
expert; which, it finds from the counts on the device, so that no host waits for them. Programs beyond the last tile do
nothing. No sum is made by several programs: results are the same every time.

Legend: N tokens, D width, F expert width, E experts held here, K choices, R routed rows; pointers carry the shape of what
they point to.
"""

import triton
import triton.language as tl


@triton.jit
def _expert_rows(rows_per_expert_E, expert, NUM_EXPERTS: tl.constexpr):
    """The first row of an expert, and the row after its last."""
    expert_E = tl.arange(0, triton.next_power_of_2(NUM_EXPERTS))
    rows_E = tl.load(rows_per_expert_E + expert_E, mask=expert_E < NUM_EXPERTS, other=0).to(tl.int32)
    return tl.sum(tl.where(expert_E < expert, rows_E, 0)), tl.sum(tl.where(expert_E <= expert, rows_E, 0))


@triton.jit
def _tile_of(rows_per_expert_E, tile, NUM_EXPERTS: tl.constexpr, ROWS: tl.constexpr):
    """Expert of a tile, its first row, and the row after the expert's last; beyond the last tile no expert is that high."""
    expert_E = tl.arange(0, triton.next_power_of_2(NUM_EXPERTS))
    rows_E = tl.load(rows_per_expert_E + expert_E, mask=expert_E < NUM_EXPERTS, other=0).to(tl.int32)
    tiles_E = (rows_E + ROWS - 1) // ROWS
    expert = tl.sum((tl.cumsum(tiles_E) <= tile).to(tl.int32))
    first_tile = tl.sum(tl.where(expert_E < expert, tiles_E, 0))
    first_row = tl.sum(tl.where(expert_E < expert, rows_E, 0))
    return expert, first_row + (tile - first_tile) * ROWS, tl.sum(tl.where(expert_E <= expert, rows_E, 0))


@triton.jit
def _load(pointers, index, LENGTH: tl.constexpr, STEP: tl.constexpr):
    """With a mask only where steps do not end with the length."""
    if LENGTH % STEP == 0:
        return tl.load(pointers)
    return tl.load(pointers, mask=index < LENGTH, other=0.0)


@triton.jit
def ask_gate_up(
    x_ND,
    token_R,
    gate_up_EFD,
    rows_per_expert_E,
    inner_RF,
    product_RF,
    NUM_EXPERTS: tl.constexpr,
    D: tl.constexpr,
    F: tl.constexpr,
    ROWS: tl.constexpr,
    COLS: tl.constexpr,
    DEPTH: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """`inner = x gate_up'` and `product = silu(gate) * up` of gathered tokens."""
    num_across: tl.constexpr = triton.cdiv(F, COLS)
    program = tl.program_id(0)
    expert, first, end = _tile_of(rows_per_expert_E, program // num_across, NUM_EXPERTS, ROWS)
    if expert >= NUM_EXPERTS:
        return
    row, col, depth = first + tl.arange(0, ROWS), program % num_across * COLS + tl.arange(0, COLS), tl.arange(0, DEPTH)
    token = tl.load(token_R + row, mask=row < end, other=0)
    x_at = x_ND + token.to(tl.int64)[:, None] * D + depth[None, :]
    gate_at = gate_up_EFD + expert.to(tl.int64) * (2 * F * D) + (col % F)[None, :] * D + depth[:, None]
    gate, up = tl.zeros((ROWS, COLS), tl.float32), tl.zeros((ROWS, COLS), tl.float32)
    for start in range(0, D, DEPTH):
        x = _load(x_at + start, (start + depth)[None, :], D, DEPTH)
        gate = tl.dot(x, _load(gate_at + start, (start + depth)[:, None], D, DEPTH), gate, input_precision=PRECISION)
        up = tl.dot(
            x, _load(gate_at + F * D + start, (start + depth)[:, None], D, DEPTH), up, input_precision=PRECISION
        )
    is_mine = (row < end)[:, None] & (col < F)[None, :]
    inner_at = inner_RF + row.to(tl.int64)[:, None] * (2 * F) + col[None, :]
    gate, up = gate.to(inner_RF.dtype.element_ty), up.to(inner_RF.dtype.element_ty)  # what the backward will read
    tl.store(inner_at, gate, mask=is_mine)
    tl.store(inner_at + F, up, mask=is_mine)
    gate, up = gate.to(tl.float32), up.to(tl.float32)
    product = (gate * tl.sigmoid(gate) * up).to(product_RF.dtype.element_ty)
    tl.store(product_RF + row.to(tl.int64)[:, None] * F + col[None, :], product, mask=is_mine)


@triton.jit
def multiply_rows(
    rows_RX,
    weight_EXX,
    rows_per_expert_E,
    answers_RX,
    NUM_EXPERTS: tl.constexpr,
    WIDTH_IN: tl.constexpr,
    WIDTH_OUT: tl.constexpr,
    STRIDE_IN: tl.constexpr,
    STRIDE_OUT: tl.constexpr,
    ROWS: tl.constexpr,
    COLS: tl.constexpr,
    DEPTH: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """Every row times its expert's matrix, whose element (i, o) lies at `i * STRIDE_IN + o * STRIDE_OUT`."""
    num_across: tl.constexpr = triton.cdiv(WIDTH_OUT, COLS)
    program = tl.program_id(0)
    expert, first, end = _tile_of(rows_per_expert_E, program // num_across, NUM_EXPERTS, ROWS)
    if expert >= NUM_EXPERTS:
        return
    row, col, depth = first + tl.arange(0, ROWS), program % num_across * COLS + tl.arange(0, COLS), tl.arange(0, DEPTH)
    row_at = rows_RX + tl.minimum(row, end - 1).to(tl.int64)[:, None] * WIDTH_IN + depth[None, :]
    weight_at = weight_EXX + expert.to(tl.int64) * (WIDTH_IN * WIDTH_OUT)
    weight_at += (col % WIDTH_OUT)[None, :] * STRIDE_OUT + depth[:, None] * STRIDE_IN
    answers = tl.zeros((ROWS, COLS), tl.float32)
    for start in range(0, WIDTH_IN, DEPTH):
        rows = _load(row_at + start, (start + depth)[None, :], WIDTH_IN, DEPTH)
        weight = _load(weight_at + start * STRIDE_IN, (start + depth)[:, None], WIDTH_IN, DEPTH)
        answers = tl.dot(rows, weight, answers, input_precision=PRECISION)
    answer_at = answers_RX + row.to(tl.int64)[:, None] * WIDTH_OUT + col[None, :]
    is_mine = (row < end)[:, None] & (col < WIDTH_OUT)[None, :]
    tl.store(answer_at, answers.to(answers_RX.dtype.element_ty), mask=is_mine)


@triton.jit
def sum_choices(
    rows_RD,
    row_NK,
    weights_NK,
    rows_per_expert_E,
    y_ND,
    NUM_EXPERTS: tl.constexpr,
    TOP_K: tl.constexpr,
    D: tl.constexpr,
    IS_WEIGHTED: tl.constexpr,
    IS_FULL: tl.constexpr,
    COLS: tl.constexpr,
):
    """`sum_k weights[n, k] * rows[row[n, k]]` of one token; rows of no expert count as 0 and are not read."""
    num_across: tl.constexpr = triton.cdiv(D, COLS)
    token, col = tl.program_id(0) // num_across, tl.program_id(0) % num_across * COLS + tl.arange(0, COLS)
    is_mine = col < D
    if not IS_FULL:
        _, num_used = _expert_rows(rows_per_expert_E, NUM_EXPERTS - 1, NUM_EXPERTS)
    y = tl.zeros((COLS,), tl.float32)
    for choice in tl.static_range(TOP_K):
        row = tl.load(row_NK + token.to(tl.int64) * TOP_K + choice)
        is_read = is_mine if IS_FULL else col < tl.where(row < num_used, D, 0)
        rows = tl.load(rows_RD + row * D + col, mask=is_read, other=0.0).to(tl.float32)
        if IS_WEIGHTED:
            rows *= tl.load(weights_NK + token.to(tl.int64) * TOP_K + choice).to(tl.float32)
        y += rows
    tl.store(y_ND + token.to(tl.int64) * D + col, y.to(y_ND.dtype.element_ty), mask=is_mine)


@triton.jit
def pass_down_backward(
    grad_ND,
    token_R,
    weights_R,
    down_EDF,
    rows_per_expert_E,
    inner_RF,
    grad_inner_RF,
    product_RF,
    grad_weights_CR,
    num_rows,
    NUM_EXPERTS: tl.constexpr,
    D: tl.constexpr,
    F: tl.constexpr,
    ROWS: tl.constexpr,
    COLS: tl.constexpr,
    DEPTH: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """With G what arrives at the tokens: `grad_inner`, `w product`, and of `grad_w = product . (G down)` each tile's share."""
    num_across: tl.constexpr = triton.cdiv(F, COLS)
    program = tl.program_id(0)
    expert, first, end = _tile_of(rows_per_expert_E, program // num_across, NUM_EXPERTS, ROWS)
    if expert >= NUM_EXPERTS:
        return
    across = program % num_across
    row, col, depth = first + tl.arange(0, ROWS), across * COLS + tl.arange(0, COLS), tl.arange(0, DEPTH)
    token = tl.load(token_R + row, mask=row < end, other=0)
    grad_at = grad_ND + token.to(tl.int64)[:, None] * D + depth[None, :]
    down_at = down_EDF + expert.to(tl.int64) * (D * F) + (col % F)[None, :] + depth[:, None] * F
    grad_product = tl.zeros((ROWS, COLS), tl.float32)  # but for w
    for start in range(0, D, DEPTH):
        grad = _load(grad_at + start, (start + depth)[None, :], D, DEPTH)
        down = _load(down_at + start * F, (start + depth)[:, None], D, DEPTH)
        grad_product = tl.dot(grad, down, grad_product, input_precision=PRECISION)
    weight = tl.load(weights_R + row, mask=row < end, other=0.0).to(tl.float32)[:, None]
    # what follows reads twice and writes three times as much as the product: half of the columns at a time fit registers
    halves = tl.split(tl.permute(tl.reshape(grad_product, (ROWS, 2, COLS // 2)), (0, 2, 1)))
    grad_weight = tl.zeros((ROWS,), tl.float32)
    for half in tl.static_range(2):
        grad_product, col = halves[half], across * COLS + half * (COLS // 2) + tl.arange(0, COLS // 2)
        is_mine = (row < end)[:, None] & (col < F)[None, :]
        at = row.to(tl.int64)[:, None] * (2 * F) + col[None, :]
        gate = tl.load(inner_RF + at, mask=is_mine, other=0.0).to(tl.float32)
        up = tl.load(inner_RF + at + F, mask=is_mine, other=0.0).to(tl.float32)
        sigmoid = tl.sigmoid(gate)
        product = gate * sigmoid * up
        grad_weight += tl.sum(tl.where(is_mine, product * grad_product, 0.0), axis=1)
        product_at = product_RF + row.to(tl.int64)[:, None] * F + col[None, :]
        tl.store(product_at, (weight * product).to(product_RF.dtype.element_ty), mask=is_mine)
        grad_product *= weight
        grad_up = grad_product * gate * sigmoid
        tl.store(grad_inner_RF + at + F, grad_up.to(grad_inner_RF.dtype.element_ty), mask=is_mine)
        grad_gate = grad_product * up * sigmoid * (1 + gate * (1 - sigmoid))
        tl.store(grad_inner_RF + at, grad_gate.to(grad_inner_RF.dtype.element_ty), mask=is_mine)
    tl.store(grad_weights_CR + across.to(tl.int64) * num_rows + row, grad_weight, mask=row < end)


@triton.jit
def sum_outer_products(
    left_RX,
    right_RX,
    token_R,
    rows_per_expert_E,
    grad_EXX,
    NUM_EXPERTS: tl.constexpr,
    LEFT: tl.constexpr,
    RIGHT: tl.constexpr,
    GATHERS_LEFT: tl.constexpr,
    ROWS: tl.constexpr,
    COLS: tl.constexpr,
    DEPTH: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """Of each expert `left' right` over its rows, `[LEFT, RIGHT]`; one of the two is of tokens, and gathered."""
    num_across: tl.constexpr = triton.cdiv(RIGHT, COLS)
    num_tiles: tl.constexpr = triton.cdiv(LEFT, ROWS) * num_across
    expert, tile = tl.program_id(0) // num_tiles, tl.program_id(0) % num_tiles
    first, end = _expert_rows(rows_per_expert_E, expert, NUM_EXPERTS)
    i, j = tile // num_across * ROWS + tl.arange(0, ROWS), tile % num_across * COLS + tl.arange(0, COLS)
    grad = tl.zeros((ROWS, COLS), tl.float32)
    for start in range(first, end, DEPTH):
        row = start + tl.arange(0, DEPTH)
        token = tl.load(token_R + row, mask=row < end, other=0)
        row = row.to(tl.int64)
        left_row, right_row = (token, row) if GATHERS_LEFT else (row, token)
        left = tl.load(left_RX + left_row[None, :] * LEFT + (i % LEFT)[:, None], mask=(row < end)[None, :], other=0.0)
        right = tl.load(
            right_RX + right_row[:, None] * RIGHT + (j % RIGHT)[None, :], mask=(row < end)[:, None], other=0.0
        )
        grad = tl.dot(left, right, grad, input_precision=PRECISION)
    grad_at = grad_EXX + expert.to(tl.int64) * (LEFT * RIGHT) + i.to(tl.int64)[:, None] * RIGHT + j[None, :]
    tl.store(grad_at, grad.to(grad_EXX.dtype.element_ty), mask=(i < LEFT)[:, None] & (j < RIGHT)[None, :])
