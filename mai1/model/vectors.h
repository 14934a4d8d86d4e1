/* Sixteen floats at once, which compilers split up where a CPU's vectors are shorter. For the kernels that are compiled on the
   machine where they run (c_library.py). */
#pragma once
#include <stdint.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))

typedef int64_t size;
typedef float sixteen __attribute__((vector_size(64)));
typedef int32_t places __attribute__((vector_size(64)));

INLINE sixteen load(const float *from) {
    sixteen values;
    memcpy(&values, from, sizeof values);
    return values;
}

INLINE void store(float *to, sixteen values) { memcpy(to, &values, sizeof values); }

/* What fits in an exponent. */
INLINE sixteen bounded(sixteen x) {
    places too_small = x < -87.0f, too_large = x > 87.0f, fits = ~(too_small | too_large);
    places low = (places)((sixteen){0} - 87.0f), high = (places)((sixteen){0} + 87.0f);
    return (sixteen)((too_small & low) | (too_large & high) | (fits & (places)x));
}

/* e^x to 2 units in the last place: a power of 2 times a polynomial in what is left (Cephes' expf). */
INLINE sixteen exponential(sixteen x) {
    const float rounding = 12582912.0f; /* 1.5 * 2^23: what is added to it loses its fraction */
    x = bounded(x);
    sixteen shifted = x * 1.44269504f + rounding, whole = shifted - rounding;
    places power = ((places)shifted - (places)((sixteen){0} + rounding) + 127) << 23;
    sixteen rest = x - whole * 0.693359375f + whole * 2.12194440e-4f;
    sixteen y = rest * 1.9875691500e-4f + 1.3981999507e-3f;
    y = y * rest + 8.3334519073e-3f;
    y = y * rest + 4.1665795894e-2f;
    y = y * rest + 1.6666665459e-1f;
    y = y * rest + 5.0000001201e-1f;
    return (y * rest * rest + rest + 1.0f) * (sixteen)power;
}

INLINE sixteen sigmoid(sixteen x) { return 1.0f / (1.0f + exponential(-x)); }
