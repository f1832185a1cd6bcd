/*
 * What was said about a stream: its events in order, then perhaps an error. The pieces in which a
 * compressed message comes depend on how the stream was cut, so they are joined.
 */
#ifndef TRANSCRIPT_H
#define TRANSCRIPT_H

#include "wsf.h"

typedef struct item {
    uint8_t opcode, compressed;
    uint8_t more;  /* of a compressed message: here a control frame came between, or the end */
    uint16_t code; /* of a close frame */
    size_t start, size; /* its payload, in `bytes` */
    size_t known_at;    /* how much of the stream it took to know it; not compared */
} item;

typedef struct transcript {
    item *items;
    size_t count, room;
    uint8_t *bytes; /* all payloads */
    size_t size, bytes_room;
    unsigned errors; /* which could be reported: bit n for error -n; 0 = none */
    size_t error_at; /* how much of the stream it takes to know */
} transcript;

/* Empties a transcript, whose memory is kept. A zeroed one is empty. */
void transcript_start(transcript *t);

/* Puts bytes where the payload of the next item gathers; returns where they are, until the next
 * call. `data` NULL leaves them to be written. */
uint8_t *transcript_gather(transcript *t, const uint8_t *data, size_t size);

/* Adds an item whose payload is all that has been gathered since the last. */
void transcript_item(transcript *t, uint8_t opcode, uint16_t code, size_t known_at);

/* Adds a piece of a compressed message from what has been gathered, or joins it to the last. */
void transcript_piece(transcript *t, uint8_t opcode, int more, size_t known_at);

/* How many of the items can be told from the first `known` bytes of the stream, all of each, if
 * `told` can be told from less. */
size_t transcript_told(const transcript *t, size_t known, size_t told);

/* Fails unless the first `count` items are the same. */
void transcript_require_same(const transcript *a, const transcript *b, size_t count);

#endif
