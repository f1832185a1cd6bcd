/* A stream on its way through a parser, however it is cut, received and short of memory. */
#ifndef DELIVER_H
#define DELIVER_H

#include "fuzz.h"
#include "transcript.h"
#include "wsf.h"

typedef struct delivery {
    size_t first, second; /* the stream is cut at these places, and */
    size_t step;          /* into pieces of this size, 0 = no more pieces than that, */
    uint32_t random;      /* or of random sizes up to it; 0 = not random */
    size_t window;        /* `min` for wsf_parser_window, which is used if offered; 0 = never */
    size_t fail_at;       /* the allocation that fails, counted from 1; 0 = none */
    int take;             /* whether blocks are taken */
    size_t batch;         /* how many short messages are asked for at once; 0 = none */
} delivery;

/* Whole, and one byte at a time. */
extern const delivery whole, bytewise;

/* Takes a delivery from the input: 8 bytes of it. */
delivery deliver_choose(fuzz_input *input);

/*
 * Gives `stream` to a new parser. Fails unless it says what `wanted` says, each event and the error
 * as soon as there are the bytes that tell; or, if an allocation failed, a part of that and then
 * that memory is out. The stream itself stays as it is. `config` needs no hook.
 */
void deliver(const delivery *how, const wsf_config *config, const uint8_t *stream, size_t size,
             const transcript *wanted);

#endif
