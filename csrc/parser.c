#include "wsf.h"

#include <stdlib.h>
#include <string.h>

/* A message's block starts at no more than this, whatever length the frame claims, and doubles.
 * Fuzzing builds make it small, so that small inputs see blocks grow. */
#ifndef FIRST_ROOM
#define FIRST_ROOM ((size_t)256 * 1024)
#endif
#ifndef GROWTH
#define GROWTH 16
#endif

static void *resize_with_libc(void *block, size_t size)
{
    if (size == 0) {
        free(block);
        return NULL;
    }
    void *grown = realloc(block, size);
    if (grown == NULL)
        free(block);
    return grown;
}

void wsf_parser_init(wsf_parser *p, const wsf_config *config)
{
    memset(p, 0, sizeof *p);
    p->config = *config;
    if (p->config.resize == NULL)
        p->config.resize = resize_with_libc;
}

static void free_message(wsf_parser *p)
{
    if (p->message != NULL)
        p->config.resize(p->message, 0);
    p->message = NULL;
    p->message_size = p->message_room = 0;
}

void wsf_parser_clear(wsf_parser *p)
{
    wsf_config config = p->config;
    free_message(p);
    wsf_parser_init(p, &config);
}

void wsf_parser_take(wsf_parser *p)
{
    p->message = NULL;
    p->message_size = p->message_room = 0;
    p->delivered = 0;
}

void wsf_parser_fail(wsf_parser *p, int error)
{
    if (p->error == WSF_OK)
        p->error = error;
}

void wsf_parser_close(wsf_parser *p)
{
    p->closed = 1;
}

static int is_control(uint8_t opcode)
{
    return opcode & 8;
}

static uint8_t is_checked_text(const wsf_parser *p)
{
    return p->message_opcode == WSF_TEXT && !p->compressed;
}

/* ------------------------------------------------------------------ headers */

/* The rules that the first two bytes of a frame tell. */
static int check_start(const wsf_parser *p, uint8_t first, uint8_t second)
{
    uint8_t opcode = first & 15, rsv = first >> 4 & 7, length = second & 0x7f;
    int fin = first >> 7, masked = second >> 7;

    if (rsv != 0 && !(rsv == 4 && p->config.allow_rsv1 &&
                      (opcode == WSF_TEXT || opcode == WSF_BINARY)))
        return WSF_ERR_RESERVED_BITS;
    if ((opcode > WSF_BINARY && opcode < WSF_CLOSE) || opcode > WSF_PONG)
        return WSF_ERR_OPCODE;
    if (is_control(opcode)) {
        if (!fin)
            return WSF_ERR_CONTROL_FRAGMENTED;
        if (length > WSF_CONTROL_MAX)
            return WSF_ERR_CONTROL_TOO_LONG;
        if (opcode == WSF_CLOSE && length == 1)
            return WSF_ERR_CLOSE_LENGTH;
    } else if (opcode == WSF_CONTINUATION) {
        if (p->message_opcode == 0)
            return WSF_ERR_CONTINUATION_UNEXPECTED;
    } else if (p->message_opcode != 0) {
        return WSF_ERR_CONTINUATION_EXPECTED;
    }
    if (masked != p->config.server)
        return masked ? WSF_ERR_MASK_UNEXPECTED : WSF_ERR_MASK_MISSING;
    return WSF_OK;
}

/* How much the message in progress may hold. Deflating makes no sane message twice as large. */
static uint64_t most_payload(const wsf_parser *p)
{
    const uint64_t possible = SIZE_MAX / 2, limit = p->config.max_message;
    if (limit == 0 || limit > possible)
        return possible;
    if (!p->compressed)
        return limit;
    return limit > possible / 2 - 1024 ? possible : 2 * limit + 1024;
}

static int begin_frame(wsf_parser *p, const wsf_header *header)
{
    p->opcode = header->opcode;
    p->fin = header->fin;
    p->mask_key = header->mask_key;
    p->remaining = header->length;
    p->in_payload = 1;
    if (is_control(header->opcode)) {
        p->control_size = 0;
        return WSF_OK;
    }
    if (header->opcode != WSF_CONTINUATION) {
        p->message_opcode = header->opcode;
        p->compressed = header->rsv >> 2;
        p->fragments = 0;
        p->utf8 = 0;
        p->ascii = is_checked_text(p);
    }
    p->fragments++;
    if (p->config.max_fragments && p->fragments > p->config.max_fragments)
        return WSF_ERR_TOO_MANY_FRAGMENTS;
    uint64_t most = most_payload(p);
    if (header->length > most || p->message_size > most - header->length)
        return WSF_ERR_MESSAGE_TOO_BIG;
    return WSF_OK;
}

/* Decodes one header from `data`: 1 and `*used` set if it is whole, 0 if not, or an error. */
static int read_header(wsf_parser *p, const uint8_t *data, size_t size, size_t *used)
{
    if (size < 2)
        return 0;
    int error = check_start(p, data[0], data[1]);
    if (error)
        return error;
    wsf_header header;
    int header_size = wsf_header_decode(&header, data, size);
    if (header_size <= 0)
        return header_size;
    *used = (size_t)header_size;
    error = begin_frame(p, &header);
    return error ? error : 1;
}

/* Reads the next header from the input, or gathers in `head` what there is of it. */
static int next_header(wsf_parser *p)
{
    size_t available = (size_t)(p->end - p->at), used = 0;
    int got;
    if (p->head_size == 0) {
        got = read_header(p, p->at, available, &used);
        if (got != 0) {
            p->at += used;
            return got;
        }
    }
    size_t before = p->head_size;
    size_t copied = WSF_HEADER_MAX - before < available ? WSF_HEADER_MAX - before : available;
    if (copied == 0)
        return 0;
    memcpy(p->head + before, p->at, copied);
    got = read_header(p, p->head, before + copied, &used);
    if (got == 0) {
        p->head_size = (uint8_t)(before + copied);
        p->at += copied;
    } else if (got > 0) {
        p->head_size = 0;
        p->at += used - before;
    }
    return got;
}

/* ------------------------------------------------------------------ payloads */

/* Makes room for `more` bytes, growing with what has come: a claim alone allocates little. By much
 * at once, since memory that nothing is written to costs nothing, and each growth may copy. */
static int reserve(wsf_parser *p, size_t more)
{
    size_t need = p->message_size + more;
    if (need <= p->message_room)
        return WSF_OK;
    size_t claimed = p->message_size + (size_t)p->remaining;
    size_t room = p->message_size < FIRST_ROOM / GROWTH ? FIRST_ROOM : p->message_size * GROWTH;
    if (room > claimed)
        room = claimed;
    if (!p->fin && room < p->message_room * 2)
        room = p->message_room * 2; /* many small fragments: the copies must not add up */
    if (room < need)
        room = need;
    p->message = p->config.resize(p->message, room);
    if (p->message == NULL) {
        p->message_size = p->message_room = 0;
        return WSF_ERR_NO_MEMORY;
    }
    p->message_room = room;
    return WSF_OK;
}

/* The bytes from message + message_size on have arrived there, still masked if they were. */
static int accept_payload(wsf_parser *p, size_t size)
{
    uint8_t *piece = p->message + p->message_size;
    p->message_size += size;
    p->remaining -= size;
    if (!is_checked_text(p))
        return WSF_OK;
    p->ascii = p->ascii && wsf_is_ascii(piece, size);
    if (!p->ascii && wsf_utf8_feed(&p->utf8, piece, size) != size)
        return WSF_ERR_TEXT_UTF8;
    return WSF_OK;
}

/* What of a data frame's payload lies in the input goes to the block. */
static int append_payload(wsf_parser *p)
{
    size_t size = (size_t)(p->end - p->at);
    if (size > p->remaining)
        size = (size_t)p->remaining;
    if (size == 0)
        return WSF_OK;
    int error = reserve(p, size);
    if (error)
        return error;
    uint8_t *to = p->message + p->message_size;
    if (p->config.server)
        p->mask_key = wsf_mask(to, p->at, size, p->mask_key);
    else
        memcpy(to, p->at, size);
    p->at += size;
    return accept_payload(p, size);
}

/* What is said of a whole message, which ends here. */
static void fill_message_event(wsf_parser *p, wsf_event *event, const uint8_t *data, size_t size)
{
    event->data = data;
    event->size = size;
    event->opcode = p->message_opcode;
    event->compressed = p->compressed;
    event->piece = event->more = 0;
    event->checked = is_checked_text(p);
    event->ascii = 0;
    event->owned = 0;
    event->code = 0;
    p->message_opcode = 0;
}

/* A message that is one frame, and lies whole in the input, is never copied. */
static int deliver_in_place(wsf_parser *p, wsf_event *event)
{
    uint8_t *data = p->at;
    size_t size = (size_t)p->remaining;
    if (p->config.server)
        wsf_mask(data, data, size, p->mask_key);
    p->at += size;
    p->in_payload = 0;
    fill_message_event(p, event, data, size);
    if (!event->checked)
        return 1;
    if (p->config.defer_utf8) {
        event->checked = 0;
        return 1;
    }
    wsf_utf8 state = 0;
    if (wsf_utf8_feed(&state, data, size) != size || state != 0)
        return WSF_ERR_TEXT_UTF8;
    return 1;
}

/* What there is of a message of which nothing is kept: whoever takes the pieces bounds it. */
static int deliver_piece(wsf_parser *p, wsf_event *event)
{
    uint8_t *data = p->at, opcode = p->message_opcode;
    size_t size = (size_t)(p->end - p->at);
    if (size > p->remaining)
        size = (size_t)p->remaining;
    if (p->config.server)
        p->mask_key = wsf_mask(data, data, size, p->mask_key);
    p->at += size;
    p->remaining -= size;
    p->in_payload = p->remaining != 0;
    int last = p->fin && !p->in_payload;
    if (size == 0 && !last)
        return 0;
    if (is_checked_text(p) &&
        (wsf_utf8_feed(&p->utf8, data, size) != size || (last && p->utf8)))
        return WSF_ERR_TEXT_UTF8;
    fill_message_event(p, event, data, size);
    event->piece = 1;
    if (last) {
        p->message_size = 0;
        return 1;
    }
    event->more = 1;
    p->message_opcode = opcode;
    p->message_size += p->compressed ? 0 : size; /* each of its frames is bounded by itself */
    return 1;
}

/* The end of a frame whose payload went to the block. */
static int finish_frame(wsf_parser *p, wsf_event *event)
{
    static const uint8_t nothing[1];
    p->in_payload = 0;
    if (!p->fin)
        return 0;
    if (is_checked_text(p) && p->utf8 != 0)
        return WSF_ERR_TEXT_UTF8;
    fill_message_event(p, event, p->message ? p->message : nothing, p->message_size);
    event->ascii = p->ascii;
    event->owned = p->message != NULL;
    p->delivered = event->owned;
    return 1;
}

static int next_data(wsf_parser *p, wsf_event *event)
{
    if (p->compressed)
        return deliver_piece(p, event);
    if (p->fin && p->fragments == 1 && p->message_size == 0 &&
        p->remaining <= (size_t)(p->end - p->at))
        return deliver_in_place(p, event);
    if (p->config.pieces)
        return deliver_piece(p, event);
    int error = append_payload(p);
    if (error)
        return error;
    return p->remaining ? 0 : finish_frame(p, event);
}

static int fill_close(wsf_event *event)
{
    if (event->size == 0) {
        event->code = 1005;
        return 1;
    }
    event->code = (uint16_t)(event->data[0] << 8 | event->data[1]);
    event->data += 2;
    event->size -= 2;
    if (!wsf_close_code_valid(event->code))
        return WSF_ERR_CLOSE_CODE;
    wsf_utf8 state = 0;
    if (wsf_utf8_feed(&state, event->data, event->size) != event->size || state != 0)
        return WSF_ERR_CLOSE_UTF8;
    return 1;
}

static int next_control(wsf_parser *p, wsf_event *event)
{
    size_t size = (size_t)(p->end - p->at);
    if (size > p->remaining)
        size = (size_t)p->remaining;
    p->mask_key = wsf_mask(p->control + p->control_size, p->at, size, p->mask_key);
    p->at += size;
    p->control_size = (uint8_t)(p->control_size + size);
    p->remaining -= size;
    if (p->remaining)
        return 0;
    p->in_payload = 0;
    *event = (wsf_event){.data = p->control, .size = p->control_size, .opcode = p->opcode};
    if (p->opcode != WSF_CLOSE)
        return 1;
    p->closed = 1;
    return fill_close(event);
}

/* ------------------------------------------------------------------ the outside */

void wsf_parser_feed(wsf_parser *p, uint8_t *data, size_t size)
{
    p->at = size ? data : p->head; /* somewhere that can be pointed into */
    p->end = p->at + size;
}

/* Frees the message that the last call has delivered, unless it was taken. */
static void forget_delivered(wsf_parser *p)
{
    if (p->delivered) {
        p->delivered = 0;
        free_message(p);
    }
}

/* All that is not just so, errors included, is left to the longer way. */
size_t wsf_parser_shorts(wsf_parser *p, wsf_short *messages, size_t room)
{
    forget_delivered(p);
    if (p->error || p->closed || p->in_payload || p->message_opcode || p->head_size)
        return 0;
    uint8_t *at = p->at;
    const uint8_t masked = p->config.server ? 0x80 : 0, text = p->config.defer_utf8 ? 0x81 : 0x82;
    const size_t head = p->config.server ? 6 : 2;
    size_t largest = 125, count = 0;
    if (p->config.max_message && p->config.max_message < largest)
        largest = (size_t)p->config.max_message;
    for (; count < room && (size_t)(p->end - at) >= head; count++) {
        size_t size = at[1] ^ masked; /* with the wrong mask bit it is too large */
        if ((at[0] != 0x82 && at[0] != text) || size > largest ||
            (size_t)(p->end - at) - head < size)
            break;
        if (masked) {
            uint32_t key;
            memcpy(&key, at + 2, sizeof key);
            wsf_mask(at + head, at + head, size, key);
        }
        messages[count] = (wsf_short){at + head, (uint8_t)size, at[0] & 15};
        at += head + size;
    }
    p->at = at;
    return count;
}

int wsf_parser_next(wsf_parser *p, wsf_event *event)
{
    forget_delivered(p);
    while (p->error == WSF_OK && !p->closed) {
        int got = p->in_payload ? 1 : next_header(p);
        if (got == 0)
            return 0;
        if (got > 0)
            got = is_control(p->opcode) ? next_control(p, event) : next_data(p, event);
        if (got > 0)
            return got;
        if (got < 0)
            p->error = got;
        else if (p->in_payload)
            return 0;
    }
    p->at = p->end;
    return p->error;
}

int64_t wsf_parser_window(wsf_parser *p, uint8_t **data, size_t min)
{
    forget_delivered(p);
    if (p->error || p->closed || !p->in_payload || is_control(p->opcode) || p->compressed ||
        p->config.pieces || p->remaining < min || p->remaining == 0)
        return 0;
    size_t wanted = min ? min : 1;
    int error = reserve(p, wanted);
    if (error) {
        p->error = error;
        return error;
    }
    size_t size = p->message_room - p->message_size;
    if (size > p->remaining)
        size = (size_t)p->remaining;
    *data = p->message + p->message_size;
    return (int64_t)size;
}

void wsf_parser_filled(wsf_parser *p, size_t size)
{
    uint8_t *to = p->message + p->message_size;
    p->at = p->end = p->head;
    if (p->config.server)
        p->mask_key = wsf_mask(to, to, size, p->mask_key);
    int error = accept_payload(p, size);
    if (error)
        p->error = error;
}
