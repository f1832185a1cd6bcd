#include "mask.h"

#ifdef WSF_X86

#include <immintrin.h>

#ifdef _MSC_VER
#include <intrin.h>
#define TARGET(set)
#else
#include <cpuid.h>
#define TARGET(set) __attribute__((target(set)))
#endif

static size_t bulk_sse2(uint8_t *dst, const uint8_t *src, size_t size, uint32_t key)
{
    const __m128i wide = _mm_set1_epi32((int)key);
    size_t i = 0;
    for (; i + 64 <= size; i += 64) {
        for (size_t j = i; j < i + 64; j += 16) {
            __m128i block = _mm_loadu_si128((const __m128i *)(const void *)(src + j));
            _mm_storeu_si128((__m128i *)(void *)(dst + j), _mm_xor_si128(block, wide));
        }
    }
    for (; i + 16 <= size; i += 16) {
        __m128i block = _mm_loadu_si128((const __m128i *)(const void *)(src + i));
        _mm_storeu_si128((__m128i *)(void *)(dst + i), _mm_xor_si128(block, wide));
    }
    return i;
}

/*
 * With so many bytes, source and destination together exceed the nearest cache. The processor then
 * fetches what a loop reads by itself, but is late with what it writes to: this is asked for ahead.
 */
#ifndef FETCHED_FROM
#define FETCHED_FROM 32768u
#endif
enum { AHEAD = 1024 };

static int is_fetched(const uint8_t *dst, const uint8_t *src, size_t size)
{
    return size >= FETCHED_FROM && dst != src;
}

static inline void fetch(const uint8_t *at, size_t size)
{
    for (size_t i = 0; i < size; i += 64)
        _mm_prefetch((const char *)at + i, _MM_HINT_T0);
}

TARGET("avx2")
static inline void step_avx2(uint8_t *dst, const uint8_t *src, __m256i wide)
{
    __m256i block = _mm256_loadu_si256((const __m256i *)(const void *)src);
    _mm256_storeu_si256((__m256i *)(void *)dst, _mm256_xor_si256(block, wide));
}

TARGET("avx2")
static inline void steps_avx2(uint8_t *dst, const uint8_t *src, __m256i wide)
{
    for (size_t i = 0; i < 128; i += 32)
        step_avx2(dst + i, src + i, wide);
}

TARGET("avx2")
static size_t bulk_avx2(uint8_t *dst, const uint8_t *src, size_t size, uint32_t key)
{
    const __m256i wide = _mm256_set1_epi32((int)key);
    size_t left = size;
    if (is_fetched(dst, src, size)) {
        for (; left >= 128 + AHEAD; left -= 128, dst += 128, src += 128) {
            fetch(dst + AHEAD, 128);
            steps_avx2(dst, src, wide);
        }
    }
    for (; left >= 128; left -= 128, dst += 128, src += 128)
        steps_avx2(dst, src, wide);
    for (; left >= 32; left -= 32, dst += 32, src += 32)
        step_avx2(dst, src, wide);
    return size - left;
}

TARGET("avx512f")
static inline void step_avx512(uint8_t *dst, const uint8_t *src, __m512i wide)
{
    _mm512_storeu_si512(dst, _mm512_xor_si512(_mm512_loadu_si512(src), wide));
}

TARGET("avx512f")
static inline void steps_avx512(uint8_t *dst, const uint8_t *src, __m512i wide)
{
    for (size_t i = 0; i < 256; i += 64)
        step_avx512(dst + i, src + i, wide);
}

TARGET("avx512f")
static size_t bulk_avx512(uint8_t *dst, const uint8_t *src, size_t size, uint32_t key)
{
    const __m512i wide = _mm512_set1_epi32((int)key);
    size_t left = size;
    if (is_fetched(dst, src, size)) {
        for (; left >= 256 + AHEAD; left -= 256, dst += 256, src += 256) {
            fetch(dst + AHEAD, 256);
            steps_avx512(dst, src, wide);
        }
    }
    for (; left >= 256; left -= 256, dst += 256, src += 256)
        steps_avx512(dst, src, wide);
    for (; left >= 64; left -= 64, dst += 64, src += 64)
        step_avx512(dst, src, wide);
    return size - left;
}

static int has_sse2(void)
{
    return 1; /* part of x86-64 */
}

static void cpuid(unsigned leaf, unsigned registers[4])
{
#ifdef _MSC_VER
    int signed_registers[4];
    __cpuidex(signed_registers, (int)leaf, 0);
    for (int i = 0; i < 4; i++)
        registers[i] = (unsigned)signed_registers[i];
#else
    __cpuid_count(leaf, 0, registers[0], registers[1], registers[2], registers[3]);
#endif
}

static uint64_t enabled_state(void)
{
#ifdef _MSC_VER
    return _xgetbv(0);
#else
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (uint64_t)high << 32 | low;
#endif
}

/* The processor knowing an instruction set is not enough: the system must save the registers
 * (OSXSAVE, and `state` in XCR0), or the first instruction faults. Fills in leaf 7 if it does. */
static int features(const wsf_x86 *processor, uint64_t state, unsigned registers[4])
{
    processor->cpuid(0, registers);
    if (registers[0] < 7)
        return 0;
    processor->cpuid(1, registers);
    if (!(registers[2] >> 27 & 1) || (processor->enabled_state() & state) != state)
        return 0;
    processor->cpuid(7, registers);
    return 1;
}

int wsf_x86_has_avx2(const wsf_x86 *processor)
{
    unsigned registers[4];
    return features(processor, 0x6 /* XMM, YMM */, registers) && (registers[1] >> 5 & 1);
}

/* AVX-512F, and VBMI2, which is not used: it tells processors from Ice Lake and Zen 4 on from the
 * first ones, which lower their clock for everybody while 512 bits are in use. */
int wsf_x86_has_avx512(const wsf_x86 *processor)
{
    unsigned registers[4];
    return features(processor, 0xe6 /* and the masks, and both parts of ZMM */, registers) &&
           (registers[1] >> 16 & 1) && (registers[2] >> 6 & 1);
}

static const wsf_x86 this_one = {cpuid, enabled_state};

static int has_avx2(void)
{
    return wsf_x86_has_avx2(&this_one);
}

static int has_avx512(void)
{
    return wsf_x86_has_avx512(&this_one);
}

const wsf_mask_variant wsf_mask_sse2 = {"sse2", bulk_sse2, has_sse2};
const wsf_mask_variant wsf_mask_avx2 = {"avx2", bulk_avx2, has_avx2};
const wsf_mask_variant wsf_mask_avx512 = {"avx512", bulk_avx512, has_avx512};

#else
typedef int wsf_mask_x86_is_empty; /* ISO C wants a declaration in every file */
#endif
