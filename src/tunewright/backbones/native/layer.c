/* What is no product of matrices in a layer of a transformer encoder that trains in bf16, for processors with AVX-512
   and its bf16 instructions: attention of each row's own tokens, the activation, and dropout, residual and norm in one
   pass; each of them forwards and backwards.

   Numbers between products are bf16; residuals, norms, softmax and all sums are float32. Dropped numbers are drawn from
   a seed and the number's place, so that the way back draws them again instead of reading a mask, and any number of
   threads draws the same.

   Sources: Vaswani et al. 2017 and Devlin et al. 2018 (the layer); Srivastava et al. 2014 (dropout); Steele et al. 2014
   (splitmix64, the draws); Dao et al. 2022 (shares computed again on the way back).
   Called by native/__init__.py, which checks all shapes and keeps all memory. Matrices lie row after row. */

#include <stddef.h>
#include <stdint.h>

#if defined(__x86_64__) && defined(__GNUC__)

#include <math.h>
#include <string.h>

#define FAST __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,fma")))

#include "../../runtime/native/numbers.h"

enum { LANES = 16, QUERIES = 4, BLOCK = 16, DRAWN = 64, LEVELS = 256, MOST_DRAWS = 16 };
/* Floats of a register. QUERIES rows of a product are computed together, and BLOCK queries on the way back of attention.
   One draw decides over DRAWN numbers, each with a chance in LEVELS; MOST_DRAWS are kept apart for a query of a head. */

typedef uint16_t Half;

/* ---- threads ---- */

typedef void (*Part)(const void *job, int part, int64_t first, int64_t last);

typedef struct {
    Part run;
    const void *job;
    int parts;
    int64_t count;
} Work;

static void (*parallel)(void (*)(void *), void *, unsigned, unsigned);
static int (*number)(void), (*given)(void);

/* Whose threads are used: GOMP_parallel, omp_get_thread_num and omp_get_num_threads of the library that the products
   use as well, so that no threads wait for a processor that others keep busy. */
void tw_threads(void *run, void *own, void *all) {
    parallel = (void (*)(void (*)(void *), void *, unsigned, unsigned))run;
    number = (int (*)(void))own;
    given = (int (*)(void))all;
}

static void run_part(const Work *work, int part) {
    work->run(work->job, part, work->count * part / work->parts, work->count * (part + 1) / work->parts);
}

static void run_own(void *work) {
    const int step = given();
    for (int part = number(); part < ((const Work *)work)->parts; part += step) run_part(work, part);
}

static void in_parts(Part run, const void *job, int parts, int64_t count) {
    Work work = {run, job, parts, count};
    if (parts > 1 && parallel) parallel(run_own, &work, (unsigned)parts, 0);
    else
        for (int part = 0; part < parts; part++) run_part(&work, part);
}

/* What each part summed up by itself, (parts, width), is added to what the first one has. */
static void add_up(float *sums, int parts, size_t width) {
    for (size_t at = width; at < (size_t)parts * width; at++) sums[at % width] += sums[at];
}

/* ---- numbers ---- */

INLINE __m512 wide(const Half *from) {
    const __m512i whole = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)from));
    return _mm512_castsi512_ps(_mm512_slli_epi32(whole, 16));
}

INLINE void narrow(__m512 x, Half *to) { _mm256_storeu_si256((__m256i *)to, (__m256i)_mm512_cvtneps_pbh(x)); }

/* to += x */
INLINE void add(__m512 x, float *to) { _mm512_storeu_ps(to, _mm512_add_ps(_mm512_loadu_ps(to), x)); }

static inline int rounded(int x, int to) { return (x + to - 1) / to * to; }

/* Which of DRAWN numbers are kept; each is dropped with the chance dropped / LEVELS. */
INLINE uint64_t kept(uint64_t seed, uint64_t place, int dropped) {
    const __m512i lanes = _mm512_set_epi64(8, 7, 6, 5, 4, 3, 2, 1);
    const __m512i at = _mm512_add_epi64(_mm512_set1_epi64((int64_t)(place * 8)), lanes);
    __m512i x = _mm512_mullo_epi64(at, _mm512_set1_epi64((int64_t)0x9E3779B97F4A7C15u));
    x = _mm512_add_epi64(x, _mm512_set1_epi64((int64_t)seed));
    x = _mm512_mullo_epi64(_mm512_xor_si512(x, _mm512_srli_epi64(x, 30)), _mm512_set1_epi64((int64_t)0xBF58476D1CE4E5B9u));
    x = _mm512_mullo_epi64(_mm512_xor_si512(x, _mm512_srli_epi64(x, 27)), _mm512_set1_epi64((int64_t)0x94D049BB133111EBu));
    x = _mm512_xor_si512(x, _mm512_srli_epi64(x, 31));
    return _mm512_cmpge_epu8_mask(x, _mm512_set1_epi8((char)dropped));
}

INLINE __mmask16 sixteen(uint64_t mask, int first) { return (__mmask16)(mask >> first); }

static inline float grown(int dropped) { return (float)LEVELS / (float)(LEVELS - dropped); }

/* For tests: 1 where a number is kept, for rows of so many numbers. */
FAST void tw_kept(uint64_t seed, int dropped, int64_t rows, int width, uint8_t *out) {
    const int blocks = (width + DRAWN - 1) / DRAWN;
    for (int64_t row = 0; row < rows; row++)
        for (int i = 0; i < width; i++)
            out[row * width + i] = kept(seed, (uint64_t)(row * blocks + i / DRAWN), dropped) >> (i % DRAWN) & 1;
}

/* Two rows → pairs of what stands at the same place; without a second one, zero stands for it. */
INLINE void paired(const Half *first, const Half *second, int count, uint32_t *out) {
    for (int i = 0; i < count; i += LANES) {
        __m512i x = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)(first + i)));
        if (second) {
            const __m512i y = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)(second + i)));
            x = _mm512_or_si512(x, _mm512_slli_epi32(y, 16));
        }
        _mm512_storeu_si512(out + i, x);
    }
}

/* (length, any) bf16, rows apart from each other by so many → pairs (ceil(length / 2), columns) */
static FAST void in_pairs(const Half *rows, size_t apart, int length, int columns, uint32_t *out) {
    for (int t = 0; t < length; t += 2) {
        const Half *first = rows + (size_t)t * apart;
        paired(first, t + 1 < length ? first + apart : NULL, columns, out + (size_t)(t / 2) * columns);
    }
}

/* Sixteen rows of as many pairs, turned. */
INLINE void turned_tile(__m512i *x) {
    __m512i a[LANES], b[LANES];
    for (int i = 0; i < LANES; i += 2) {
        a[i] = _mm512_unpacklo_epi32(x[i], x[i + 1]);
        a[i + 1] = _mm512_unpackhi_epi32(x[i], x[i + 1]);
    }
    for (int i = 0; i < LANES; i += 4) {
        b[i] = _mm512_unpacklo_epi64(a[i], a[i + 2]);
        b[i + 1] = _mm512_unpackhi_epi64(a[i], a[i + 2]);
        b[i + 2] = _mm512_unpacklo_epi64(a[i + 1], a[i + 3]);
        b[i + 3] = _mm512_unpackhi_epi64(a[i + 1], a[i + 3]);
    }
    /* Quarter q of b[4 i + j] holds column 4 q + j of rows 4 i to 4 i + 3. */
    for (int j = 0; j < 4; j++) {
        const __m512i even = _mm512_shuffle_i32x4(b[j], b[4 + j], 0x88), odd = _mm512_shuffle_i32x4(b[j], b[4 + j], 0xDD);
        const __m512i even_2 = _mm512_shuffle_i32x4(b[8 + j], b[12 + j], 0x88);
        const __m512i odd_2 = _mm512_shuffle_i32x4(b[8 + j], b[12 + j], 0xDD);
        x[j] = _mm512_shuffle_i32x4(even, even_2, 0x88);
        x[4 + j] = _mm512_shuffle_i32x4(odd, odd_2, 0x88);
        x[8 + j] = _mm512_shuffle_i32x4(even, even_2, 0xDD);
        x[12 + j] = _mm512_shuffle_i32x4(odd, odd_2, 0xDD);
    }
}

/* (length, 2 * deep) bf16, rows apart from each other by so many → pairs (deep, across), zero beyond the length */
static FAST void turned(const Half *rows, size_t apart, int length, int deep, int across, uint32_t *out) {
    for (int t = 0; t < across; t += LANES)
        for (int i = 0; i < deep; i += LANES) {
            __m512i tile[LANES];
            for (int n = 0; n < LANES; n++)
                tile[n] = t + n < length ? _mm512_loadu_si512(rows + (size_t)(t + n) * apart + 2 * i) : _mm512_setzero_si512();
            turned_tile(tile);
            for (int n = 0; n < LANES; n++) _mm512_storeu_si512(out + (size_t)(i + n) * across + t, tile[n]);
        }
}

/* Columns of a product, as many as go into one register or into two. */
INLINE void columns(const uint32_t *const *left, size_t step, const uint32_t *right, int deep, int across, float *out,
                    int more, const int registers) {
    __m512 sums[QUERIES][2];
#pragma GCC unroll 4
    for (int n = 0; n < QUERIES; n++)
#pragma GCC unroll 2
        for (int r = 0; r < registers; r++)
            sums[n][r] = more ? _mm512_loadu_ps(out + (size_t)n * across + r * LANES) : _mm512_setzero_ps();
    for (int k = 0; k < deep; k++) {
        __m512bh wide_row[2];
#pragma GCC unroll 2
        for (int r = 0; r < registers; r++)
            wide_row[r] = (__m512bh)_mm512_loadu_si512(right + (size_t)k * across + r * LANES);
#pragma GCC unroll 4
        for (int n = 0; n < QUERIES; n++) {
            const __m512bh one = (__m512bh)_mm512_set1_epi32((int)left[n][k * step]);
#pragma GCC unroll 2
            for (int r = 0; r < registers; r++) sums[n][r] = _mm512_dpbf16_ps(sums[n][r], one, wide_row[r]);
        }
    }
#pragma GCC unroll 4
    for (int n = 0; n < QUERIES; n++)
#pragma GCC unroll 2
        for (int r = 0; r < registers; r++) _mm512_storeu_ps(out + (size_t)n * across + r * LANES, sums[n][r]);
}

/* out[n][c] (+)= sum over k of left[n][k * step] . right[k][c]; all of them pairs, QUERIES rows, across of LANES'. */
static FAST void product(const uint32_t *const *left, size_t step, const uint32_t *right, int deep, int across,
                         float *out, int more) {
    int c = 0;
    for (; c + 2 * LANES <= across; c += 2 * LANES) columns(left, step, right + c, deep, across, out + c, more, 2);
    if (c < across) columns(left, step, right + c, deep, across, out + c, more, 1);
}

/* QUERIES rows that follow each other; where fewer are left, the last one takes the empty places. */
static inline void rows_of(const Half *rows, size_t apart, int first, int length, const uint32_t **out) {
    for (int n = 0; n < QUERIES; n++) {
        const int row = first + n < length ? first + n : length - 1;
        out[n] = (const uint32_t *)(rows + (size_t)row * apart);
    }
}

/* ---- attention ---- */

typedef struct {
    int32_t rows, heads, size, longest, dropped, parts;  /* size: width of a head */
    uint64_t seed;
    const int32_t *starts, *lengths;  /* (rows,) of each row its first token, and how many it has */
    const float *bias;                /* (3 * heads * size,) of the product that made queries, keys and values */
    Half *qkv;                        /* (tokens, 3, heads, size); forward adds the bias */
    Half *mixed;                      /* (tokens, heads, size) */
    const Half *of_mixed;             /* its gradient */
    Half *of_qkv;                     /* (tokens, 3, heads, size) */
    float *of_bias;                   /* (parts, 3 * heads * size), the first of which is the outcome */
    uint8_t *memory;                  /* parts times what tw_attention_memory says */
} Attention;

typedef struct {
    uint32_t *keys, *values;               /* turned pairs (size / 2, across) */
    uint32_t *key_pairs;                   /* (across / 2, size); forwards of values */
    float *scores, *of_scores;             /* (BLOCK, across) */
    Half *shares, *of_shares;              /* (BLOCK, across) */
    uint32_t *share_pairs, *of_share_pairs;  /* (BLOCK / 2, across) */
    uint32_t *query_pairs, *of_mixed_pairs;  /* (BLOCK / 2, size) */
    float *of_keys, *of_values;            /* (across, size) */
    float *few;                            /* (QUERIES, size) */
} Own;

static size_t laid_out(const Attention *job, uint8_t *memory, Own *own) {
    const size_t across = (size_t)rounded(job->longest, LANES), size = (size_t)job->size;
    const size_t counts[] = {size / 2 * across, size / 2 * across, across / 2 * size, BLOCK * across, BLOCK * across,
                             BLOCK * across / 2, BLOCK * across / 2, BLOCK / 2 * across, BLOCK / 2 * across,
                             BLOCK / 2 * size, BLOCK / 2 * size, across * size, across * size, QUERIES * size};
    void *places[sizeof counts / sizeof *counts];
    size_t used = 0;
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        places[i] = memory + used;
        used += (counts[i] * 4 + 63) / 64 * 64;
    }
    *own = (Own){places[0], places[1], places[2], places[3], places[4], places[5], places[6],
                 places[7], places[8], places[9], places[10], places[11], places[12], places[13]};
    return used;
}

size_t tw_attention_memory(const Attention *job) {
    Own own;
    return laid_out(job, NULL, &own);
}

/* One row of scores → shares, zero beyond the length. */
INLINE void softmax(float *row, int length, int across, float scale) {
    const __m512 nothing = _mm512_set1_ps(-INFINITY), by = _mm512_set1_ps(scale);
    __m512 most = nothing, total = _mm512_setzero_ps();
    for (int s = 0; s < across; s += LANES) {
        const int left = length - s;
        const __mmask16 real = left >= LANES ? 0xFFFF : left > 0 ? (__mmask16)((1u << left) - 1) : 0;
        const __m512 x = _mm512_mask_mul_ps(nothing, real, _mm512_loadu_ps(row + s), by);
        most = _mm512_max_ps(most, x);
        _mm512_storeu_ps(row + s, x);
    }
    most = _mm512_set1_ps(_mm512_reduce_max_ps(most));
    for (int s = 0; s < across; s += LANES) {
        const __m512 x = exponential(_mm512_sub_ps(_mm512_loadu_ps(row + s), most));
        total = _mm512_add_ps(total, x);
        _mm512_storeu_ps(row + s, x);
    }
    total = _mm512_set1_ps(1.0f / _mm512_reduce_add_ps(total));
    for (int s = 0; s < across; s += LANES)
        _mm512_storeu_ps(row + s, _mm512_mul_ps(_mm512_loadu_ps(row + s), total));
}

/* Where the draws of a query of a head begin. */
static inline uint64_t drawn_at(const Attention *job, int token, int head) {
    return ((uint64_t)token * (uint64_t)job->heads + (uint64_t)head) * MOST_DRAWS;
}

static FAST void attend(const Attention *job, const Own *own, int row, int head) {
    const int length = job->lengths[row], size = job->size, begin = job->starts[row], across = rounded(length, LANES);
    const size_t inside = (size_t)job->heads * size, apart = 3 * inside;
    Half *queries = job->qkv + (size_t)begin * apart + (size_t)head * size, *keys = queries + inside;
    Half *values = keys + inside;
    for (int t = 0; t < length; t++)
        for (int part = 0; part < 3; part++)
            for (int i = 0; i < size; i += LANES) {
                Half *at = queries + t * apart + part * inside + i;
                narrow(_mm512_add_ps(wide(at), _mm512_loadu_ps(job->bias + part * inside + head * size + i)), at);
            }
    turned(keys, apart, length, size / 2, across, own->keys);
    in_pairs(values, apart, length, size, own->key_pairs);
    const float scale = 1.0f / sqrtf((float)size), grow = grown(job->dropped);
    const uint32_t *left[QUERIES];
    for (int t = 0; t < length; t += QUERIES) {
        const int here = t + QUERIES < length ? QUERIES : length - t;
        rows_of(queries, apart, t, length, left);
        product(left, 1, own->keys, size / 2, across, own->scores, 0);
        for (int n = 0; n < here; n++) {
            float *shares = own->scores + (size_t)n * across;
            softmax(shares, length, across, scale);
            const uint64_t place = drawn_at(job, begin + t + n, head);
            for (int s = 0; s < across; s += LANES) {
                __m512 x = _mm512_loadu_ps(shares + s);
                if (job->dropped) {
                    const uint64_t mask = kept(job->seed, place + (uint64_t)(s / DRAWN), job->dropped);
                    x = _mm512_maskz_mul_ps(sixteen(mask, s % DRAWN), x, _mm512_set1_ps(grow));
                }
                narrow(x, own->shares + (size_t)n * across + s);
            }
        }
        rows_of(own->shares, (size_t)across, 0, here, left);
        product(left, 1, own->key_pairs, (length + 1) / 2, size, own->few, 0);
        for (int n = 0; n < here; n++)
            for (int i = 0; i < size; i += LANES)
                narrow(_mm512_loadu_ps(own->few + n * size + i),
                       job->mixed + (size_t)(begin + t + n) * inside + (size_t)head * size + i);
    }
}

/* Shares and their gradient → what was given on, and the gradient of scores, both bf16. */
static FAST void back_of_shares(const Attention *job, const Own *own, int n, int length, int across, uint64_t place,
                                float scale, float grow) {
    float *shares = own->scores + (size_t)n * across, *gradient = own->of_scores + (size_t)n * across;
    Half *given_on = own->shares + (size_t)n * across, *out = own->of_shares + (size_t)n * across;
    softmax(shares, length, across, scale);
    __m512 total = _mm512_setzero_ps();
    for (int s = 0; s < across; s += LANES) {
        const __m512 x = _mm512_loadu_ps(shares + s);
        __m512 y = _mm512_loadu_ps(gradient + s), on = x;
        if (job->dropped) {
            const uint64_t mask = kept(job->seed, place + (uint64_t)(s / DRAWN), job->dropped);
            on = _mm512_maskz_mul_ps(sixteen(mask, s % DRAWN), x, _mm512_set1_ps(grow));
            y = _mm512_maskz_mul_ps(sixteen(mask, s % DRAWN), y, _mm512_set1_ps(grow));
            _mm512_storeu_ps(gradient + s, y);
        }
        narrow(on, given_on + s);
        total = _mm512_fmadd_ps(x, y, total);
    }
    const __m512 mean = _mm512_set1_ps(_mm512_reduce_add_ps(total)), by = _mm512_set1_ps(scale);
    for (int s = 0; s < across; s += LANES) {
        const __m512 y = _mm512_sub_ps(_mm512_loadu_ps(gradient + s), mean);
        narrow(_mm512_mul_ps(_mm512_mul_ps(_mm512_loadu_ps(shares + s), y), by), out + s);
    }
}

/* One row of gradients → bf16, and the sum of its column. */
INLINE void handed_on(const float *row, int size, Half *out, float *sums) {
    for (int i = 0; i < size; i += LANES) {
        const __m512 x = _mm512_loadu_ps(row + i);
        narrow(x, out + i);
        add(x, sums + i);
    }
}

static FAST void back_of_attend(const Attention *job, const Own *own, float *sums, int row, int head) {
    const int length = job->lengths[row], size = job->size, begin = job->starts[row], across = rounded(length, LANES);
    const size_t inside = (size_t)job->heads * size, apart = 3 * inside, corner = (size_t)head * size;
    const Half *queries = job->qkv + (size_t)begin * apart + corner, *keys = queries + inside;
    const Half *of_mixed = job->of_mixed + (size_t)begin * inside + corner;
    Half *out = job->of_qkv + (size_t)begin * apart + corner;
    turned(keys, apart, length, size / 2, across, own->keys);
    turned(keys + inside, apart, length, size / 2, across, own->values);
    in_pairs(keys, apart, length, size, own->key_pairs);
    const float scale = 1.0f / sqrtf((float)size), grow = grown(job->dropped);
    const uint32_t *left[QUERIES];
    for (int t = 0; t < length; t += BLOCK) {
        const int here = t + BLOCK < length ? BLOCK : length - t, pairs = (here + 1) / 2;
        for (int n = 0; n < here; n += QUERIES) {
            rows_of(queries, apart, t + n, length, left);
            product(left, 1, own->keys, size / 2, across, own->scores + (size_t)n * across, 0);
            rows_of(of_mixed, inside, t + n, length, left);
            product(left, 1, own->values, size / 2, across, own->of_scores + (size_t)n * across, 0);
        }
        for (int n = 0; n < here; n++)
            back_of_shares(job, own, n, length, across, drawn_at(job, begin + t + n, head), scale, grow);
        in_pairs(own->shares, (size_t)across, here, across, own->share_pairs);
        in_pairs(own->of_shares, (size_t)across, here, across, own->of_share_pairs);
        in_pairs(queries + (size_t)t * apart, apart, here, size, own->query_pairs);
        in_pairs(of_mixed + (size_t)t * inside, inside, here, size, own->of_mixed_pairs);
        for (int n = 0; n < here; n += QUERIES) {
            rows_of(own->of_shares, (size_t)across, n, here, left);
            product(left, 1, own->key_pairs, (length + 1) / 2, size, own->few, 0);
            for (int m = 0; m < QUERIES && n + m < here; m++)
                handed_on(own->few + m * size, size, out + (size_t)(t + n + m) * apart, sums + corner);
        }
        for (int s = 0; s < length; s += QUERIES) {
            for (int n = 0; n < QUERIES; n++) left[n] = own->of_share_pairs + s + n;
            product(left, (size_t)across, own->query_pairs, pairs, size, own->of_keys + (size_t)s * size, t > 0);
            for (int n = 0; n < QUERIES; n++) left[n] = own->share_pairs + s + n;
            product(left, (size_t)across, own->of_mixed_pairs, pairs, size, own->of_values + (size_t)s * size, t > 0);
        }
    }
    for (int t = 0; t < length; t++) {
        Half *at = out + (size_t)t * apart;
        handed_on(own->of_keys + (size_t)t * size, size, at + inside, sums + inside + corner);
        handed_on(own->of_values + (size_t)t * size, size, at + 2 * inside, sums + 2 * inside + corner);
    }
}

/* While a head is computed, its share of the next row's numbers is fetched: heads read 64 bytes here and there, which no
   processor foresees. */
INLINE void fetched(const Attention *job, const Half *from, size_t width, int row, int head) {
    if (row + 1 >= job->rows) return;
    const size_t bytes = (size_t)job->lengths[row + 1] * width * sizeof(Half), share = bytes / (size_t)job->heads + 1;
    const char *block = (const char *)(from + (size_t)job->starts[row + 1] * width);
    const size_t last = (size_t)(head + 1) * share < bytes ? (size_t)(head + 1) * share : bytes;
    for (size_t at = (size_t)head * share; at < last; at += 64) _mm_prefetch(block + at, _MM_HINT_T1);
}

static FAST void attend_part(const void *given_job, int part, int64_t first, int64_t last) {
    const Attention *job = given_job;
    Own own;
    laid_out(job, job->memory + (size_t)part * laid_out(job, NULL, &own), &own);
    for (int64_t at = first; at < last; at++) {
        const int row = (int)(at / job->heads), head = (int)(at % job->heads);
        fetched(job, job->qkv, 3 * (size_t)job->heads * job->size, row, head);
        attend(job, &own, row, head);
    }
}

static FAST void back_of_attend_part(const void *given_job, int part, int64_t first, int64_t last) {
    const Attention *job = given_job;
    Own own;
    laid_out(job, job->memory + (size_t)part * laid_out(job, NULL, &own), &own);
    const size_t width = 3 * (size_t)job->heads * job->size;
    float *sums = memset(job->of_bias + (size_t)part * width, 0, width * sizeof(float));
    for (int64_t at = first; at < last; at++) {
        const int row = (int)(at / job->heads), head = (int)(at % job->heads);
        fetched(job, job->qkv, width, row, head);
        fetched(job, job->of_qkv, width, row, head);
        fetched(job, job->of_mixed, width / 3, row, head);
        back_of_attend(job, &own, sums, row, head);
    }
}

void tw_attend(const Attention *job) { in_parts(attend_part, job, job->parts, (int64_t)job->rows * job->heads); }

void tw_back_of_attend(const Attention *job) {
    in_parts(back_of_attend_part, job, job->parts, (int64_t)job->rows * job->heads);
    add_up(job->of_bias, job->parts, 3 * (size_t)job->heads * job->size);
}

/* ---- the activation ---- */

typedef struct {
    int64_t tokens;
    int32_t width, bent, parts;  /* bent: the approximation by tanh */
    const float *bias;           /* (width,) */
    Half *product;               /* (tokens, width); forward leaves the activation of it and the bias there */
    Half *slope;                 /* (tokens, width), or NULL where none is wanted */
    Half *gradient;              /* (tokens, width); backward multiplies it by the slope */
    float *of_bias;              /* (parts, width), the first of which is the outcome */
} Activation;

/* x (1 + tanh(u)) / 2, u = sqrt(2 / pi) (x + 0.044715 x^3), and its slope. Source: Hendrycks and Gimpel 2016. */
INLINE __m512 by_tanh(__m512 x, __m512 *slope) {
    const __m512 one = _mm512_set1_ps(1.0f), half = _mm512_set1_ps(0.5f), by = _mm512_set1_ps(0.79788456f);
    const __m512 square = _mm512_mul_ps(x, x);
    const __m512 u = _mm512_mul_ps(_mm512_mul_ps(x, by), _mm512_fmadd_ps(square, _mm512_set1_ps(0.044715f), one));
    const __m512 e = exponential(_mm512_mul_ps(_mm512_abs_ps(u), _mm512_set1_ps(-2.0f)));
    __m512 t = _mm512_div_ps(_mm512_sub_ps(one, e), _mm512_add_ps(one, e));
    const __mmask16 negative = _mm512_cmp_ps_mask(u, _mm512_setzero_ps(), _CMP_LT_OQ);
    t = _mm512_mask_sub_ps(t, negative, _mm512_setzero_ps(), t);
    const __m512 share = _mm512_mul_ps(half, _mm512_add_ps(one, t));
    const __m512 steep = _mm512_mul_ps(by, _mm512_fmadd_ps(square, _mm512_set1_ps(3 * 0.044715f), one));
    const __m512 rest = _mm512_mul_ps(_mm512_mul_ps(x, half), _mm512_fnmadd_ps(t, t, one));
    *slope = _mm512_fmadd_ps(rest, steep, share);
    return _mm512_mul_ps(x, share);
}

INLINE __m512 by_erf(__m512 x, __m512 *slope) {
    __m512 bell;
    const __m512 tail = above(x, &bell);
    const __mmask16 negative = _mm512_cmp_ps_mask(x, _mm512_setzero_ps(), _CMP_LT_OQ);
    const __m512 share = _mm512_mask_mov_ps(_mm512_sub_ps(_mm512_set1_ps(1.0f), tail), negative, tail);
    *slope = _mm512_fmadd_ps(_mm512_mul_ps(x, _mm512_set1_ps(0.39894228f)), bell, share);
    return _mm512_mul_ps(x, share);
}

static FAST void activate_part(const void *given_job, int part, int64_t first, int64_t last) {
    const Activation *job = given_job;
    (void)part;
    for (int64_t row = first; row < last; row++)
        for (int i = 0; i < job->width; i += LANES) {
            const size_t at = (size_t)row * job->width + i;
            const __m512 x = _mm512_add_ps(wide(job->product + at), _mm512_loadu_ps(job->bias + i));
            __m512 slope;
            narrow(job->bent ? by_tanh(x, &slope) : by_erf(x, &slope), job->product + at);
            if (job->slope) narrow(slope, job->slope + at);
        }
}

static FAST void back_of_activate_part(const void *given_job, int part, int64_t first, int64_t last) {
    const Activation *job = given_job;
    const size_t width = (size_t)job->width;
    float *sums = memset(job->of_bias + (size_t)part * width, 0, width * sizeof(float));
    for (int64_t row = first; row < last; row++)
        for (int i = 0; i < job->width; i += LANES) {
            const size_t at = (size_t)row * job->width + i;
            const __m512 x = _mm512_mul_ps(wide(job->gradient + at), wide(job->slope + at));
            narrow(x, job->gradient + at);
            add(x, sums + i);
        }
}

void tw_activate(const Activation *job) { in_parts(activate_part, job, job->parts, job->tokens); }

void tw_back_of_activate(const Activation *job) {
    in_parts(back_of_activate_part, job, job->parts, job->tokens);
    add_up(job->of_bias, job->parts, (size_t)job->width);
}

/* ---- dropout, residual and norm ---- */

typedef struct {
    int64_t tokens;
    int32_t width, dropped, parts;
    float epsilon;
    uint64_t seed;
    const float *weight, *shift;  /* (width,) of the norm */
    const float *bias;            /* (width,) of the product */
    const Half *product;          /* (tokens, width) */
    const float *flat;            /* (tokens, width), the residual */
    float *summed, *stats;        /* (tokens, width) what is normed; (tokens, 2) its mean and 1 / its spread */
    float *out;                   /* (tokens, width) */
    Half *narrow;                 /* the same in bf16, or NULL */
    const float *gradient;        /* (tokens, width) of the outcome */
    const Half *more;             /* what is added to it, or NULL */
    float *of_summed;             /* (tokens, width), also the gradient of the residual; may be gradient */
    Half *of_product;             /* (tokens, width) */
    float *sums;                  /* (parts, 3, width): of weight, shift and bias; the first is the outcome */
} Join;

INLINE uint64_t place_of(const Join *job, int64_t row, int i) {
    return (uint64_t)row * (uint64_t)((job->width + DRAWN - 1) / DRAWN) + (uint64_t)(i / DRAWN);
}

static FAST void join_part(const void *given_job, int part, int64_t first, int64_t last) {
    const Join *job = given_job;
    const int width = job->width;
    const __m512 grow = _mm512_set1_ps(grown(job->dropped));
    (void)part;
    for (int64_t row = first; row < last; row++) {
        const size_t at = (size_t)row * width;
        float *summed = job->summed + at;
        __m512 total = _mm512_setzero_ps(), squares = _mm512_setzero_ps();
        uint64_t mask = 0;
        for (int i = 0; i < width; i += LANES) {
            __m512 x = _mm512_add_ps(wide(job->product + at + i), _mm512_loadu_ps(job->bias + i));
            if (job->dropped) {
                if (i % DRAWN == 0) mask = kept(job->seed, place_of(job, row, i), job->dropped);
                x = _mm512_maskz_mul_ps(sixteen(mask, i % DRAWN), x, grow);
            }
            x = _mm512_add_ps(x, _mm512_loadu_ps(job->flat + at + i));
            total = _mm512_add_ps(total, x);
            _mm512_storeu_ps(summed + i, x);
        }
        const __m512 mean = _mm512_set1_ps(_mm512_reduce_add_ps(total) / (float)width);
        for (int i = 0; i < width; i += LANES) {
            const __m512 x = _mm512_sub_ps(_mm512_loadu_ps(summed + i), mean);
            squares = _mm512_fmadd_ps(x, x, squares);
        }
        const float inverse = 1.0f / sqrtf(_mm512_reduce_add_ps(squares) / (float)width + job->epsilon);
        job->stats[2 * row] = _mm512_cvtss_f32(mean);
        job->stats[2 * row + 1] = inverse;
        for (int i = 0; i < width; i += LANES) {
            __m512 x = _mm512_mul_ps(_mm512_sub_ps(_mm512_loadu_ps(summed + i), mean), _mm512_set1_ps(inverse));
            x = _mm512_fmadd_ps(x, _mm512_loadu_ps(job->weight + i), _mm512_loadu_ps(job->shift + i));
            _mm512_storeu_ps(job->out + at + i, x);
            if (job->narrow) narrow(x, job->narrow + at + i);
        }
    }
}

static FAST void back_of_join_part(const void *given_job, int part, int64_t first, int64_t last) {
    const Join *job = given_job;
    const int width = job->width;
    const __m512 grow = _mm512_set1_ps(grown(job->dropped));
    const size_t all = 3 * (size_t)width;
    float *of_weight = memset(job->sums + (size_t)part * all, 0, all * sizeof(float)), *of_shift = of_weight + width, *of_bias = of_shift + width;
    for (int64_t row = first; row < last; row++) {
        const size_t at = (size_t)row * width;
        const __m512 mean = _mm512_set1_ps(job->stats[2 * row]), inverse = _mm512_set1_ps(job->stats[2 * row + 1]);
        float *of_summed = job->of_summed + at;
        __m512 plain = _mm512_setzero_ps(), along = _mm512_setzero_ps();
        for (int i = 0; i < width; i += LANES) {
            __m512 y = _mm512_loadu_ps(job->gradient + at + i);
            if (job->more) y = _mm512_add_ps(y, wide(job->more + at + i));
            const __m512 x = _mm512_mul_ps(_mm512_sub_ps(_mm512_loadu_ps(job->summed + at + i), mean), inverse);
            const __m512 both = _mm512_mul_ps(x, y);
            add(both, of_weight + i);
            add(y, of_shift + i);
            const __m512 weight = _mm512_loadu_ps(job->weight + i);
            plain = _mm512_fmadd_ps(y, weight, plain);
            along = _mm512_fmadd_ps(both, weight, along);
            _mm512_storeu_ps(of_summed + i, y);
        }
        const __m512 level = _mm512_set1_ps(_mm512_reduce_add_ps(plain) / (float)width);
        const __m512 slope = _mm512_set1_ps(_mm512_reduce_add_ps(along) / (float)width);
        uint64_t mask = 0;
        for (int i = 0; i < width; i += LANES) {
            const __m512 x = _mm512_mul_ps(_mm512_sub_ps(_mm512_loadu_ps(job->summed + at + i), mean), inverse);
            __m512 y = _mm512_mul_ps(_mm512_loadu_ps(of_summed + i), _mm512_loadu_ps(job->weight + i));
            y = _mm512_mul_ps(_mm512_sub_ps(_mm512_fnmadd_ps(x, slope, y), level), inverse);
            _mm512_storeu_ps(of_summed + i, y);
            if (job->dropped) {
                if (i % DRAWN == 0) mask = kept(job->seed, place_of(job, row, i), job->dropped);
                y = _mm512_maskz_mul_ps(sixteen(mask, i % DRAWN), y, grow);
            }
            narrow(y, job->of_product + at + i);
            add(y, of_bias + i);
        }
    }
}

void tw_join(const Join *job) { in_parts(join_part, job, job->parts, job->tokens); }

void tw_back_of_join(const Join *job) {
    in_parts(back_of_join_part, job, job->parts, job->tokens);
    add_up(job->sums, job->parts, 3 * (size_t)job->width);
}

typedef struct {
    float *sum;
    const Half *more;
} Addition;

static FAST void add_part(const void *given_job, int part, int64_t first, int64_t last) {
    const Addition *job = given_job;
    (void)part;
    for (int64_t i = first * LANES; i < last * LANES; i += LANES) add(wide(job->more + i), job->sum + i);
}

/* sum += more; (count,) of LANES' */
void tw_add(float *sum, const Half *more, int64_t count, int parts) {
    const Addition job = {sum, more};
    in_parts(add_part, &job, parts, count / LANES);
}

int tw_supported(void) {
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512bf16") && __builtin_cpu_supports("fma");
}

#else  /* a processor of another family: torch computes all of it */

int tw_supported(void) { return 0; }

#endif
