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

TARGET("avx2")
static size_t bulk_avx2(uint8_t *dst, const uint8_t *src, size_t size, uint32_t key)
{
    const __m256i wide = _mm256_set1_epi32((int)key);
    size_t i = 0;
    for (; i + 128 <= size; i += 128) {
        for (size_t j = i; j < i + 128; j += 32) {
            __m256i block = _mm256_loadu_si256((const __m256i *)(const void *)(src + j));
            _mm256_storeu_si256((__m256i *)(void *)(dst + j), _mm256_xor_si256(block, wide));
        }
    }
    for (; i + 32 <= size; i += 32) {
        __m256i block = _mm256_loadu_si256((const __m256i *)(const void *)(src + i));
        _mm256_storeu_si256((__m256i *)(void *)(dst + i), _mm256_xor_si256(block, wide));
    }
    return i;
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

/* The processor knowing AVX2 is not enough: the system must save the wide registers (OSXSAVE, and
 * XMM and YMM in XCR0), or the first instruction faults. */
int wsf_x86_has_avx2(const wsf_x86 *processor)
{
    unsigned registers[4];
    processor->cpuid(0, registers);
    if (registers[0] < 7)
        return 0;
    processor->cpuid(1, registers);
    if (!(registers[2] >> 27 & 1) || (processor->enabled_state() & 6) != 6)
        return 0;
    processor->cpuid(7, registers);
    return registers[1] >> 5 & 1;
}

static int has_avx2(void)
{
    static const wsf_x86 this_one = {cpuid, enabled_state};
    return wsf_x86_has_avx2(&this_one);
}

const wsf_mask_variant wsf_mask_sse2 = {"sse2", bulk_sse2, has_sse2};
const wsf_mask_variant wsf_mask_avx2 = {"avx2", bulk_avx2, has_avx2};

#else
typedef int wsf_mask_x86_is_empty; /* ISO C wants a declaration in every file */
#endif
