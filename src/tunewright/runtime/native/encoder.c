/* A transformer encoder in 8-bit numbers, for processors with AVX-512 VNNI: all layers in one call, no padding.

   It does what the bundle's graph does when ONNX Runtime runs it: activations are measured anew for each call (one
   scale and one zero point for all of its tokens), weights are int8 with one scale per column, sums are exact whole
   numbers. Threads share the columns of a product and the heads of an attention; what needs whole rows (norms, 8-bit
   copies) each of them does for itself, which costs less than waiting. Four times a layer they wait for each other.

   Sources: Vaswani et al. 2017 and Devlin et al. 2018 (the layers); ONNX, operator DynamicQuantizeLinear (8-bit
   copies); numbers.h.
   Called by native/__init__.py, which checks all shapes and keeps all memory. */

#include <stddef.h>
#include <stdint.h>

#if defined(__x86_64__) && defined(__GNUC__)

#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define FAST __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,fma")))

#include "numbers.h"

enum { LANES = 16, COLUMNS = 32, ROWS = 12, STEP = 4, QUERIES = 4, SHARED = 64 };
/* Floats of a register; columns of a panel of weights and rows of a tile, so 12 x 2 registers of sums and 2 of weights,
   and a panel 384 deep stays in the first cache. STEP numbers are multiplied and summed by one instruction. QUERIES
   tokens read the keys together. Threads share matrices by SHARED columns, which hold whole heads. */
enum { TABLES = 6, OF_LAYER = 22 };
/* Pointers for the embedding, and for each layer: (weights, scales, bias) of query, key, value and output, weight and
   bias of a norm, (weights, scales, bias) of the wide product up and the one down, weight and bias of a norm. */

typedef struct {
    int32_t width, inner, layers, heads;
    int32_t words, places;       /* rows of the tables */
    float epsilon;
    const void *const *tensors;  /* TABLES + layers * OF_LAYER; weights of products as tw_pack leaves them */
} Encoder;

typedef struct {
    int32_t tokens, windows, longest, threads;
    const int64_t *ids;       /* (tokens,) one window after the other, without padding */
    const int32_t *lengths;   /* (windows,) */
    float *states;            /* (windows, longest, width), zero where there is no token */
} Batch;

/* ---- threads ---- */

typedef struct {
    atomic_int arrived, round;
} Barrier;

enum { SPINS = 4096, SPIN_NS = 500000 };
/* Looks at a barrier before the processor is given to others; how long a helper waits awake for the next call. */

static void meet(Barrier *barrier, int threads) {
    if (threads == 1) return;
    const int round = atomic_load_explicit(&barrier->round, memory_order_acquire);
    if (atomic_fetch_add_explicit(&barrier->arrived, 1, memory_order_acq_rel) == threads - 1) {
        atomic_store_explicit(&barrier->arrived, 0, memory_order_relaxed);
        atomic_store_explicit(&barrier->round, round + 1, memory_order_release);
        return;
    }
    for (int spins = 0; atomic_load_explicit(&barrier->round, memory_order_acquire) == round; spins++) {
        if (spins < SPINS) _mm_pause();
        else sched_yield();
    }
}

/* ---- the layers ---- */

typedef struct {
    const Encoder *encoder;
    const Batch *batch;
    float *sums, *q, *k, *v, *mixed;  /* (tokens, width) */
    float *wide;                      /* (tokens, inner) */
    char *own;                        /* what each thread has for itself, `own_bytes` each */
    size_t own_bytes;
    Barrier barrier;
} Job;

typedef struct {
    float *x;            /* (tokens, width) states */
    float *turned;       /* (width of a head, longest, rounded up) keys of a head, turned */
    float *scores;       /* (QUERIES, longest, rounded up) */
    uint8_t *narrow;     /* (tokens, max(width, inner)) the left side of a product */
    float scale;
    int32_t zero;
} Own;

typedef struct {
    const int8_t *weights;
    const int32_t *sums;   /* of each column, behind the packed weights */
    const float *scales, *bias;
} Matrix;

static int rounded(int count, int to) { return (count + to - 1) / to * to; }

static Matrix matrix(const void *const *tensors, int deep, int columns) {
    const int8_t *weights = tensors[0];
    return (Matrix){weights, (const int32_t *)(weights + (size_t)deep * columns), tensors[1], tensors[2]};
}

/* All numbers of a matrix as bytes: value = (byte - zero) * scale. */
static FAST void narrowed(const float *values, size_t count, Own *own) {
    __m512 low = _mm512_setzero_ps(), high = _mm512_setzero_ps();
    for (size_t i = 0; i < count; i += LANES) {
        const __m512 x = _mm512_loadu_ps(values + i);
        low = _mm512_min_ps(low, x);
        high = _mm512_max_ps(high, x);
    }
    const float least = _mm512_reduce_min_ps(low), most = _mm512_reduce_max_ps(high);
    own->scale = most > least ? (most - least) / 255.0f : 1.0f;
    own->zero = (int32_t)nearbyintf(fminf(fmaxf(-least / own->scale, 0.0f), 255.0f));
    const __m512 factor = _mm512_set1_ps(1.0f / own->scale);
    const __m512i zero = _mm512_set1_epi32(own->zero);
    for (size_t i = 0; i < count; i += LANES) {
        const __m512i whole = _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_loadu_ps(values + i), factor));
        const __m512i moved = _mm512_max_epi32(_mm512_add_epi32(whole, zero), _mm512_setzero_si512());
        _mm_storeu_si128((__m128i *)(own->narrow + i), _mm512_cvtusepi32_epi8(moved));
    }
}

typedef enum { PLAIN, GELU, RESIDUAL } After;

/* A sum's way from whole numbers to the matrix that it belongs to. */
INLINE void put(__m512i sum, __m512i shift, __m512 scales, __m512 bias, const After after, const float *residual,
                float *out) {
    __m512 y = _mm512_fmadd_ps(_mm512_cvtepi32_ps(_mm512_sub_epi32(sum, shift)), scales, bias);
    if (after == GELU) y = gelu(y);
    if (after == RESIDUAL) y = _mm512_add_ps(y, _mm512_loadu_ps(residual));
    _mm512_storeu_ps(out, y);
}

/* sum += of each four bytes beside each other, left (unsigned) times right. As an instruction, not an intrinsic: there
   GCC 12 copies the sums twice in each step, and runs out of registers. */
INLINE void multiplied(__m512i *sum, __m512i left, __m512i right) {
    __asm__("vpdpbusd %2, %1, %0" : "+v"(*sum) : "v"(left), "v"(right));
}

/* Sums are variables with names of their own: compilers keep those in registers, and an array of them in memory. */
#define EACH_ROW(DO) DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7) DO(8) DO(9) DO(10) DO(11)
#define START(r) __m512i r##a = _mm512_setzero_si512(), r##b = r##a;
#define ADD(r) \
    if (rows > r) { \
        const __m512i spread = _mm512_set1_epi32(*(const Four *)(left + (size_t)r * deep + k)); \
        multiplied(&s##r##a, spread, a); \
        multiplied(&s##r##b, spread, b); \
    }
#define NAMED(r) START(s##r)
#define PUT(r) \
    if (rows > r) { \
        const size_t place = (size_t)r * stride + at; \
        put(part ? s##r##b : s##r##a, shift, scales, bias, after, residual + place, out + place); \
    }

typedef int32_t __attribute__((may_alias, aligned(1))) Four;

/* `rows` rows times one panel of COLUMNS columns. */
INLINE void tile(const int rows, const uint8_t *left, int deep, const int8_t *panel, const Matrix *right, int column,
                 const Own *own, const After after, const float *residual, float *out, int stride) {
    EACH_ROW(NAMED)
    for (int k = 0; k < deep; k += STEP, panel += STEP * COLUMNS) {
        const __m512i a = _mm512_loadu_si512(panel), b = _mm512_loadu_si512(panel + STEP * LANES);
        EACH_ROW(ADD)
    }
    const __m512i zero = _mm512_set1_epi32(own->zero);
    const __m512 scale = _mm512_set1_ps(own->scale);
    for (int part = 0; part < COLUMNS / LANES; part++) {
        const int at = column + part * LANES;
        const __m512i shift = _mm512_mullo_epi32(zero, _mm512_loadu_si512(right->sums + at));
        const __m512 scales = _mm512_mul_ps(scale, _mm512_loadu_ps(right->scales + at));
        const __m512 bias = _mm512_loadu_ps(right->bias + at);
        EACH_ROW(PUT)
    }
}

/* Panels `first` to `last` of out = left * right, and what comes after: out, residual (tokens, columns), left (tokens,
   deep). */
INLINE void product(const Job *job, const Own *own, int deep, Matrix right, int first, int last, const After after,
                    const float *residual, float *out, int columns) {
    const int tokens = job->batch->tokens;
    const int tiles = (tokens + ROWS - 1) / ROWS;
    for (int p = first; p < last; p++) {
        const int8_t *panel = right.weights + (size_t)p * deep * COLUMNS;
        for (int t = 0, row = 0; t < tiles; t++) {  /* tiles of like height: 13 rows are 7 and 6 */
            const int rows = (tokens - row + tiles - t - 1) / (tiles - t);
            const uint8_t *left = own->narrow + (size_t)row * deep;
            const float *before = residual + (size_t)row * columns;
            float *to = out + (size_t)row * columns;
#define TILE(n) case n: tile(n, left, deep, panel, &right, p * COLUMNS, own, after, before, to, columns); break;
            switch (rows) {
                TILE(1) TILE(2) TILE(3) TILE(4) TILE(5) TILE(6)
                TILE(7) TILE(8) TILE(9) TILE(10) TILE(11) TILE(12)
            }
            row += rows;
        }
    }
}

static FAST void plain(const Job *job, const Own *own, int deep, Matrix right, int first, int last, float *out,
                       int columns) {
    product(job, own, deep, right, first, last, PLAIN, out, out, columns);
}

static FAST void with_gelu(const Job *job, const Own *own, int deep, Matrix right, int first, int last, float *out,
                           int columns) {
    product(job, own, deep, right, first, last, GELU, out, out, columns);
}

static FAST void on_top(const Job *job, const Own *own, int deep, Matrix right, int first, int last,
                        const float *residual, float *out, int columns) {
    product(job, own, deep, right, first, last, RESIDUAL, residual, out, columns);
}

/* One row, by its mean and variance; out may be the row itself. */
static FAST void norm(const float *row, int width, const float *weight, const float *bias, float epsilon, float *out) {
    __m512 sum = _mm512_setzero_ps(), squares = _mm512_setzero_ps();
    for (int i = 0; i < width; i += LANES) sum = _mm512_add_ps(sum, _mm512_loadu_ps(row + i));
    const __m512 mean = _mm512_set1_ps(_mm512_reduce_add_ps(sum) / (float)width);
    for (int i = 0; i < width; i += LANES) {
        const __m512 apart = _mm512_sub_ps(_mm512_loadu_ps(row + i), mean);
        squares = _mm512_fmadd_ps(apart, apart, squares);
    }
    const __m512 factor = _mm512_set1_ps(1.0f / sqrtf(_mm512_reduce_add_ps(squares) / (float)width + epsilon));
    for (int i = 0; i < width; i += LANES) {
        const __m512 apart = _mm512_mul_ps(_mm512_sub_ps(_mm512_loadu_ps(row + i), mean), factor);
        _mm512_storeu_ps(out + i, _mm512_fmadd_ps(apart, _mm512_loadu_ps(weight + i), _mm512_loadu_ps(bias + i)));
    }
}

/* Rows of the tables for a token, summed, and their norm. The table of words is float32 where it has no scales. */
static FAST void embedded(const Encoder *encoder, int64_t id, int place, float *out) {
    const void *const *tensors = encoder->tensors;
    const int width = encoder->width;
    const float *scales = tensors[1], *position = (const float *)tensors[2] + (size_t)place * width, *type = tensors[3];
    const int8_t *narrow = (const int8_t *)tensors[0] + (size_t)id * width;
    const float *plain = (const float *)tensors[0] + (size_t)id * width;
    for (int i = 0; i < width; i += LANES) {
        __m512 x;
        if (scales) {
            const __m512i whole = _mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)(narrow + i)));
            x = _mm512_mul_ps(_mm512_cvtepi32_ps(whole), _mm512_set1_ps(scales[id]));
        } else {
            x = _mm512_loadu_ps(plain + i);
        }
        x = _mm512_add_ps(x, _mm512_loadu_ps(position + i));
        if (type) x = _mm512_add_ps(x, _mm512_loadu_ps(type + i));
        _mm512_storeu_ps(out + i, x);
    }
    norm(out, width, tensors[4], tensors[5], encoder->epsilon, out);
}

/* One head of the tokens of one window: mixed = softmax(q k' / sqrt(size)) v, QUERIES tokens at a time. Where fewer are
   left, the last one takes the empty places: the same is computed again. */
static FAST void attention(const Job *job, Own *own, int begin, int length, int head) {
    const int width = job->encoder->width, size = width / job->encoder->heads, across = rounded(length, LANES);
    const size_t corner = (size_t)begin * width + (size_t)head * size;
    const float scale = 1.0f / sqrtf((float)size);
    for (int t = 0; t < length; t++)
        for (int i = 0; i < size; i++)
            own->turned[(size_t)i * across + t] = job->k[corner + (size_t)t * width + i] * scale;
    for (int i = 0; i < size; i++)
        for (int t = length; t < across; t++) own->turned[(size_t)i * across + t] = 0.0f;
    const __m512 nothing = _mm512_set1_ps(-INFINITY);
    const __mmask16 last = (__mmask16)((1u << (length - across + LANES)) - 1);
    for (int t = 0; t < length; t += QUERIES) {
        size_t at[QUERIES];
        __m512 most[QUERIES], total[QUERIES];
        for (int n = 0; n < QUERIES; n++) {
            at[n] = corner + (size_t)(t + n < length ? t + n : length - 1) * width;
            most[n] = nothing;
            total[n] = _mm512_setzero_ps();
        }
        for (int s = 0; s < across; s += LANES) {
            __m512 sums[QUERIES] = {_mm512_setzero_ps(), _mm512_setzero_ps(), _mm512_setzero_ps(), _mm512_setzero_ps()};
            for (int i = 0; i < size; i++) {
                const __m512 keys = _mm512_loadu_ps(own->turned + (size_t)i * across + s);
#pragma GCC unroll 4
                for (int n = 0; n < QUERIES; n++)
                    sums[n] = _mm512_fmadd_ps(_mm512_set1_ps(job->q[at[n] + i]), keys, sums[n]);
            }
#pragma GCC unroll 4
            for (int n = 0; n < QUERIES; n++) {
                if (s + LANES == across) sums[n] = _mm512_mask_mov_ps(nothing, last, sums[n]);
                most[n] = _mm512_max_ps(most[n], sums[n]);
                _mm512_storeu_ps(own->scores + n * across + s, sums[n]);
            }
        }
        for (int n = 0; n < QUERIES; n++) most[n] = _mm512_set1_ps(_mm512_reduce_max_ps(most[n]));
        for (int s = 0; s < across; s += LANES)
#pragma GCC unroll 4
            for (int n = 0; n < QUERIES; n++) {
                const __m512 one = exponential(_mm512_sub_ps(_mm512_loadu_ps(own->scores + n * across + s), most[n]));
                total[n] = _mm512_add_ps(total[n], one);
                _mm512_storeu_ps(own->scores + n * across + s, one);
            }
        for (int n = 0; n < QUERIES; n++) total[n] = _mm512_set1_ps(1.0f / _mm512_reduce_add_ps(total[n]));
        for (int i = 0; i < size; i += LANES) {
            __m512 sums[QUERIES] = {_mm512_setzero_ps(), _mm512_setzero_ps(), _mm512_setzero_ps(), _mm512_setzero_ps()};
            for (int s = 0; s < length; s++) {
                const __m512 values = _mm512_loadu_ps(job->v + corner + (size_t)s * width + i);
#pragma GCC unroll 4
                for (int n = 0; n < QUERIES; n++)
                    sums[n] = _mm512_fmadd_ps(_mm512_set1_ps(own->scores[n * across + s]), values, sums[n]);
            }
#pragma GCC unroll 4
            for (int n = 0; n < QUERIES; n++)
                _mm512_storeu_ps(job->mixed + at[n] + i, _mm512_mul_ps(sums[n], total[n]));
        }
    }
}

static size_t floats_of_own(const Encoder *encoder, const Batch *batch) {
    const size_t size = (size_t)(encoder->width / encoder->heads), across = (size_t)rounded(batch->longest, LANES);
    return (size_t)batch->tokens * encoder->width + (size + QUERIES) * across;
}

static size_t bytes_of_own(const Encoder *encoder, const Batch *batch) {
    const size_t deepest = (size_t)(encoder->inner > encoder->width ? encoder->inner : encoder->width);
    const size_t bytes = floats_of_own(encoder, batch) * sizeof(float) + (size_t)batch->tokens * deepest;
    return (bytes + 63) / 64 * 64;
}

static size_t bytes_of_all(const Encoder *encoder, const Batch *batch) {
    return (size_t)batch->tokens * (5 * (size_t)encoder->width + (size_t)encoder->inner) * sizeof(float);
}

/* What one of the threads does: all layers, its share of the columns. `sums` can be one buffer for both products of a
   layer, since between its last reader and its next writer all threads meet. */
static FAST void run_share(Job *job, int thread) {
    const Encoder *encoder = job->encoder;
    const Batch *batch = job->batch;
    const int threads = batch->threads, tokens = batch->tokens, width = encoder->width, inner = encoder->inner;
    const int size = width / encoder->heads, shares = width / SHARED, wide = inner / SHARED, panels = SHARED / COLUMNS;
    const int first = shares * thread / threads * panels, last = shares * (thread + 1) / threads * panels;
    const int wide_first = wide * thread / threads * panels, wide_last = wide * (thread + 1) / threads * panels;
    const int first_row = tokens * thread / threads, last_row = tokens * (thread + 1) / threads;
    const size_t count = (size_t)tokens * width;

    Own own = {.x = (float *)(job->own + (size_t)thread * job->own_bytes)};
    own.turned = own.x + count;
    own.scores = own.turned + (size_t)size * rounded(batch->longest, LANES);
    own.narrow = (uint8_t *)(own.x + floats_of_own(encoder, batch));

    for (int w = 0, row = 0; w < batch->windows; w++)
        for (int place = 0; place < batch->lengths[w]; place++, row++)
            embedded(encoder, batch->ids[row], place, own.x + (size_t)row * width);

    for (int l = 0; l < encoder->layers; l++) {
        const void *const *tensors = encoder->tensors + TABLES + (size_t)l * OF_LAYER;
        narrowed(own.x, count, &own);
        plain(job, &own, width, matrix(tensors, width, width), first, last, job->q, width);
        plain(job, &own, width, matrix(tensors + 3, width, width), first, last, job->k, width);
        plain(job, &own, width, matrix(tensors + 6, width, width), first, last, job->v, width);
        /* each thread goes on with the heads that it made itself */
        for (int w = 0, begin = 0; w < batch->windows; begin += batch->lengths[w++])
            for (int head = first * COLUMNS / size; head < last * COLUMNS / size; head++)
                attention(job, &own, begin, batch->lengths[w], head);
        meet(&job->barrier, threads);
        narrowed(job->mixed, count, &own);
        on_top(job, &own, width, matrix(tensors + 9, width, width), first, last, own.x, job->sums, width);
        meet(&job->barrier, threads);
        for (size_t at = 0; at < count; at += width)
            norm(job->sums + at, width, tensors[12], tensors[13], encoder->epsilon, own.x + at);
        narrowed(own.x, count, &own);
        with_gelu(job, &own, width, matrix(tensors + 14, width, inner), wide_first, wide_last, job->wide, inner);
        meet(&job->barrier, threads);
        narrowed(job->wide, (size_t)tokens * inner, &own);
        on_top(job, &own, inner, matrix(tensors + 17, inner, width), first, last, own.x, job->sums, width);
        meet(&job->barrier, threads);
        for (size_t at = 0; at < count; at += width)
            norm(job->sums + at, width, tensors[20], tensors[21], encoder->epsilon, own.x + at);
    }
    for (int w = 0, row = 0; w < batch->windows; w++)
        for (int place = 0; place < batch->lengths[w]; place++, row++) {
            if (row < first_row || row >= last_row) continue;
            float *to = batch->states + ((size_t)w * batch->longest + place) * width;
            memcpy(to, own.x + (size_t)row * width, sizeof(float) * width);
        }
}

/* ---- helpers: threads that wait for calls ---- */

enum { MOST_HELPERS = 63 };

static struct {
    pthread_mutex_t busy, sleep;
    pthread_cond_t wake;
    int helpers;
    Job *job;
    atomic_uint calls;   /* goes up with each call */
    atomic_int running;  /* helpers that have not ended their part of it */
} pool = {.busy = PTHREAD_MUTEX_INITIALIZER, .sleep = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER};

static int64_t nanoseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void wait_for_call(unsigned seen) {
    const int64_t end = nanoseconds() + SPIN_NS;
    do {
        for (int i = 0; i < 64; i++) {
            if (atomic_load_explicit(&pool.calls, memory_order_acquire) != seen) return;
            _mm_pause();
        }
    } while (nanoseconds() < end);
    pthread_mutex_lock(&pool.sleep);
    while (atomic_load_explicit(&pool.calls, memory_order_acquire) == seen) pthread_cond_wait(&pool.wake, &pool.sleep);
    pthread_mutex_unlock(&pool.sleep);
}

typedef struct {
    int thread;
    unsigned seen;
} Start;

static void *help(void *argument) {
    Start start = *(Start *)argument;
    free(argument);
    for (;;) {
        wait_for_call(start.seen++);
        Job *job = pool.job;
        if (start.thread < job->batch->threads) run_share(job, start.thread);
        atomic_fetch_sub_explicit(&pool.running, 1, memory_order_acq_rel);
    }
    return NULL;
}

/* In a forked process there are no helpers, and locks may be held by nobody. */
static void forget(void) {
    pthread_mutex_init(&pool.busy, NULL);
    pthread_mutex_init(&pool.sleep, NULL);
    pthread_cond_init(&pool.wake, NULL);
    pool.helpers = 0;
    atomic_store(&pool.running, 0);
}

static void watch_forks(void) { pthread_atfork(NULL, NULL, forget); }

/* So many helpers, or as many as the system gives. The pool is this caller's. */
static int hire(int wanted) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, watch_forks);
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);  /* signals are for the threads of the program */
    while (pool.helpers < wanted) {
        Start *start = malloc(sizeof *start);
        pthread_t thread;
        if (!start) break;
        *start = (Start){pool.helpers + 1, atomic_load(&pool.calls)};
        if (pthread_create(&thread, NULL, help, start)) {
            free(start);
            break;
        }
        pthread_detach(thread);
        pool.helpers++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return pool.helpers;
}

/* ---- what is called from outside ---- */

int tw_supported(void) {
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("fma");
}

/* Bytes of a matrix as tw_pack leaves it. */
size_t tw_packed_bytes(int deep, int columns) { return (size_t)deep * columns + (size_t)columns * sizeof(int32_t); }

/* int8 (deep, columns), row after row → panels of COLUMNS columns, four rows together; the sums of columns behind. */
void tw_pack(const int8_t *weights, int deep, int columns, int8_t *out) {
    int32_t *sums = (int32_t *)(out + (size_t)deep * columns);
    memset(sums, 0, (size_t)columns * sizeof *sums);
    for (int p = 0; p < columns; p += COLUMNS)
        for (int k = 0; k < deep; k += STEP)
            for (int c = p; c < p + COLUMNS; c++)
                for (int i = 0; i < STEP; i++) {
                    const int8_t one = weights[(size_t)(k + i) * columns + c];
                    *out++ = one;
                    sums[c] += one;
                }
}

/* Bytes of memory that a call needs. */
size_t tw_memory(const Encoder *encoder, const Batch *batch) {
    return bytes_of_all(encoder, batch) + (size_t)batch->threads * bytes_of_own(encoder, batch);
}

/* States of a batch; -1, and nothing done, where a table has no such row. Where the helpers are busy with another call,
   the caller does all by itself. */
int tw_run(const Encoder *encoder, const Batch *asked, char *memory) {
    Batch batch = *asked;
    for (int i = 0; i < batch.tokens; i++)
        if (batch.ids[i] < 0 || batch.ids[i] >= encoder->words) return -1;
    if (batch.longest > encoder->places) return -1;
    const size_t count = (size_t)batch.tokens * encoder->width;
    Job job = {.encoder = encoder, .batch = &batch, .own_bytes = bytes_of_own(encoder, &batch)};
    float **parts[] = {&job.sums, &job.q, &job.k, &job.v, &job.mixed, &job.wide};
    float *at = (float *)memory;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++, at += count) *parts[i] = at;
    job.own = memory + bytes_of_all(encoder, &batch);

    if (batch.threads > MOST_HELPERS + 1) batch.threads = MOST_HELPERS + 1;
    if (batch.threads > 1 && pthread_mutex_trylock(&pool.busy)) batch.threads = 1;
    if (batch.threads == 1) {
        run_share(&job, 0);
        return 0;
    }
    const int helpers = hire(batch.threads - 1);
    if (batch.threads > helpers + 1) batch.threads = helpers + 1;
    pool.job = &job;
    atomic_store_explicit(&pool.running, helpers, memory_order_relaxed);
    pthread_mutex_lock(&pool.sleep);
    atomic_fetch_add_explicit(&pool.calls, 1, memory_order_acq_rel);
    pthread_cond_broadcast(&pool.wake);
    pthread_mutex_unlock(&pool.sleep);
    run_share(&job, 0);
    for (int spins = 0; atomic_load_explicit(&pool.running, memory_order_acquire); spins++) {
        if (spins < SPINS) _mm_pause();
        else sched_yield();
    }
    pthread_mutex_unlock(&pool.busy);
    return 0;
}

#else  /* a processor of another family: the graph is run */

int tw_supported(void) { return 0; }

#endif
