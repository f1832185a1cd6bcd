/*
 * Masking without Python: each function masks or copies the same `size` bytes `count` times. With
 * `to` equal to `from` it works in place; memcpy, which may not, copies to the bytes behind them.
 * With `sent`, READ bytes, the result is copied there, part by part, as a system call reads it.
 */
#include <string.h>

#include "wsf.h"

#ifdef HAVE_PICOWS
#include "compat.h"
#endif

enum { READ = 1 << 16 };

/* Between two rounds nothing may be assumed about memory, or memcpy would be done only once. */
static void end_round(const uint8_t *to, size_t size, uint8_t *sent)
{
    __asm__ volatile("" : : : "memory");
    for (size_t at = 0; sent != NULL && at < size; at += READ) {
        memcpy(sent, to + at, size - at < READ ? size - at : READ);
        __asm__ volatile("" : : : "memory");
    }
}

void select_best(void) { wsf_mask_select(NULL); }

void loop_wsfast(uint8_t *to, uint8_t *from, size_t size, size_t count, uint8_t *sent)
{
    uint32_t key;
    memcpy(&key, "\x37\xfa\x21\x3d", 4);
    for (size_t i = 0; i < count; i++) {
        wsf_mask(to, from, size, key);
        end_round(to, size, sent);
    }
}

void loop_memcpy(uint8_t *to, uint8_t *from, size_t size, size_t count, uint8_t *sent)
{
    if (to == from)
        to = from + size;
    for (size_t i = 0; i < count; i++) {
        memcpy(to, from, size);
        end_round(to, size, sent);
    }
}

#ifdef HAVE_PICOWS
/* The steps that picows takes: up to an aligned byte, the widest registers, four bytes, one. */
static void mask_as_picows(uint8_t *to, uint8_t *from, size_t size, uint32_t key,
                           apply_mask_fn widest, size_t alignment)
{
    size_t at = mask_misaligned_bytes_at_front(from, size, key, alignment, &to);
    uint32_t rotated = (uint32_t)rotate_right(key, at);
    if (at < size)
        at = widest(from, size, at, rotated, to);
    if (at < size)
        at = apply_mask_4(from, size, at, rotated, to);
    if (at < size)
        apply_mask_1(from, size, at, rotated, to);
}

void loop_picows(uint8_t *to, uint8_t *from, size_t size, size_t count, uint8_t *sent)
{
    apply_mask_fn widest = get_apply_mask_fast_fn();
    size_t alignment = get_apply_mask_fast_alignment();
    uint32_t key;
    memcpy(&key, "\x37\xfa\x21\x3d", 4);
    for (size_t i = 0; i < count; i++) {
        mask_as_picows(to, from, size, key, widest, alignment);
        end_round(to, size, sent);
    }
}
#endif
