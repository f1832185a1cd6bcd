#include "frames.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static unsigned frames_made; /* gives each frame a masking key of its own */

size_t frame(uint8_t *out, unsigned first_byte, int masked, unsigned width, const uint8_t *payload,
             uint64_t length, size_t payload_size)
{
    uint8_t *at = out;
    if (width == 0 && length > 125)
        width = length <= 65535 ? 16 : 64;
    unsigned short_length = width == 64 ? 127 : width == 16 ? 126 : (unsigned)length;
    *at++ = (uint8_t)first_byte;
    *at++ = (uint8_t)((masked ? 128 : 0) + short_length);
    for (unsigned shift = width; shift > 0; shift -= 8)
        *at++ = (uint8_t)(length >> (shift - 8));

    uint8_t key[4] = {0, 0, 0, 0};
    if (masked) {
        frames_made++;
        key[0] = (uint8_t)(0x37 + frames_made);
        key[1] = (uint8_t)(0xfa - frames_made);
        key[2] = (uint8_t)(0x21 * frames_made);
        key[3] = (uint8_t)(0x3d ^ frames_made);
        memcpy(at, key, 4);
        at += 4;
    }
    for (size_t i = 0; i < payload_size; i++)
        *at++ = payload[i] ^ key[i % 4];
    return (size_t)(at - out);
}

static void complain(const char *notation, const char *at)
{
    fprintf(stderr, "frames: cannot read \"%s\" from \"%s\" on\n", notation, at);
    exit(1);
}

static unsigned hex_byte(const char *notation, const char *at)
{
    char digits[3] = {at[0], at[0] ? at[1] : '\0', '\0'};
    if (!isxdigit((unsigned char)digits[0]) || !isxdigit((unsigned char)digits[1]))
        complain(notation, at);
    return (unsigned)strtoul(digits, NULL, 16);
}

/* Writes `size` bytes as often as a "*300" at `*at` says, once without; returns how many that
 * makes. */
static size_t repeat(uint8_t *out, const uint8_t *bytes, size_t size, const char **at)
{
    size_t times = 1;
    if (**at == '*') {
        char *end;
        times = strtoul(*at + 1, &end, 10);
        *at = end;
    }
    if (times * size > FRAMES_ROOM)
        complain("*", *at);
    for (size_t i = 0; i < times; i++)
        memcpy(out + i * size, bytes, size);
    return times * size;
}

static size_t raw_bytes(uint8_t *out, const char *notation, const char **at)
{
    uint8_t bytes[64];
    size_t size = 0;
    for (++*at; **at && **at != ' ' && **at != '*'; *at += 2) {
        if (size == sizeof bytes)
            complain(notation, *at);
        bytes[size++] = (uint8_t)hex_byte(notation, *at);
    }
    return repeat(out, bytes, size, at);
}

static size_t one_frame(uint8_t *out, const char *notation, const char **at, int server)
{
    static uint8_t payload[FRAMES_ROOM];
    unsigned first_byte = hex_byte(notation, *at), width = 0;
    int masked = server;
    *at += 2;
    if (**at == '!') {
        masked = !masked;
        ++*at;
    }
    if (**at == '/') {
        char *end;
        width = (unsigned)strtoul(*at + 1, &end, 10);
        *at = end;
    }
    int claims = **at == ':';
    uint64_t claimed = 0;
    if (claims) {
        char *end;
        claimed = strtoull(*at + 1, &end, 16);
        *at = end;
        if (**at != '\'')
            return frame(out, first_byte, masked, width, NULL, claimed, 0);
    }
    const char *close = **at == '\'' ? strchr(*at + 1, '\'') : NULL;
    if (close == NULL)
        complain(notation, *at);
    const uint8_t *bytes = (const uint8_t *)*at + 1;
    size_t size = (size_t)(close - *at) - 1;
    *at = close + 1;
    size = repeat(payload, bytes, size, at);
    uint64_t length = claims ? claimed : size;
    return frame(out, first_byte, masked, width, payload, length, size);
}

uint8_t *frames(const char *notation, int server, size_t *size)
{
    static uint8_t stream[2 * FRAMES_ROOM];
    const char *at = notation;
    *size = 0;
    while (*at) {
        if (*at == '=')
            *size += raw_bytes(stream + *size, notation, &at);
        else if (*at != ' ')
            *size += one_frame(stream + *size, notation, &at, server);
        else
            at++;
        if (*size > FRAMES_ROOM)
            complain(notation, at);
    }
    return stream;
}
