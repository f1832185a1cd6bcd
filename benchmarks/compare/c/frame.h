/* The frames of RFC 6455, section 5.2. */
#ifndef FRAME_H
#define FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { OP_TEXT = 1, OP_BINARY = 2, OP_CLOSE = 8, OP_PING = 9, OP_PONG = 10, FIN = 0x80 };

enum { HEADER_MAX = 14 };

struct frame {
    uint8_t first;  /* FIN, RSV1-3 and the opcode, as on the wire */
    bool masked;
    uint8_t key[4];
    size_t header;  /* bytes */
    size_t payload; /* bytes */
};

static inline int frame_opcode(const struct frame *frame) { return frame->first & 15; }
static inline bool frame_is_control(const struct frame *frame) { return frame->first & 8; }

/* False while the header is not complete. */
bool frame_parse(struct frame *frame, const uint8_t *data, size_t size);

/* The size of a header without a masking key. */
size_t frame_header_size(size_t payload);

/* Writes a header, with `key` unless it is NULL; returns its size. */
size_t frame_header(uint8_t *to, uint8_t first, size_t payload, const uint8_t *key);

/* Copies and masks (or unmasks). `to` may be `from`. */
void frame_mask(uint8_t *to, const uint8_t *from, size_t size, const uint8_t *key);

#endif
