#include "mask.h"

#ifndef _MSC_VER
#include <stdatomic.h>
#endif

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#define ROTATE_TO_BYTE(key, n) ((key) << 8 * (n) | (key) >> (32 - 8 * (n)))
#else
#define ROTATE_TO_BYTE(key, n) ((key) >> 8 * (n) | (key) << (32 - 8 * (n)))
#endif

/* Bytes of a line of the cache, and more than any step of an implementation leaves to be done. */
enum { SHORT = 64 };

#ifndef ALIGNED_FROM
#define ALIGNED_FROM 2048u /* bytes from which it pays to align the destination first */
#endif

static uint64_t twice(uint32_t key)
{
    return (uint64_t)key << 32 | key;
}

static size_t bulk_scalar(uint8_t *dst, const uint8_t *src, size_t size, uint32_t key)
{
    uint64_t wide = twice(key);
    size_t i = 0;
    for (; i + 8 <= size; i += 8) {
        uint64_t word;
        memcpy(&word, src + i, 8);
        word ^= wide;
        memcpy(dst + i, &word, 8);
    }
    return i;
}

static int always(void)
{
    return 1;
}

static const wsf_mask_variant scalar = {"scalar", bulk_scalar, always};

static const wsf_mask_variant *const variants[] = {
    &scalar,
#ifdef WSF_X86
    &wsf_mask_sse2,
    &wsf_mask_avx2,
    &wsf_mask_avx512,
#endif
#ifdef WSF_NEON
    &wsf_mask_neon,
#endif
};
enum { VARIANTS = sizeof variants / sizeof *variants };

/*
 * The one global of the library. Interpreters in one process, or threads of one without a lock, may
 * load the extension, which selects, while others mask. What it points to is constant, so the
 * pointer needs no more than to be read and written whole: relaxed, it costs what a plain one does.
 */
#ifdef _MSC_VER
static const wsf_mask_variant *volatile current = &scalar; /* C11's atomics came late there */
#define CURRENT() (current)
#define SET_CURRENT(variant) ((void)(current = (variant)))
#else
static _Atomic(const wsf_mask_variant *) current = &scalar;
#define CURRENT() atomic_load_explicit(&current, memory_order_relaxed)
#define SET_CURRENT(variant) atomic_store_explicit(&current, variant, memory_order_relaxed)
#endif

int wsf_mask_select(const char *name)
{
    for (size_t i = VARIANTS; i-- > 0;) {
        if ((name == NULL || strcmp(name, variants[i]->name) == 0) && variants[i]->supported()) {
            SET_CURRENT(variants[i]);
            return 0;
        }
    }
    return -1;
}

const char *wsf_mask_implementation(void)
{
    return CURRENT()->name;
}

const char *wsf_mask_available(size_t i)
{
    for (size_t v = 0; v < VARIANTS; v++) {
        if (variants[v]->supported() && i-- == 0)
            return variants[v]->name;
    }
    return NULL;
}

static uint32_t mask_long(uint8_t *dst, const uint8_t *src, size_t size, uint32_t key);

uint32_t wsf_mask(uint8_t *dst, const uint8_t *src, size_t size, uint32_t key)
{
    if (size == 0)
        return key; /* NULL is fine then, but arithmetic on it is not */
    /* Small payloads are most payloads: they are done here, without the indirect call. */
    if (size >= SHORT)
        return mask_long(dst, src, size, key);
    size_t done = bulk_scalar(dst, src, size, key);
    dst += done;
    src += done;
    size -= done;
    if (size >= 4) {
        uint32_t word;
        memcpy(&word, src, 4);
        word ^= key;
        memcpy(dst, &word, 4);
        dst += 4;
        src += 4;
        size -= 4;
    }
    if (size == 0)
        return key;
    uint8_t bytes[4];
    memcpy(bytes, &key, 4);
    for (size_t i = 0; i < size; i++)
        dst[i] = (uint8_t)(src[i] ^ bytes[i]);
    return ROTATE_TO_BYTE(key, size);
}

static uint32_t mask_long(uint8_t *dst, const uint8_t *src, size_t size, uint32_t key)
{
    /* Payloads begin behind headers, and stores across two cache lines take twice as long. */
    size_t head = size >= ALIGNED_FROM ? (size_t)(0 - (uintptr_t)dst) % SHORT : 0;
    if (head != 0)
        key = wsf_mask(dst, src, head, key);
    size_t done = head + CURRENT()->bulk(dst + head, src + head, size - head, key);
    return wsf_mask(dst + done, src + done, size - done, key);
}
