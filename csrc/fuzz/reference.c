/* The simple form of the parser. */
#include "reference.h"

#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#define ERROR(name) (1u << -WSF_ERR_##name)

/* A frame of which the header is whole, and of the payload what the stream has. */
struct frame {
    reference_header header;
    size_t payload_at, end; /* places in the stream; `end` is where it stops there */
    int whole;
};

struct parse {
    transcript *out;
    const wsf_config *config;
    const uint8_t *stream;
    size_t size;
    /* The message in progress; opcode 0 = none. */
    unsigned opcode;
    int compressed;
    uint64_t fragments;
    uint8_t *payload;
    size_t payload_size;
    size_t text_ended; /* its last whole character */
};

/* Several rules may be broken at once; which of them is told does not matter. */
static int fail(struct parse *p, unsigned errors, size_t at)
{
    p->out->errors = errors;
    p->out->error_at = at;
    return 0;
}

static unsigned errors_of_first_two_bytes(const struct parse *p, const reference_header *h)
{
    unsigned errors = 0;
    int starts = h->opcode == WSF_TEXT || h->opcode == WSF_BINARY;
    if (h->rsv != 0 && !(h->rsv == 4 && p->config->allow_rsv1 && starts))
        errors |= ERROR(RESERVED_BITS);
    if (h->opcode > 10 || (h->opcode > 2 && h->opcode < 8))
        errors |= ERROR(OPCODE);
    if (h->opcode >= 8 && !h->fin)
        errors |= ERROR(CONTROL_FRAGMENTED);
    if (h->opcode >= 8 && h->length_size)
        errors |= ERROR(CONTROL_TOO_LONG);
    if (h->opcode == WSF_CLOSE && !h->length_size && h->length == 1)
        errors |= ERROR(CLOSE_LENGTH);
    if (h->opcode == WSF_CONTINUATION && p->opcode == 0)
        errors |= ERROR(CONTINUATION_UNEXPECTED);
    if (starts && p->opcode != 0)
        errors |= ERROR(CONTINUATION_EXPECTED);
    if (h->masked && !p->config->server)
        errors |= ERROR(MASK_UNEXPECTED);
    if (!h->masked && p->config->server)
        errors |= ERROR(MASK_MISSING);
    return errors;
}

static unsigned errors_of_length(const reference_header *h)
{
    if (h->length > INT64_MAX)
        return ERROR(LENGTH_TOO_LARGE);
    if ((h->length_size == 2 && h->length < 126) ||
        (h->length_size == 8 && h->length <= UINT16_MAX))
        return ERROR(LENGTH_NOT_MINIMAL);
    return 0;
}

static unsigned errors_of_limits(const struct parse *p, uint64_t length)
{
    const uint64_t possible = SIZE_MAX / 2;
    uint64_t most = p->config->max_message ? p->config->max_message : possible;
    unsigned errors = 0;
    if (p->config->max_fragments && p->fragments > p->config->max_fragments)
        errors |= ERROR(TOO_MANY_FRAGMENTS);
    if (p->compressed && most < possible / 4)
        most = most * 2 + 1024;
    if (length > possible || length + p->payload_size > most)
        errors |= ERROR(MESSAGE_TOO_BIG);
    return errors;
}

static void unmask(const struct parse *p, const struct frame *f, uint8_t *to)
{
    reference_mask(to, p->stream + f->payload_at, f->end - f->payload_at, f->header.key);
}

static int close_frame(struct parse *p, const struct frame *f)
{
    uint8_t payload[WSF_CONTROL_MAX];
    size_t size = f->end - f->payload_at, ended;
    unsigned code = 1005, errors = 0;
    unmask(p, f, payload);
    if (size >= 2) {
        code = payload[0] * 256u + payload[1];
        if (code < 1000 || code > 4999 || (code > 1003 && code < 1007) ||
            (code > 1014 && code < 3000))
            errors |= ERROR(CLOSE_CODE);
        reference_utf8(payload + 2, size - 2, &ended);
        if (ended != size - 2)
            errors |= ERROR(CLOSE_UTF8);
        transcript_gather(p->out, payload + 2, size - 2);
    }
    if (errors)
        return fail(p, errors, f->end);
    transcript_item(p->out, WSF_CLOSE, (uint16_t)code, f->end);
    return 0; /* what follows is ignored */
}

static int control_frame(struct parse *p, const struct frame *f)
{
    if (!f->whole)
        return 0;
    if (f->header.opcode == WSF_CLOSE)
        return close_frame(p, f);
    unmask(p, f, transcript_gather(p->out, NULL, f->end - f->payload_at));
    transcript_item(p->out, (uint8_t)f->header.opcode, 0, f->end);
    return 1;
}

static int compressed_frame(struct parse *p, const struct frame *f)
{
    size_t size = f->end - f->payload_at;
    int last = f->header.fin && f->whole;
    unmask(p, f, transcript_gather(p->out, NULL, size));
    if (size || last)
        transcript_piece(p->out, (uint8_t)p->opcode, !last, f->end);
    if (last)
        p->opcode = 0;
    return f->whole;
}

/* Looks at what this frame has added to a text: from the last whole character on. */
static int check_text(struct parse *p, const struct frame *f)
{
    size_t from = p->text_ended, ended;
    size_t good = reference_utf8(p->payload + from, p->payload_size - from, &ended);
    p->text_ended = from + ended;
    if (from + good < p->payload_size)
        return fail(p, ERROR(TEXT_UTF8), f->end - (p->payload_size - from - good) + 1);
    if (f->header.fin && f->whole && p->text_ended < p->payload_size)
        return fail(p, ERROR(TEXT_UTF8), f->end);
    return 1;
}

static int data_frame(struct parse *p, const struct frame *f)
{
    if (p->compressed)
        return compressed_frame(p, f);
    unmask(p, f, p->payload + p->payload_size);
    p->payload_size += f->end - f->payload_at;
    if (p->opcode == WSF_TEXT && !check_text(p, f))
        return 0;
    if (f->header.fin && f->whole) {
        transcript_gather(p->out, p->payload, p->payload_size);
        transcript_item(p->out, (uint8_t)p->opcode, 0, f->end);
        p->opcode = 0;
    }
    return f->whole;
}

/* One frame from `*at` on; 0 if it is not whole, or the last that matters. */
static int one_frame(struct parse *p, size_t *at)
{
    struct frame f;
    reference_header *h = &f.header;
    int parts = reference_read_header(h, p->stream + *at, p->size - *at);
    unsigned errors = parts >= 1 ? errors_of_first_two_bytes(p, h) : 0;
    if (errors)
        return fail(p, errors, *at + 2);
    errors = parts >= 2 ? errors_of_length(h) : 0;
    if (errors)
        return fail(p, errors, *at + 2 + h->length_size);
    if (parts < 3)
        return 0;
    f.payload_at = *at + h->size;
    f.whole = h->length <= p->size - f.payload_at;
    f.end = f.whole ? f.payload_at + (size_t)h->length : p->size;
    *at = f.end;
    if (h->opcode >= 8)
        return control_frame(p, &f);
    if (h->opcode != WSF_CONTINUATION) {
        p->opcode = h->opcode;
        p->compressed = h->rsv != 0;
        p->fragments = p->payload_size = p->text_ended = 0;
    }
    p->fragments++;
    errors = errors_of_limits(p, h->length);
    return errors ? fail(p, errors, f.payload_at) : data_frame(p, &f);
}

void reference_parse(transcript *out, const wsf_config *config, const uint8_t *stream, size_t size)
{
    struct parse p = {.out = out, .config = config, .stream = stream, .size = size};
    size_t at = 0;
    p.payload = fuzz_alloc(size);
    transcript_start(out);
    while (one_frame(&p, &at))
        ;
    free(p.payload);
}
