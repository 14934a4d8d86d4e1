/* Forward and backward of all experts of a layer on a CPU, in fp32. Compiled on the machine where it runs
   (compiled_experts.py); vectors of 16 are split up where the CPU's are shorter.

   All products are sums over k of a[m, k] b[k, n]. What is b is packed 64 columns and 128 k at a time into the nearest cache;
   there it meets 6 rows of a at once, whose 6 x 64 sums are kept in registers. Meanwhile what will be packed next is asked for,
   so weights come from memory while something is computed; and what is finished goes to memory past the caches.

   Rows of one expert form chunks that fit into a core's own cache, and each chunk goes all its way there: gate, up, SwiGLU
   and down, or backwards. Threads take chunks, and then parts of the weights' gradients, as they come: which thread takes
   what, and how many there are, changes no result.

   Legend: N tokens, D width, F expert width, E experts, R routed rows. */
#include "vectors.h"

#include <omp.h>
#ifdef __AVX512F__
#include <immintrin.h>
#endif

#define ROWS 6              /* of a at once */
#define VECTORS 4           /* of b at once */
#define PANEL (16 * VECTORS)
#define DEPTH 128           /* of k at once */
#define CHUNK 512           /* rows at most */
#define SLICE 256           /* rows of a weight's gradient at most */
#define OWN_CACHE (1 << 18) /* floats that a core's own cache has room for beside panels */

typedef struct { /* rows of a matrix; through an index where there is one */
    const float *base;
    size stride;
    const size *index; /* or null */
} view;

typedef struct { /* columns that are multiplied at once: vectors and where each begins */
    size at[VECTORS];
    int count;
} panel;

typedef struct { /* of one thread: packed b, sums of a panel, packed a, and packed what lies between two products */
    float *b, *sums, *a, *inner;
} space;

typedef struct { /* tensors of a layer; those from grad_ND on only for backward */
    size num_experts, width, expert_width;
    const size *rows_per_expert_E, *token_R;
    const float *x_ND, *gate_up_EFD, *down_EDF;
    float *inner_RF, *answers_RD;
    const float *grad_ND, *weights_R;
    float *product_RF, *grad_inner_RF, *grad_weights_R, *grad_rows_RD, *grad_gate_up_EFD, *grad_down_EDF;
} layer;

/* ---- vectors ---- */

/* To memory past the caches, at an address that is a multiple of 64 bytes. */
INLINE void stream(float *to, sixteen values) {
#ifdef __AVX512F__
    _mm512_stream_ps(to, (__m512)values);
#else
    store(to, values);
#endif
}

/* What was streamed is seen by other threads from here on. */
INLINE void finish_streams(void) {
#ifdef __AVX512F__
    _mm_sfence();
#endif
}

static float sum_of(sixteen values) {
    float lanes[16], sum = 0;
    store(lanes, values);
    for (int i = 0; i < 16; i++) sum += lanes[i];
    return sum;
}

/* to[c * to_stride + r] = rows[r][c] for 16 x 16. */
INLINE void transpose(const float *const rows[16], float *to, size to_stride) {
    const places even = {0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23}, odd = even + 8;
    sixteen from[16], next[16];
    for (int r = 0; r < 16; r++) from[r] = load(rows[r]);
    for (int step = 0; step < 4; step++) { /* each interleaves the first with the second half: r and c trade a bit */
        for (int r = 0; r < 8; r++) {
            next[2 * r] = __builtin_shuffle(from[r], from[r + 8], even);
            next[2 * r + 1] = __builtin_shuffle(from[r], from[r + 8], odd);
        }
        memcpy(from, next, sizeof from);
    }
    for (int c = 0; c < 16; c++) store(to + c * to_stride, from[c]);
}

INLINE const float *row_of(view v, size row) { return v.base + (v.index ? v.index[row] : row) * v.stride; }

/* ---- packing ---- */

/* Where a[m, k] of `rows` rows lies: DEPTH of k after one another for each row. */
INLINE size place_in_a(size rows, size m, size k) { return k / DEPTH * rows * DEPTH + m * DEPTH + k % DEPTH; }

/* a from the first `width` columns of rows. */
static void pack_rows(view v, size rows, size width, float *a) {
    for (size k = 0; k < width; k += DEPTH)
        for (size m = 0; m < rows; m++)
            memcpy(a + place_in_a(rows, m, k), row_of(v, m) + k, (width - k < DEPTH ? width - k : DEPTH) * sizeof *a);
}

/* a from the columns from `column` on of `depth` rows: row m of a is column m. */
static void pack_columns(view v, size column, size columns, size depth, float *a) {
    static const float nothing[16];
    for (size k = 0; k < depth; k += 16)
        for (size m = 0; m < columns; m += 16) {
            const float *rows[16];
            for (int i = 0; i < 16; i++) rows[i] = k + i < depth ? row_of(v, k + i) + column + m : nothing;
            transpose(rows, a + place_in_a(columns, m, k), DEPTH); /* as k lies along rows of a */
        }
}

/* b from rows of k, or, transposed, from rows of n. */
INLINE void pack_b(view v, int is_transposed, panel p, size k, size depth, float *b) {
    for (int j = 0; j < p.count; j++)
        for (size i = 0; i < depth; i += is_transposed ? 16 : 1) {
            if (!is_transposed) {
                store(b + i * PANEL + 16 * j, load(row_of(v, k + i) + p.at[j]));
                continue;
            }
            const float *rows[16];
            for (int r = 0; r < 16; r++) rows[r] = v.base + (p.at[j] + r) * v.stride + k + i;
            transpose(rows, b + i * PANEL + 16 * j, PANEL);
        }
}

/* ---- products ---- */

/* to[m, n] = from[m, n] + sum over k of a[m, k] b[k, n], for a few rows of a and vectors of b. */
INLINE void tile(
    const int rows, const int vectors, size depth, const float *a, const float *b, const float *from, float *const *to,
    size to_row, int is_streamed) {
    sixteen sums[ROWS][VECTORS];
    for (int m = 0; m < rows; m++)
        for (int j = 0; j < vectors; j++) sums[m][j] = from ? load(from + m * PANEL + 16 * j) : (sixteen){0};
    for (size k = 0; k < depth; k++) {
        sixteen b_k[VECTORS];
        if (k % 16 == 0)
            for (int m = 0; m < rows; m++) __builtin_prefetch(a + (rows + m) * DEPTH + k);
        for (int j = 0; j < vectors; j++) b_k[j] = load(b + k * PANEL + 16 * j);
#pragma GCC unroll 6
        for (int m = 0; m < rows; m++)
            for (int j = 0; j < vectors; j++) sums[m][j] += a[m * DEPTH + k] * b_k[j];
    }
    for (int m = 0; m < rows; m++)
        for (int j = 0; j < vectors; j++)
            if (is_streamed) stream(to[j] + m * to_row, sums[m][j]);
            else store(to[j] + m * to_row, sums[m][j]);
}

#define TILE(rows, vectors) \
    case (rows) * 8 + (vectors): tile(rows, vectors, depth, a, b, from, to, to_row, is_streamed); break;
#define TILES(rows) TILE(rows, 1) TILE(rows, 2) TILE(rows, 3) TILE(rows, 4)

static void any_tile(
    int rows, int vectors, size depth, const float *a, const float *b, const float *from, float *const *to, size to_row,
    int is_streamed) {
    switch (rows * 8 + vectors) { TILES(1) TILES(2) TILES(3) TILES(4) TILES(5) TILES(6) }
}

typedef struct { /* lines of memory that are asked for little by little */
    view from;
    panel p;
    size k, depth, row, line;
    int is_transposed;
} wish;

static void ask(wish *w, size lines) {
    const size per_row = w->is_transposed ? (w->depth + 15) / 16 : w->p.count;
    const size rows = w->is_transposed ? 16 * w->p.count : w->depth;
    for (; lines > 0 && w->row < rows; lines--) {
        if (w->is_transposed)
            __builtin_prefetch(w->from.base + (w->p.at[w->row / 16] + w->row % 16) * w->from.stride + w->k + 16 * w->line, 0, 2);
        else __builtin_prefetch(row_of(w->from, w->k + w->row) + w->p.at[w->line], 0, 2);
        if (++w->line == per_row) w->line = 0, w->row++;
    }
}

/* All rows of a times a panel of b. The sums come to `to`, past the caches, or stay in the thread's where it is null. */
static void multiply(
    space s, const float *a, size rows, size depth, view b, int is_transposed, panel p, const panel *next, float *to,
    size to_row) {
    for (size k = 0; k < depth; k += DEPTH) {
        size part = depth - k < DEPTH ? depth - k : DEPTH, groups = (rows + ROWS - 1) / ROWS;
        int is_last = k + part == depth, is_streamed = is_last && to;
        wish w = {b, is_last && next ? *next : p, is_last ? 0 : k + DEPTH, 0, 0, 0, is_transposed};
        w.depth = is_last && !next ? 0 : depth - w.k < DEPTH ? depth - w.k : DEPTH;
        size lines = (w.depth * w.p.count + groups - 1) / groups;
        pack_b(b, is_transposed, p, k, part, s.b);
        for (size m = 0; m < rows; m += ROWS) {
            float *sums = s.sums + m * PANEL, *places[VECTORS];
            for (int j = 0; j < p.count; j++) places[j] = is_streamed ? to + m * to_row + p.at[j] : sums + 16 * j;
            ask(&w, lines);
            any_tile(
                rows - m < ROWS ? rows - m : ROWS, p.count, part, a + place_in_a(rows, m, k), s.b, k ? sums : 0, places,
                is_streamed ? to_row : PANEL, is_streamed);
        }
    }
}

/* Columns from `column` on, as many as there are up to a panel. */
INLINE panel panel_at(size column, size width) {
    panel p = {.count = 0};
    while (p.count < VECTORS && column + 16 * p.count < width) p.at[p.count] = column + 16 * p.count, p.count++;
    return p;
}

/* The same columns of gate and up beside each other, half a panel each. */
INLINE panel both_at(size column, size width) {
    panel p = {.count = 0};
    for (size c = column; c < width && c < column + PANEL / 2; c += 16) p.at[p.count++] = c;
    for (int j = 0, count = p.count; j < count; j++) p.at[p.count++] = width + p.at[j];
    return p;
}

/* to = a b, panel by panel. */
static void multiply_all(
    space s, const float *a, size rows, size depth, view b, int is_transposed, float *to, size width) {
    for (size column = 0; column < width; column += PANEL) {
        panel next = panel_at(column + PANEL, width);
        multiply(s, a, rows, depth, b, is_transposed, panel_at(column, width), next.count ? &next : 0, to, width);
    }
}

/* ---- experts ---- */

/* Rows from `begin` on of expert e: inner and answers. */
static void ask_expert(const layer *l, space s, size e, size begin, size rows) {
    size width = l->expert_width;
    view x = {l->x_ND, l->width, l->token_R + begin}, gate_up = {l->gate_up_EFD + e * 2 * width * l->width, l->width};
    view down = {l->down_EDF + e * l->width * width, width};
    pack_rows(x, rows, l->width, s.a);
    for (size column = 0; column < width; column += PANEL / 2) {
        panel p = both_at(column, width), next = both_at(column + PANEL / 2, width);
        multiply(s, s.a, rows, l->width, gate_up, 1, p, next.count ? &next : 0, 0, 0);
        for (size m = 0; m < rows; m++)
            for (int j = 0, half = p.count / 2; j < half; j++) {
                sixteen gate = load(s.sums + m * PANEL + 16 * j), up = load(s.sums + m * PANEL + 16 * (j + half));
                float *inner = l->inner_RF + (begin + m) * 2 * width;
                stream(inner + p.at[j], gate), stream(inner + p.at[j + half], up);
                store(s.inner + place_in_a(rows, m, p.at[j]), gate * sigmoid(gate) * up);
            }
    }
    multiply_all(s, s.inner, rows, width, down, 1, l->answers_RD + begin * l->width, l->width);
}

/* Gradients of rows from `begin` on of expert e, and what those of its weights are made of. */
static void ask_back(const layer *l, space s, size e, size begin, size rows) {
    size width = l->expert_width;
    view grad = {l->grad_ND, l->width, l->token_R + begin}, down = {l->down_EDF + e * l->width * width, width};
    view gate_up = {l->gate_up_EFD + e * 2 * width * l->width, l->width};
    pack_rows(grad, rows, l->width, s.a);
    memset(l->grad_weights_R + begin, 0, rows * sizeof(float));
    for (size column = 0; column < width; column += PANEL) {
        panel p = panel_at(column, width), next = panel_at(column + PANEL, width);
        multiply(s, s.a, rows, l->width, down, 0, p, next.count ? &next : 0, 0, 0);
        for (size m = 0; m < rows; m++) {
            size row = begin + m;
            float weight = l->weights_R[row], *product = l->product_RF + row * width;
            float *inner = l->inner_RF + row * 2 * width, *grad_inner = l->grad_inner_RF + row * 2 * width;
            sixteen grad_weight = {0};
            for (int j = 0; j < p.count; j++) {
                size at = p.at[j];
                __builtin_prefetch(inner + 8 * 2 * width + at), __builtin_prefetch(inner + 8 * 2 * width + width + at);
                sixteen gate = load(inner + at), up = load(inner + width + at), share = sigmoid(gate), activated = gate * share;
                sixteen grad_product = load(s.sums + m * PANEL + 16 * j), weighted = grad_product * weight;
                sixteen grad_up = weighted * activated, grad_gate = weighted * up * share * (1.0f + gate - activated);
                grad_weight += grad_product * activated * up;
                stream(product + at, activated * up * weight);
                stream(grad_inner + at, grad_gate), stream(grad_inner + width + at, grad_up);
                store(s.inner + place_in_a(rows, m, at), grad_gate), store(s.inner + place_in_a(rows, m, width + at), grad_up);
            }
            l->grad_weights_R[row] += sum_of(grad_weight);
        }
    }
    multiply_all(s, s.inner, rows, 2 * width, gate_up, 0, l->grad_rows_RD + begin * l->width, l->width);
}

/* `columns` rows of the gradient of a weight: the sum over an expert's rows of left[r, m] right[r, n]. */
static void learn(space s, view left, size column, size columns, size depth, view right, float *to, size width) {
    if (!depth) {
        memset(to + column * width, 0, columns * width * sizeof *to);
        return;
    }
    pack_columns(left, column, columns, depth, s.a);
    multiply_all(s, s.a, columns, depth, right, 0, to + column * width, width);
}

/* ---- work and who does it ---- */

static size least(size a, size b) { return a < b ? a : b; }

/* Rows of an expert at once: what fits into a core's own cache. */
static size rows_at_once(const layer *l) {
    size widest = l->width > 2 * l->expert_width ? l->width : 2 * l->expert_width, fits = OWN_CACHE / widest;
    return fits < 64 ? 64 : least(fits, CHUNK);
}

/* Rows of a weight's gradient at once, where `depth` rows are summed up. */
static size slice_at_once(size depth) {
    size fits = OWN_CACHE / (depth + 1) / 16 * 16;
    return fits < 64 ? 64 : least(fits, SLICE);
}

static size parts_of(size count, size at_once) { return (count + at_once - 1) / at_once; }

/* Floats that each thread needs to work with, where the fullest expert has so many rows. */
size space_per_thread(const layer *l, size most_rows) {
    size chunk = rows_at_once(l), widest = l->width > 2 * l->expert_width ? l->width : 2 * l->expert_width;
    size packed = chunk * (widest + DEPTH), sliced = OWN_CACHE + SLICE * DEPTH, fullest = 64 * (most_rows + DEPTH);
    if (sliced > packed) packed = sliced;
    if (fullest > packed) packed = fullest;
    return DEPTH * PANEL + CHUNK * PANEL + packed + chunk * (widest + DEPTH) + 64;
}

static space space_of(const layer *l, float *floats, size per_thread, int thread) {
    size chunk = rows_at_once(l), widest = l->width > 2 * l->expert_width ? l->width : 2 * l->expert_width;
    float *begin = floats + thread * per_thread;
    space s = {.b = begin, .sums = begin + DEPTH * PANEL, .inner = begin + (DEPTH + CHUNK) * PANEL};
    s.a = s.inner + chunk * (widest + DEPTH);
    return s;
}

typedef void (*row_work)(const layer *, space, size, size, size);

/* Every chunk of rows, as threads become free. */
static void for_chunks(const layer *l, space s, row_work work) {
    size chunk = rows_at_once(l), num_chunks = 0;
    for (size e = 0; e < l->num_experts; e++) num_chunks += parts_of(l->rows_per_expert_E[e], chunk);
#pragma omp for schedule(dynamic, 1) nowait
    for (size n = 0; n < num_chunks; n++) {
        size e = 0, begin = 0, part = n;
        for (;; e++) {
            size parts = parts_of(l->rows_per_expert_E[e], chunk);
            if (part < parts) break;
            part -= parts, begin += l->rows_per_expert_E[e];
        }
        size rows = l->rows_per_expert_E[e], parts = parts_of(rows, chunk), first = rows * part / parts;
        work(l, s, e, begin + first, rows * (part + 1) / parts - first);
    }
    finish_streams();
#pragma omp barrier
}

/* Every part of the gradients of weights. */
static void for_slices(const layer *l, space s) {
    size num_slices = 0, width = l->expert_width;
    for (size e = 0; e < l->num_experts; e++) {
        size slice = slice_at_once(l->rows_per_expert_E[e]);
        num_slices += parts_of(l->width, slice) + parts_of(2 * width, slice);
    }
#pragma omp for schedule(dynamic, 1)
    for (size n = 0; n < num_slices; n++) {
        size e = 0, begin = 0, part = n, slice, of_down;
        for (;; e++) {
            slice = slice_at_once(l->rows_per_expert_E[e]), of_down = parts_of(l->width, slice);
            size parts = of_down + parts_of(2 * width, slice);
            if (part < parts) break;
            part -= parts, begin += l->rows_per_expert_E[e];
        }
        size depth = l->rows_per_expert_E[e];
        view x = {l->x_ND, l->width, l->token_R + begin}, grad = {l->grad_ND, l->width, l->token_R + begin};
        view product = {l->product_RF + begin * width, width}, grad_inner = {l->grad_inner_RF + begin * 2 * width, 2 * width};
        if (part < of_down) {
            size column = part * slice, columns = least(slice, l->width - column);
            learn(s, grad, column, columns, depth, product, l->grad_down_EDF + e * l->width * width, width);
        } else {
            size column = (part - of_down) * slice, columns = least(slice, 2 * width - column);
            learn(s, grad_inner, column, columns, depth, x, l->grad_gate_up_EFD + e * 2 * width * l->width, l->width);
        }
    }
    finish_streams();
}

/* inner and answers of every row that has an expert. */
void forward(const layer *l, float *floats, size per_thread, int num_threads) {
#pragma omp parallel num_threads(num_threads)
    for_chunks(l, space_of(l, floats, per_thread, omp_get_thread_num()), ask_expert);
}

/* All gradients from what arrives at tokens. */
void backward(const layer *l, float *floats, size per_thread, int num_threads) {
#pragma omp parallel num_threads(num_threads)
    {
        space s = space_of(l, floats, per_thread, omp_get_thread_num());
        for_chunks(l, s, ask_back);
        for_slices(l, s);
    }
}
