/* One step of generation on a CPU: the blocks of the model for one new token of each row. Compiled on the machine where
   it runs (compiled_step.py); vectors of 16 are split up where the CPU's are shorter.

   Weights are fp32, or bf16 where that holds all of them exactly; everything else is fp32.

   A step is bound by reading weights. So each matrix is read once, four of its rows at a time, asked for before it is needed,
   while the rows that are multiplied stay in the nearest caches; and nothing is called between two products.

   Legend: B rows, D width, X and Y widths before and after a matrix, C head channels, E experts, K choices, F inner width. */
#include "vectors.h"

#include <math.h>
#include <omp.h>
#include <stdlib.h>

#define ROWS 4               /* of x at once: 4 x 4 sums are kept in registers */
#define COLUMNS 4            /* of y at once: as many rows of the matrix */
#define AHEAD 2              /* tiles: how early the matrix is asked for */
#define THREAD_BYTES (1<<18) /* what a thread must have to read before it is worth waking */

typedef float eight __attribute__((vector_size(32)));
typedef float four __attribute__((vector_size(16)));
typedef uint32_t bits __attribute__((vector_size(64)));
typedef uint16_t halves __attribute__((vector_size(32)));

typedef struct { /* matrices are [Y, X], all fp32 or all bf16; what a layer does not have is null */
    const float *attention_norm, *query_norm, *key_norm, *ffn_norm, *router, *selection_bias;
    const void *query, *key, *value, *output, *gate_up, *down, *dense_gate_up, *dense_down;
    float *keys, *values; /* [B, kv heads, capacity, C] */
    size dense_width;
} layer;

typedef struct {
    const layer *layers;
    const float *final_norm;
    const void *unembedding;
    size is_bf16, num_layers, vocabulary, width, num_heads, num_kv_heads, head_dim, norms_heads;
    size num_experts, top_k, expert_width, is_softmax, normalizes_weights, num_groups, top_groups;
    float eps, scaling_factor;
} model;

/* ---- vectors ---- */

/* Sixteen of a matrix, from an element on: bf16 is the upper half of fp32. */
INLINE sixteen load_weights(const void *matrix, size element, const int is_bf16) {
    if (!is_bf16) return load((const float *)matrix + element);
    halves upper;
    memcpy(&upper, (const uint16_t *)matrix + element, sizeof upper);
    return (sixteen)(__builtin_convertvector(upper, bits) << 16);
}

/* The sums of the lanes of a, b, c and d. */
INLINE four sums(sixteen a, sixteen b, sixteen c, sixteen d) {
    const places even = {0, 16, 1, 17, 4, 20, 5, 21, 8, 24, 9, 25, 12, 28, 13, 29}, odd = even + 2;
    const places first = {0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29}, second = first + 2;
    sixteen ab = __builtin_shuffle(a, b, even) + __builtin_shuffle(a, b, odd);
    sixteen cd = __builtin_shuffle(c, d, even) + __builtin_shuffle(c, d, odd);
    sixteen abcd = __builtin_shuffle(ab, cd, first) + __builtin_shuffle(ab, cd, second);
    eight halves[2];
    memcpy(halves, &abcd, sizeof halves);
    eight half = halves[0] + halves[1];
    four quarters[2];
    memcpy(quarters, &half, sizeof quarters);
    return quarters[0] + quarters[1];
}

static float dot(const float *a, const float *b, size width) {
    sixteen sum = {0};
    for (size i = 0; i < width; i += 16) sum += load(a + i) * load(b + i);
    return sums(sum, sum, sum, sum)[0];
}

/* ---- products ---- */

/* COLUMNS columns of `num_rows` rows of y; a constant, so that every sum has a register. */
INLINE void tile(
    const float **x, const void *matrix, float **y, size width, size column, const int num_rows, const int is_bf16) {
    sixteen sum[ROWS][COLUMNS] = {0};
    for (size i = 0; i < width; i += 16)
        for (int c = 0; c < COLUMNS; c++) {
            size element = (column + c) * width + i, later = element + AHEAD * COLUMNS * width;
            sixteen weights = load_weights(matrix, element, is_bf16);
            __builtin_prefetch((const char *)matrix + later * (is_bf16 ? 2 : 4));
            for (int r = 0; r < num_rows; r++) sum[r][c] += load(x[r] + i) * weights;
        }
    for (int r = 0; r < num_rows; r++) {
        four done = sums(sum[r][0], sum[r][1], sum[r][2], sum[r][3]);
        memcpy(y[r] + column, &done, sizeof done);
    }
}

/* Columns `begin` to `end` of some rows times one matrix. */
INLINE void product_of(
    const float **x, const void *matrix, float **y, size num_rows, size width, size begin, size end, const int is_bf16) {
    size column = begin;
    for (; column + COLUMNS <= end; column += COLUMNS) {
        size r = 0;
        for (; r + ROWS <= num_rows; r += ROWS) tile(x + r, matrix, y + r, width, column, ROWS, is_bf16);
        switch (num_rows - r) {
            case 1: tile(x + r, matrix, y + r, width, column, 1, is_bf16); break;
            case 2: tile(x + r, matrix, y + r, width, column, 2, is_bf16); break;
            case 3: tile(x + r, matrix, y + r, width, column, 3, is_bf16); break;
        }
    }
    for (; column < end; column++)
        for (size r = 0; r < num_rows; r++) {
            sixteen sum = {0};
            for (size i = 0; i < width; i += 16) sum += load(x[r] + i) * load_weights(matrix, column * width + i, is_bf16);
            y[r][column] = sums(sum, sum, sum, sum)[0];
        }
}

static void product(
    const float **x, const void *matrix, float **y, size num_rows, size width, size begin, size end, int is_bf16) {
    if (is_bf16) product_of(x, matrix, y, num_rows, width, begin, end, 1);
    else product_of(x, matrix, y, num_rows, width, begin, end, 0);
}

/* y[r] = matrices[choice[r]] x[r / share]; the one matrix for all where there are no choices. Threads divide the columns. */
static void multiply(
    const float *x, const void *matrices, float *y, size num_rows, size x_width, size y_width, int is_bf16, const size *choice,
    size share, size num_matrices) {
    size num_read = num_matrices < num_rows ? num_matrices : num_rows, bytes = x_width * y_width * (is_bf16 ? 2 : 4);
    int num_threads = num_read * bytes / THREAD_BYTES + 1, most = omp_get_max_threads();
    if (num_threads > most) num_threads = most;
#pragma omp parallel num_threads(num_threads) if (num_threads > 1)
    {
        size num_tiles = y_width / COLUMNS, part = omp_get_thread_num(), num_parts = omp_get_num_threads();
        size begin = num_tiles * part / num_parts * COLUMNS;
        size end = part + 1 == num_parts ? y_width : num_tiles * (part + 1) / num_parts * COLUMNS;
        const float *x_of[num_rows];
        float *y_of[num_rows];
        for (size m = 0; m < num_matrices; m++) {
            size n = 0;
            for (size r = 0; r < num_rows; r++)
                if (!choice || choice[r] == m) {
                    x_of[n] = x + r / share * x_width;
                    y_of[n++] = y + r * y_width;
                }
            product(x_of, (const char *)matrices + m * bytes, y_of, n, x_width, begin, end, is_bf16);
        }
    }
}

static void linear(const float *x, const void *matrix, float *y, size num_rows, size x_width, size y_width, int is_bf16) {
    multiply(x, matrix, y, num_rows, x_width, y_width, is_bf16, NULL, 1, 1);
}

/* ---- parts of a block ---- */

static void normalize(const float *x, const float *weight, float *y, size num_rows, size width, float eps) {
    for (size r = 0; r < num_rows; r++, x += width, y += width) {
        float inverse = 1.0f / sqrtf(dot(x, x, width) / width + eps);
        for (size i = 0; i < width; i += 16) store(y + i, load(x + i) * inverse * load(weight + i));
    }
}

static void add(float *x, const float *y, size count, float factor) {
    for (size i = 0; i < count; i += 16) store(x + i, load(x + i) + load(y + i) * factor);
}

/* Channel pairs (p, p + C/2) of each head by the row's angles, given as C cosines and C signed sines (rope.py). */
static void rotate(float *heads, const float *cosine, const float *sine, size num_heads, size head_dim) {
    size half = head_dim / 2;
    for (size h = 0; h < num_heads; h++, heads += head_dim)
        for (size p = 0; p < half; p++) {
            float first = heads[p], second = heads[p + half];
            heads[p] = first * cosine[p] + second * sine[p];
            heads[p + half] = second * cosine[p + half] + first * sine[p + half];
        }
}

/* Softmax in place; returns what is left to divide by. */
static float exponentials(float *scores, size count) {
    float largest = scores[0], sum = 0;
    for (size s = 1; s < count; s++) largest = scores[s] > largest ? scores[s] : largest;
    for (size s = 0; s < count; s += 16) {
        float part[16] = {0};
        size num = count - s < 16 ? count - s : 16;
        memcpy(part, scores + s, num * sizeof(float));
        store(part, exponential(load(part) - largest));
        for (size i = 0; i < num; i++) sum += part[i];
        memcpy(scores + s, part, num * sizeof(float));
    }
    return sum;
}

/* The queries that share one head of keys and values, [count, C]. */
static void attend(
    const float *queries, const float *keys, const float *values, float *mixed, float *scores, size num_queries,
    size head_dim, size count) {
    float *scores_of[num_queries];
    const float *query_of[num_queries];
    for (size q = 0; q < num_queries; q++) scores_of[q] = scores + q * count, query_of[q] = queries + q * head_dim;
    product(query_of, keys, scores_of, num_queries, head_dim, 0, count, 0);
    for (size q = 0; q < num_queries; q++) {
        float scale = 1.0f / sqrtf(head_dim), *answer = mixed + q * head_dim;
        for (size s = 0; s < count; s++) scores_of[q][s] *= scale;
        float sum = exponentials(scores_of[q], count);
        for (size i = 0; i < head_dim; i += 16) {
            sixteen total = {0};
            for (size s = 0; s < count; s++) total += load(values + s * head_dim + i) * scores_of[q][s];
            store(answer + i, total / sum);
        }
    }
}

/* Whether `value` is among the `most` largest, of equal ones the first. */
static int is_among(const float *values, size count, size value, size most) {
    size before = 0;
    for (size i = 0; i < count; i++) before += values[i] > values[value] || (values[i] == values[value] && i < value);
    return before < most;
}

/* Experts and weights of one token from its logits, as router.py has it. */
static void choose(const model *m, const layer *l, float *logits, size *experts, float *weights) {
    size num_experts = m->num_experts, in_group = num_experts / m->num_groups, k = 0;
    float scores[num_experts], judged[num_experts], groups[m->num_groups], sum = 0;
    float divisor = m->is_softmax ? exponentials(logits, num_experts) : 1;
    for (size e = 0; e < num_experts; e++) {
        scores[e] = m->is_softmax ? logits[e] / divisor : 1.0f / (1.0f + expf(-logits[e]));
        judged[e] = scores[e] + (l->selection_bias ? l->selection_bias[e] : 0);
    }
    for (size g = 0; g < m->num_groups && m->num_groups > 1; g++) {
        groups[g] = 0;
        for (size e = 0; e < in_group; e++)
            if (is_among(judged + g * in_group, in_group, e, 2)) groups[g] += judged[g * in_group + e];
    }
    for (size e = 0; e < num_experts && m->num_groups > 1; e++)
        if (!is_among(groups, m->num_groups, e / in_group, m->top_groups)) judged[e] = -INFINITY;
    for (size e = 0; e < num_experts && k < m->top_k; e++) /* of what is no number more would be among them */
        if (is_among(judged, num_experts, e, m->top_k)) experts[k] = e, weights[k++] = scores[e];
    for (k = 0; k < m->top_k; k++) sum += weights[k];
    for (k = 0; k < m->top_k; k++)
        weights[k] = weights[k] / (m->normalizes_weights ? sum + 1e-20f : 1) * m->scaling_factor;
}

/* silu(gate) * up, to where the rows of gate and up begin, one after the other. */
static void activate(float *gate_up, size num_rows, size width) {
    for (size r = 0; r < num_rows; r++) {
        float *gate = gate_up + r * 2 * width, *to = gate_up + r * width;
        for (size i = 0; i < width; i += 16) {
            sixteen x = load(gate + i);
            store(to + i, x / (1.0f + exponential(-x)) * load(gate + width + i));
        }
    }
}

/* ---- the model ---- */

static void mix_positions(
    const model *m, const layer *l, float *x, float *work, size num_rows, const float *cosines, const float *sines,
    const size *first, size length, size capacity) {
    size head_dim = m->head_dim, query_width = m->num_heads * head_dim, kv_width = m->num_kv_heads * head_dim;
    size shared_by = m->num_heads / m->num_kv_heads;
    float *normed = work, *query = normed + num_rows * m->width, *mixed = query + num_rows * query_width;
    float *key = mixed + num_rows * query_width, *value = key + num_rows * kv_width, *scores = value + num_rows * kv_width;
    normalize(x, l->attention_norm, normed, num_rows, m->width, m->eps);
    linear(normed, l->query, query, num_rows, m->width, query_width, m->is_bf16);
    linear(normed, l->key, key, num_rows, m->width, kv_width, m->is_bf16);
    linear(normed, l->value, value, num_rows, m->width, kv_width, m->is_bf16);
    if (l->query_norm) {
        size query_norm_width = m->norms_heads ? head_dim : query_width, key_norm_width = m->norms_heads ? head_dim : kv_width;
        normalize(query, l->query_norm, query, num_rows * query_width / query_norm_width, query_norm_width, m->eps);
        normalize(key, l->key_norm, key, num_rows * kv_width / key_norm_width, key_norm_width, m->eps);
    }
#pragma omp parallel for collapse(2) if (num_rows * length * kv_width * 8 > 2 * THREAD_BYTES)
    for (size b = 0; b < num_rows; b++)
        for (size g = 0; g < m->num_kv_heads; g++) {
            size place = (b * m->num_kv_heads + g) * head_dim, queries = b * query_width + g * shared_by * head_dim;
            float *keys = l->keys + place * capacity, *values = l->values + place * capacity;
            float *scores_here = scores + (b * m->num_heads + g * shared_by) * capacity;
            rotate(query + queries, cosines + b * head_dim, sines + b * head_dim, shared_by, head_dim);
            rotate(key + place, cosines + b * head_dim, sines + b * head_dim, 1, head_dim);
            memcpy(keys + length * head_dim, key + place, head_dim * sizeof(float));
            memcpy(values + length * head_dim, value + place, head_dim * sizeof(float));
            keys += first[b] * head_dim, values += first[b] * head_dim;
            attend(query + queries, keys, values, mixed + queries, scores_here, shared_by, head_dim, length + 1 - first[b]);
        }
    linear(mixed, l->output, normed, num_rows, query_width, m->width, m->is_bf16);
    add(x, normed, num_rows * m->width, 1);
}

static void ask_experts(const model *m, const layer *l, const float *normed, float *x, float *work, size num_rows) {
    size num_choices = num_rows * m->top_k, experts[num_choices];
    float weights[num_choices], *gate_up = work, *answers = gate_up + num_choices * 2 * m->expert_width;
    linear(normed, l->router, work, num_rows, m->width, m->num_experts, 0);
    for (size b = 0; b < num_rows; b++)
        choose(m, l, work + b * m->num_experts, experts + b * m->top_k, weights + b * m->top_k);
    multiply(
        normed, l->gate_up, gate_up, num_choices, m->width, 2 * m->expert_width, m->is_bf16, experts, m->top_k, m->num_experts);
    activate(gate_up, num_choices, m->expert_width);
    multiply(gate_up, l->down, answers, num_choices, m->expert_width, m->width, m->is_bf16, experts, 1, m->num_experts);
    for (size r = 0; r < num_choices; r++) add(x + r / m->top_k * m->width, answers + r * m->width, m->width, weights[r]);
}

static void ask_dense(const model *m, const layer *l, const float *normed, float *x, float *work, size num_rows) {
    float *answers = work + num_rows * 2 * l->dense_width;
    linear(normed, l->dense_gate_up, work, num_rows, m->width, 2 * l->dense_width, m->is_bf16);
    activate(work, num_rows, l->dense_width);
    linear(work, l->dense_down, answers, num_rows, l->dense_width, m->width, m->is_bf16);
    add(x, answers, num_rows * m->width, 1);
}

/* Embeddings x [B, D], which are overwritten, to logits [B, V]; the cache holds `length` positions and gets one more, row b
   sees those from first[b] on. `work` is what compiled_step.py has counted. */
void step(
    const model *m, float *x, float *logits, float *work, size num_rows, const float *cosines, const float *sines,
    const size *first, size length, size capacity) {
    for (size i = 0; i < m->num_layers; i++) {
        const layer *l = m->layers + i;
        float *normed = work, *rest = work + num_rows * m->width;
        mix_positions(m, l, x, work, num_rows, cosines, sines, first, length, capacity);
        normalize(x, l->ffn_norm, normed, num_rows, m->width, m->eps);
        if (l->router) ask_experts(m, l, normed, x, rest, num_rows);
        if (l->dense_gate_up) ask_dense(m, l, normed, x, rest, num_rows);
    }
    normalize(x, m->final_norm, work, num_rows, m->width, m->eps);
    linear(work, m->unembedding, logits, num_rows, m->width, m->vocabulary, m->is_bf16);
}
