#include "fuzz.h"

#include "wsf.h"

#include <stdio.h>
#include <stdlib.h>

void fuzz_fail(const char *file, int line, const char *what)
{
    fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, what);
    abort();
}

uint64_t fuzz_take(fuzz_input *input, size_t bytes)
{
    uint64_t value = 0;
    for (size_t i = 0; i < bytes && input->at < input->end; i++)
        value |= (uint64_t)*input->at++ << 8 * i;
    return value;
}

size_t fuzz_left(const fuzz_input *input)
{
    return (size_t)(input->end - input->at);
}

void *fuzz_alloc(size_t size)
{
    void *block = malloc(size ? size : 1);
    if (block == NULL) {
        fprintf(stderr, "fuzz: no memory for %zu bytes\n", size);
        exit(1);
    }
    return block;
}

uint32_t fuzz_random(uint32_t *state)
{
    uint32_t x = *state ? *state : 1;
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    *state = x;
    return x;
}

void fuzz_choose_mask(uint64_t choice)
{
    size_t count = 0;
    while (wsf_mask_available(count))
        count++;
    REQUIRE(wsf_mask_select(wsf_mask_available((size_t)(choice % count))) == 0);
}
