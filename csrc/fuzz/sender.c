#include "sender.h"

#include "wsf.h"

#include <stdlib.h>
#include <string.h>

#define MOST_PAYLOAD ((size_t)160 * 1024) /* enough for every width of the length */
#define MOST_STEPS 16                      /* messages, or control frames between them */
#define MOST_FRAGMENTS 16                  /* of a message; with a control frame after each */
#define ROOM \
    (MOST_PAYLOAD + MOST_STEPS * MOST_FRAGMENTS * (size_t)(2 * WSF_HEADER_MAX + WSF_CONTROL_MAX))

/* A step is a byte: in its upper half what to send, in its lower what kind of message. */
enum { LARGE = 11, PING = 12, PONG = 13, CLOSE = 15 }; /* all else: a small message */
enum { IS_TEXT = 1, IS_COMPRESSED = 2, HAS_FRAGMENTS = 4 };

/* ------------------------------------------------------------------ frames */

static void send_frame(sender *s, unsigned opcode, int fin, int rsv1, const uint8_t *payload,
                       size_t size)
{
    wsf_header header = {.length = size, .opcode = (uint8_t)opcode, .fin = fin != 0};
    header.rsv = rsv1 ? 4 : 0;
    header.masked = s->masks != 0;
    if (s->masks)
        header.mask_key = fuzz_random(&s->keys);
    uint8_t *to = s->stream + s->size;
    to += wsf_header_encode(to, &header);
    if (s->masks && size) { /* in two steps, as a payload that lies in two places would be */
        size_t half = header.mask_key % size;
        uint32_t key = wsf_mask(to, payload, half, header.mask_key);
        wsf_mask(to + half, payload + half, size - half, key);
    } else if (size) {
        memcpy(to, payload, size);
    }
    s->size = (size_t)(to - s->stream) + size;
}

/* A control frame whose payload is the next bytes of the input. */
static void send_control(sender *s, unsigned opcode, fuzz_input *input)
{
    uint8_t payload[WSF_CONTROL_MAX];
    size_t size = (size_t)fuzz_take(input, 1) % (WSF_CONTROL_MAX + 1);
    for (size_t i = 0; i < size; i++)
        payload[i] = (uint8_t)fuzz_take(input, 1);
    send_frame(s, opcode, 1, 0, payload, size);
    transcript_gather(&s->sent, payload, size);
    transcript_item(&s->sent, (uint8_t)opcode, 0, s->size);
}

static void send_close(sender *s, fuzz_input *input)
{
    static const uint16_t codes[] = {1000, 1001, 1003, 1007, 1014, 3000, 4999};
    static const uint8_t reason[] = "over: \xe2\x82\xac \xf0\x9f\x98\x80";
    uint64_t choice = fuzz_take(input, 1);
    if (choice & 128) {
        send_frame(s, WSF_CLOSE, 1, 0, NULL, 0);
        transcript_item(&s->sent, WSF_CLOSE, 1005, s->size);
        return;
    }
    unsigned code = codes[choice % 7];
    size_t size = choice & 64 ? sizeof reason - 1 : 0;
    uint8_t payload[2 + sizeof reason] = {(uint8_t)(code >> 8), (uint8_t)code};
    memcpy(payload + 2, reason, size);
    send_frame(s, WSF_CLOSE, 1, 0, payload, 2 + size);
    transcript_gather(&s->sent, reason, size);
    transcript_item(&s->sent, WSF_CLOSE, (uint16_t)code, s->size);
}

/* ------------------------------------------------------------------ messages */

/* Writes the character that the next three bytes of the input make, and returns its size. */
static size_t character(uint8_t *to, fuzz_input *input)
{
    uint32_t point = (uint32_t)fuzz_take(input, 3) % 0x110000;
    if (point >= 0xd800 && point < 0xe000)
        point -= 0xd800;
    if (point < 0x80) {
        to[0] = (uint8_t)point;
        return 1;
    }
    size_t size = point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
    for (size_t i = size; i-- > 1; point >>= 6)
        to[i] = (uint8_t)(0x80 | (point & 0x3f));
    to[0] = (uint8_t)(0xf0u << (4 - size) | point);
    return size;
}

/* Fills a payload of at most `size` bytes with a pattern of the input's bytes or characters. */
static size_t fill(uint8_t *payload, size_t size, unsigned text, fuzz_input *input)
{
    uint8_t pattern[64 + 4];
    size_t wanted = 1 + (size_t)fuzz_take(input, 1) % 64, made = 0;
    while (made < wanted) {
        if (text)
            made += character(pattern + made, input);
        else
            pattern[made++] = (uint8_t)fuzz_take(input, 1);
    }
    if (text)
        size -= size % made;
    for (size_t at = 0; at < size; at += made)
        memcpy(payload + at, pattern, made < size - at ? made : size - at);
    return size;
}

struct message {
    const uint8_t *payload;
    size_t size, sent; /* bytes */
    uint8_t opcode;
    int compressed, begun;
};

/* The next fragment, up to `end`. Of a compressed message the receiver hears now, else when it is
 * whole. */
static void send_fragment(sender *s, struct message *m, size_t end, int fin)
{
    const uint8_t *payload = m->payload + m->sent;
    size_t size = end - m->sent;
    send_frame(s, m->begun ? WSF_CONTINUATION : m->opcode, fin, m->compressed && !m->begun, payload,
               size);
    m->begun = 1;
    m->sent = end;
    if (m->compressed && (size || fin)) {
        transcript_gather(&s->sent, payload, size);
        transcript_piece(&s->sent, m->opcode, !fin, s->size);
    } else if (!m->compressed && fin) {
        transcript_gather(&s->sent, m->payload, m->size);
        transcript_item(&s->sent, m->opcode, 0, s->size);
    }
}

static void send_message(sender *s, unsigned kind, unsigned flags, fuzz_input *input)
{
    static uint8_t payload[MOST_PAYLOAD + 64];
    size_t size = (size_t)(kind == LARGE ? 2 * fuzz_take(input, 2) : fuzz_take(input, 1));
    size = fill(payload, size < s->budget ? size : s->budget, flags & IS_TEXT, input);
    s->budget -= size;
    struct message m = {.payload = payload, .size = size};
    m.opcode = flags & IS_TEXT ? WSF_TEXT : WSF_BINARY;
    m.compressed = (flags & IS_COMPRESSED) && s->compresses;
    size_t fragments = flags & HAS_FRAGMENTS ? 1 + fuzz_take(input, 1) % MOST_FRAGMENTS : 1;
    while (--fragments > 0) {
        size_t choice = (size_t)fuzz_take(input, 3);
        send_fragment(s, &m, m.sent + (choice >> 2) % (size - m.sent + 1), 0);
        if (choice & 1)
            send_control(s, choice & 2 ? WSF_PONG : WSF_PING, input);
    }
    send_fragment(s, &m, size, 1);
}

void sender_run(sender *s, fuzz_input *input)
{
    static uint8_t stream[ROOM];
    s->stream = stream;
    s->size = 0;
    s->budget = MOST_PAYLOAD;
    transcript_start(&s->sent);
    for (int step = 0; step < MOST_STEPS && fuzz_left(input); step++) {
        unsigned choice = (unsigned)fuzz_take(input, 1), kind = choice >> 4;
        if (kind == CLOSE) {
            send_close(s, input);
            return;
        }
        if (kind == PING || kind == PONG)
            send_control(s, kind == PING ? WSF_PING : WSF_PONG, input);
        else
            send_message(s, kind, choice, input);
    }
}
