/* The simple forms of UTF-8, masking and headers. */
#include "reference.h"

#include <string.h>

/* The lowest and the highest code point that RFC 3629 encodes in `bytes` bytes. */
static const uint32_t lowest[] = {0, 0, 0x80, 0x800, 0x10000};
static const uint32_t highest[] = {0, 0x7f, 0x7ff, 0xffff, 0x10ffff};

/* Whether some code point from `low` to `high` may be encoded in `bytes` bytes. */
static int some_is_allowed(uint32_t low, uint32_t high, size_t bytes)
{
    if (low < lowest[bytes])
        low = lowest[bytes];
    if (high > highest[bytes])
        high = highest[bytes];
    if (low >= 0xd800 && low <= 0xdfff)
        low = 0xe000; /* surrogates are no characters */
    if (high >= 0xd800 && high <= 0xdfff)
        high = 0xd7ff;
    return low <= high;
}

/* How many bytes of the character at `data` are good, and whether that is all of it. Each byte
 * narrows the range of code points that the character can still become. */
static size_t one_character(const uint8_t *data, size_t size, int *whole)
{
    uint8_t lead = data[0];
    size_t bytes = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    *whole = 0;
    if ((lead >= 0x80 && lead < 0xc0) || lead >= 0xf8)
        return 0;
    uint32_t point = bytes == 1 ? lead : lead & (0x7fu >> bytes);
    for (size_t i = 0;; i++) {
        size_t to_come = 6 * (bytes - 1 - i);
        uint32_t low = point << to_come, high = low | ((1u << to_come) - 1);
        if (!some_is_allowed(low, high, bytes))
            return i;
        if (i + 1 == bytes) {
            *whole = 1;
            return bytes;
        }
        if (i + 1 == size || (data[i + 1] & 0xc0) != 0x80)
            return i + 1;
        point = point << 6 | (data[i + 1] & 0x3fu);
    }
}

size_t reference_utf8(const uint8_t *data, size_t size, size_t *ended)
{
    size_t at = 0;
    int whole = 1;
    *ended = 0;
    while (at < size && whole) {
        at += one_character(data + at, size - at, &whole);
        if (whole)
            *ended = at;
    }
    return at;
}

void reference_mask(uint8_t *dst, const uint8_t *src, size_t size, const uint8_t key[4])
{
    for (size_t i = 0; i < size; i++)
        dst[i] = src[i] ^ key[i % 4];
}

int reference_read_header(reference_header *header, const uint8_t *data, size_t size)
{
    memset(header, 0, sizeof *header);
    if (size < 2)
        return 0;
    header->fin = data[0] / 128;
    header->rsv = data[0] / 16 % 8;
    header->opcode = data[0] % 16;
    header->masked = data[1] / 128;
    header->length = data[1] % 128;
    if (header->length > 125) {
        header->length_size = header->length == 126 ? 2 : 8;
        header->length = 0;
    }
    header->size = 2 + header->length_size + 4 * header->masked;
    if (size < 2 + header->length_size)
        return 1;
    for (size_t i = 0; i < header->length_size; i++)
        header->length = header->length * 256 + data[2 + i];
    if (size < header->size)
        return 2;
    if (header->masked)
        memcpy(header->key, data + header->size - 4, 4);
    return 3;
}
