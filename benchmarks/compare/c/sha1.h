#ifndef SHA1_H
#define SHA1_H

#include <stddef.h>
#include <stdint.h>

/* For at most 183 bytes: enough for Sec-WebSocket-Accept. */
void sha1(uint8_t digest[20], const void *data, size_t size);

#endif
