/* Streaming UTF-8 against the reference: the first three bytes choose how the text is cut. */
#include "fuzz.h"
#include "reference.h"
#include "wsf.h"

#include <stdlib.h>
#include <string.h>

/* Feeds the text in pieces of `step` bytes, or of random sizes up to it, each in a block of just
 * its size. */
static void check(const uint8_t *text, size_t size, size_t step, uint32_t random)
{
    wsf_utf8 state = 0;
    size_t ended = 0; /* the last whole character */
    for (size_t at = 0; at < size;) {
        size_t piece_size = random ? 1 + fuzz_random(&random) % step : step, more;
        if (piece_size > size - at)
            piece_size = size - at;
        uint8_t *piece = fuzz_alloc(piece_size);
        memcpy(piece, text + at, piece_size);
        size_t fed = wsf_utf8_feed(&state, piece, piece_size);
        free(piece);
        size_t good = ended + reference_utf8(text + ended, at + piece_size - ended, &more);
        ended += more;
        REQUIRE(at + fed == good);
        if (fed < piece_size)
            return;
        REQUIRE((state == 0) == (ended == good));
        at += piece_size;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_input input = {data, data + size};
    size_t step = 1 + (size_t)fuzz_take(&input, 1);
    uint32_t random = (uint32_t)fuzz_take(&input, 2);
    size_t left = fuzz_left(&input);
    check(input.at, left, left + 1, 0);
    check(input.at, left, 1, 0);
    check(input.at, left, step, random);
    return 0;
}
