/*
 * Masking, each implementation of this processor against the reference: 8 bytes choose the key, the
 * alignment, whether it is done in place, and how the payload, which is the rest, is cut.
 */
#include "fuzz.h"
#include "reference.h"
#include "wsf.h"

#include <stdlib.h>
#include <string.h>

struct choices {
    uint8_t key[4];
    size_t src_offset, dst_offset; /* from the start of a block, which ends with the payload */
    int in_place;
    size_t step;
    uint32_t random;
};

static uint32_t number(const uint8_t key[4])
{
    uint32_t value;
    memcpy(&value, key, 4);
    return value;
}

/* The key turned by `size` bytes. */
static uint32_t turned(const struct choices *c, size_t size)
{
    uint8_t key[4];
    for (size_t i = 0; i < 4; i++)
        key[i] = c->key[(size + i) % 4];
    return number(key);
}

static void mask_in_pieces(const struct choices *c, uint8_t *dst, const uint8_t *src, size_t size)
{
    uint32_t key = number(c->key), random = c->random;
    for (size_t at = 0; at < size;) {
        size_t piece = c->step ? 1 + fuzz_random(&random) % c->step : size;
        if (piece > size - at)
            piece = size - at;
        key = wsf_mask(dst + at, src + at, piece, key);
        at += piece;
        REQUIRE(key == turned(c, at));
    }
}

static void check(const struct choices *c, const uint8_t *payload, size_t size,
                  const uint8_t *wanted)
{
    uint8_t *src = fuzz_alloc(c->src_offset + size), *dst = fuzz_alloc(c->dst_offset + size);
    uint8_t *from = src + c->src_offset, *to = dst + c->dst_offset;
    memset(src, 0xa5, c->src_offset);
    memset(dst, 0xa5, c->dst_offset);
    if (size)
        memcpy(from, payload, size);
    if (c->in_place) {
        mask_in_pieces(c, from, from, size);
        REQUIRE(memcmp(from, wanted, size) == 0);
    } else {
        mask_in_pieces(c, to, from, size);
        REQUIRE(memcmp(to, wanted, size) == 0);
        REQUIRE(size == 0 || memcmp(from, payload, size) == 0);
    }
    for (size_t i = 0; i < c->src_offset; i++)
        REQUIRE(src[i] == 0xa5);
    for (size_t i = 0; i < c->dst_offset; i++)
        REQUIRE(dst[i] == 0xa5);
    free(src);
    free(dst);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_input input = {data, data + size};
    struct choices choices = {0};
    for (size_t i = 0; i < 4; i++)
        choices.key[i] = (uint8_t)fuzz_take(&input, 1);
    choices.src_offset = (size_t)fuzz_take(&input, 1) % 64;
    uint64_t dst = fuzz_take(&input, 1);
    choices.dst_offset = (size_t)dst % 64;
    choices.in_place = dst >> 7 & 1;
    choices.step = (size_t)fuzz_take(&input, 1);
    choices.random = (uint32_t)fuzz_take(&input, 1);

    size_t left = fuzz_left(&input);
    uint8_t *wanted = fuzz_alloc(left);
    reference_mask(wanted, input.at, left, choices.key);
    for (size_t i = 0; wsf_mask_available(i); i++) {
        REQUIRE(wsf_mask_select(wsf_mask_available(i)) == 0);
        check(&choices, input.at, left, wanted);
    }
    free(wanted);
    return 0;
}
