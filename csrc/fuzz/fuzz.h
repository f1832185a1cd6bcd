/*
 * What the fuzz targets have in common. A target is a file fuzz_*.c with LLVMFuzzerTestOneInput,
 * run by libFuzzer (`make fuzz`) or, over the committed inputs, by replay.c (`make test`).
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <stddef.h>
#include <stdint.h>

/* One run of the target. A finding ends the program; otherwise 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What must hold for every input: if it does not, says where, and aborts. */
#define REQUIRE(condition) \
    ((condition) ? (void)0 : fuzz_fail(__FILE__, __LINE__, #condition))
_Noreturn void fuzz_fail(const char *file, int line, const char *what);

/* The input as a source of decisions; whoever reads past its end reads zeros. */
typedef struct fuzz_input {
    const uint8_t *at, *end;
} fuzz_input;

/* The next 1-8 bytes as a number, the lowest byte first. */
uint64_t fuzz_take(fuzz_input *input, size_t bytes);

/* How many bytes are left. */
size_t fuzz_left(const fuzz_input *input);

/* malloc that does not fail. A block of its own shows ASan one byte too far on either side. */
void *fuzz_alloc(size_t size);

/* The same number for the same state, and a state for the next one (xorshift). */
uint32_t fuzz_random(uint32_t *state);

/* Chooses one of the masking implementations of this processor. */
void fuzz_choose_mask(uint64_t choice);

#endif
