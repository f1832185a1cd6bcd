#include "frame.h"

#include <string.h>

bool frame_parse(struct frame *frame, const uint8_t *data, size_t size) {
    if (size < 2)
        return false;
    size_t extended = (data[1] & 127) == 126 ? 2 : (data[1] & 127) == 127 ? 8 : 0;
    frame->first = data[0];
    frame->masked = data[1] & 128;
    frame->header = 2 + extended + (frame->masked ? 4 : 0);
    if (size < frame->header)
        return false;
    frame->payload = extended ? 0 : data[1] & 127;
    for (size_t i = 0; i < extended; i++)
        frame->payload = frame->payload << 8 | data[2 + i];
    if (frame->masked)
        memcpy(frame->key, data + 2 + extended, 4);
    return true;
}

size_t frame_header_size(size_t payload) { return payload < 126 ? 2 : payload < 65536 ? 4 : 10; }

size_t frame_header(uint8_t *to, uint8_t first, size_t payload, const uint8_t *key) {
    size_t size = frame_header_size(payload);
    to[0] = first;
    to[1] = (uint8_t)(size == 2 ? payload : size == 4 ? 126 : 127);
    for (size_t i = 2; i < size; i++)
        to[i] = (uint8_t)(payload >> 8 * (size - 1 - i));
    if (!key)
        return size;
    to[1] |= 128;
    memcpy(to + size, key, 4);
    return size + 4;
}

void frame_mask(uint8_t *to, const uint8_t *from, size_t size, const uint8_t *key) {
    uint32_t word;
    uint64_t wide, part;
    memcpy(&word, key, 4);
    wide = (uint64_t)word << 32 | word;
    size_t i = 0;
    for (; i + 8 <= size; i += 8) { /* the compiler makes vectors of it */
        memcpy(&part, from + i, 8);
        part ^= wide;
        memcpy(to + i, &part, 8);
    }
    for (; i < size; i++)
        to[i] = from[i] ^ key[i & 3];
}
