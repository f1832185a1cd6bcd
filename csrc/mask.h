/* Between mask.c and its instruction sets; not part of the public contract. */
#ifndef WSF_MASK_H
#define WSF_MASK_H

#include "wsf.h"

#include <string.h>

/*
 * One instruction set. `bulk` masks as many whole steps of its own width as fit in `size` and
 * returns how many bytes that was: a multiple of four, so that the key need not be rotated. The
 * rest is left to the caller. `supported` says whether this processor and its operating system
 * can run it.
 */
typedef struct wsf_mask_variant {
    const char *name;
    size_t (*bulk)(uint8_t *dst, const uint8_t *src, size_t size, uint32_t key);
    int (*supported)(void);
} wsf_mask_variant;

#if defined(__x86_64__) || defined(_M_X64)
#define WSF_X86 1
extern const wsf_mask_variant wsf_mask_sse2, wsf_mask_avx2, wsf_mask_avx512;

/* How an x86 processor is asked what it can do. Tests ask some that are not here. */
typedef struct wsf_x86 {
    void (*cpuid)(unsigned leaf, unsigned registers[4]); /* EAX, EBX, ECX, EDX; subleaf 0 */
    uint64_t (*enabled_state)(void); /* XCR0; faults without OSXSAVE */
} wsf_x86;

int wsf_x86_has_avx2(const wsf_x86 *processor);
int wsf_x86_has_avx512(const wsf_x86 *processor);
#elif defined(__aarch64__) || defined(_M_ARM64)
#define WSF_NEON 1
extern const wsf_mask_variant wsf_mask_neon;
#endif

#endif
