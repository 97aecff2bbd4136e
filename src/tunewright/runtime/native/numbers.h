/* Functions of sixteen floats at once, for processors with AVX-512. Who includes it says first what FAST asks for.

   Sources: Abramowitz and Stegun 1964, 7.1.26 (erf, error below 2e-7). */

#ifndef TUNEWRIGHT_NUMBERS
#define TUNEWRIGHT_NUMBERS

#include <immintrin.h>

#define INLINE static inline FAST __attribute__((always_inline))

/* e^x for x <= 0 and not far above it; below -87 it is 0. Error below 1e-6 of the value. */
INLINE __m512 exponential(__m512 x) {
    const __m512 n = _mm512_roundscale_ps(_mm512_mul_ps(x, _mm512_set1_ps(1.44269504f)), 0);
    __m512 r = _mm512_fnmadd_ps(n, _mm512_set1_ps(0.693359375f), x);
    r = _mm512_fnmadd_ps(n, _mm512_set1_ps(-2.12194440e-4f), r);
    __m512 y = _mm512_set1_ps(1.9875691500e-4f);
    y = _mm512_fmadd_ps(y, r, _mm512_set1_ps(1.3981999507e-3f));
    y = _mm512_fmadd_ps(y, r, _mm512_set1_ps(8.3334519073e-3f));
    y = _mm512_fmadd_ps(y, r, _mm512_set1_ps(4.1665795894e-2f));
    y = _mm512_fmadd_ps(y, r, _mm512_set1_ps(1.6666665459e-1f));
    y = _mm512_fmadd_ps(y, r, _mm512_set1_ps(5.0000001201e-1f));
    y = _mm512_fmadd_ps(y, _mm512_mul_ps(r, r), _mm512_add_ps(r, _mm512_set1_ps(1.0f)));
    const __mmask16 not_nothing = _mm512_cmp_ps_mask(x, _mm512_set1_ps(-87.0f), _CMP_NLT_US);  /* NaN stays NaN */
    return _mm512_maskz_scalef_ps(not_nothing, y, n);
}

/* 1 / x for x that is neither 0 nor huge; error below 1e-7 of the value. Division takes three times as long. */
INLINE __m512 inverted(__m512 x) {
    const __m512 near = _mm512_rcp14_ps(x);
    return _mm512_mul_ps(near, _mm512_fnmadd_ps(near, x, _mm512_set1_ps(2.0f)));
}

/* The share of a normal distribution above |x|, erfc(|x| / sqrt 2) / 2; bell: e^(-x^2 / 2). */
INLINE __m512 above(__m512 x, __m512 *bell) {
    const __m512 z = _mm512_mul_ps(_mm512_abs_ps(x), _mm512_set1_ps(0.70710678f));
    const __m512 one = _mm512_set1_ps(1.0f);
    const __m512 t = inverted(_mm512_fmadd_ps(z, _mm512_set1_ps(0.3275911f), one));
    __m512 y = _mm512_set1_ps(1.061405429f / 2);
    y = _mm512_fmadd_ps(y, t, _mm512_set1_ps(-1.453152027f / 2));
    y = _mm512_fmadd_ps(y, t, _mm512_set1_ps(1.421413741f / 2));
    y = _mm512_fmadd_ps(y, t, _mm512_set1_ps(-0.284496736f / 2));
    y = _mm512_fmadd_ps(y, t, _mm512_set1_ps(0.254829592f / 2));
    *bell = exponential(_mm512_fnmadd_ps(z, z, _mm512_setzero_ps()));
    return _mm512_mul_ps(_mm512_mul_ps(y, t), *bell);
}

/* x (1 + erf(x / sqrt 2)) / 2 */
INLINE __m512 gelu(__m512 x) {
    __m512 bell;
    const __m512 tail = _mm512_mul_ps(x, above(x, &bell));
    const __mmask16 negative = _mm512_cmp_ps_mask(x, _mm512_setzero_ps(), _CMP_LT_OQ);
    return _mm512_mask_mov_ps(_mm512_sub_ps(x, tail), negative, tail);
}

#endif
