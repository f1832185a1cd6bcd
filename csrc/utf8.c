#include "wsf.h"

#include <string.h>

/*
 * The state between two bytes of a character: how many continuation bytes are to come, and the
 * range of the next one (the second byte's is narrower after E0, ED, F0 and F4: that is where
 * overlong forms, surrogates and code points past U+10FFFF are cut off).
 */
#define STATE(missing, low, high) ((wsf_utf8)(missing) | (wsf_utf8)(low) << 8 | (wsf_utf8)(high) << 16)
#define MISSING(state) ((state)&3)
#define LOW(state) ((state) >> 8 & 0xff)
#define HIGH(state) ((state) >> 16)

static wsf_utf8 after_lead(uint8_t lead)
{
    if (lead < 0xc2)
        return 0;
    if (lead < 0xe0)
        return STATE(1, 0x80, 0xbf);
    if (lead < 0xf0)
        return STATE(2, lead == 0xe0 ? 0xa0 : 0x80, lead == 0xed ? 0x9f : 0xbf);
    if (lead < 0xf5)
        return STATE(3, lead == 0xf0 ? 0x90 : 0x80, lead == 0xf4 ? 0x8f : 0xbf);
    return 0;
}

/* Steps over ASCII, 32 bytes at a time while it lasts. */
static const uint8_t *skip_ascii(const uint8_t *at, const uint8_t *end)
{
    const uint64_t high_bits = 0x8080808080808080u;
    while (end - at >= 32) {
        uint64_t w[4];
        memcpy(w, at, 32);
        if ((w[0] | w[1] | w[2] | w[3]) & high_bits)
            break;
        at += 32;
    }
    while (at < end && *at < 0x80)
        at++;
    return at;
}

size_t wsf_utf8_feed(wsf_utf8 *state, const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0; /* `data` may be NULL */
    const uint8_t *at = data, *end = data + size;
    wsf_utf8 now = *state;
    while (at < end) {
        if (now == 0) {
            at = skip_ascii(at, end);
            if (at == end)
                break;
            now = after_lead(*at);
            if (now == 0)
                return (size_t)(at - data);
        } else {
            if (*at < LOW(now) || *at > HIGH(now))
                return (size_t)(at - data);
            now = MISSING(now) > 1 ? STATE(MISSING(now) - 1, 0x80, 0xbf) : 0;
        }
        at++;
    }
    *state = now;
    return size;
}
