/*
 * Streams of frames from a short notation, by an encoder that shares nothing with the one tested.
 *
 * Frames are separated by spaces. A frame is its first byte in hex (81 = FIN, text), then:
 *     !           the mask bit as it must not be in this role
 *     /16, /64    the length in 16 or 64 bits, short or not
 *     :5f         a header that claims this length (hex), whatever payload follows, or none
 *     'Hello'     the payload, which the C compiler's own escapes may help to write (no NUL, no ')
 *     'a'*300     the payload 300 times over
 * `=827e0100` puts raw bytes into the stream, and `=00*256` repeats them.
 * In the server's role (1) frames are masked, each with another key.
 */
#ifndef FRAMES_H
#define FRAMES_H

#include <stddef.h>
#include <stdint.h>

#define FRAMES_ROOM ((size_t)1 << 20)

/* Returns the stream in a static buffer of FRAMES_ROOM bytes, good until the next call. Exits on a
 * notation that makes no sense. */
uint8_t *frames(const char *notation, int server, size_t *size);

/* One frame with any payload, for what the notation cannot say; appends it to `out`, which must
 * have room, and returns the size. `width` is 0 for the shortest length, 16 or 64. */
size_t frame(uint8_t *out, unsigned first_byte, int masked, unsigned width, const uint8_t *payload,
             uint64_t length, size_t payload_size);

#endif
