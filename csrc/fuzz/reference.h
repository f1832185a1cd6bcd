/*
 * The same formats once more, written to be obviously right and to share nothing with the library:
 * one byte after the other, the whole stream at once, no state.
 */
#ifndef REFERENCE_H
#define REFERENCE_H

#include "transcript.h"
#include "wsf.h"

/*
 * How many bytes of `data` are the beginning of some UTF-8 text; `*ended` is where the last whole
 * character before that ends.
 */
size_t reference_utf8(const uint8_t *data, size_t size, size_t *ended);

/* XORs `size` bytes with the key's four in turn, which are in wire order. */
void reference_mask(uint8_t *dst, const uint8_t *src, size_t size, const uint8_t key[4]);

/* A header as its bytes say it, good or not. */
typedef struct reference_header {
    unsigned fin, rsv, opcode, masked;
    size_t size;        /* of the header itself */
    size_t length_size; /* of the extended length: 0, 2 or 8 */
    uint64_t length;
    uint8_t key[4];
} reference_header;

/* Reads the first `size` bytes of a stream; returns how many of a header's parts are there:
 * 0 = not even two bytes, 1 = those, 2 = the length too, 3 = all of it. */
int reference_read_header(reference_header *header, const uint8_t *data, size_t size);

/* What a parser with this configuration has to say to the stream. */
void reference_parse(transcript *out, const wsf_config *config, const uint8_t *stream, size_t size);

#endif
