/*
 * Drives a parser over a stream and writes down what it said, as in
 *     text 'Hello'; ping 'x'; binary '\x00'*256; close 1000 'bye'; error OPCODE 1002
 * Payloads of more than 32 bytes are shown as a repeated byte, or by their size and a hash.
 */
#ifndef DRIVE_H
#define DRIVE_H

#include "wsf.h"

/* Where the stream is cut into the pieces that arrive: at two places, and every `step` bytes. */
struct cuts {
    size_t first, second; /* in order; a place past the end cuts nothing */
    size_t step;          /* 0 = nowhere else */
};

extern const struct cuts uncut;

enum place { ON_HEAP, BEFORE_GUARD, AFTER_GUARD };

/* How the bytes reach the parser, and what becomes of the blocks that it gives out. */
struct way {
    size_t window;    /* `min` for wsf_parser_window, which is used when offered; 0 = never */
    int take;         /* blocks are taken, and looked at again when all is over */
    enum place place; /* of each piece that is fed, in memory of exactly its size */
    size_t batch;     /* how many short messages are asked for at once, up to 3; 0 = none */
};

extern const struct way ways[];
extern const size_t ways_count;

/*
 * Runs a new parser, with the hook of memory.h put into `config`, over the whole stream and returns
 * the log, which is good until the next call. Checks on the way that errors stay, that windows are
 * within bounds, that events are well formed, and that no block is left over. If `error_at` is not
 * NULL, it is set to the number of bytes that had been given when the error came.
 */
const char *drive(const wsf_config *config, const struct way *way, const uint8_t *stream,
                  size_t size, const struct cuts *cuts, size_t *error_at);

/* The payload as the log shows it, in a static buffer. */
const char *payload_text(const uint8_t *data, size_t size);

/* The name of an error without its prefix: "OPCODE" for WSF_ERR_OPCODE. */
const char *error_name(int error);

#endif
