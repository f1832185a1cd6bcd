#include "mask.h"

#ifdef WSF_NEON

#ifdef _MSC_VER
#include <arm64_neon.h>
#else
#include <arm_neon.h>
#endif

static size_t bulk_neon(uint8_t *dst, const uint8_t *src, size_t size, uint32_t key)
{
    const uint8x16_t wide = vreinterpretq_u8_u32(vdupq_n_u32(key));
    size_t i = 0;
    for (; i + 64 <= size; i += 64) {
        for (size_t j = i; j < i + 64; j += 16)
            vst1q_u8(dst + j, veorq_u8(vld1q_u8(src + j), wide));
    }
    for (; i + 16 <= size; i += 16)
        vst1q_u8(dst + i, veorq_u8(vld1q_u8(src + i), wide));
    return i;
}

static int has_neon(void)
{
    return 1; /* part of AArch64 */
}

const wsf_mask_variant wsf_mask_neon = {"neon", bulk_neon, has_neon};

#else
typedef int wsf_mask_neon_is_empty; /* ISO C wants a declaration in every file */
#endif
