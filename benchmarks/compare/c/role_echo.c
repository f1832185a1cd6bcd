/* /echo: sends each frame back once it is complete, unmasked. */
#include <stdlib.h>
#include <string.h>

#include "frame.h"
#include "server.h"

static bool open(struct conn *conn, char *arguments) {
    (void)conn;
    return !*arguments;
}

static bool make_room(struct conn *conn, size_t size) {
    uint8_t *in = size <= conn->in_room ? conn->in : realloc(conn->in, size);
    conn->in_room = size <= conn->in_room ? conn->in_room : size;
    conn->in = in ? in : conn->in;
    return in;
}

static uint8_t answer_to(uint8_t first) {
    return (first & 15) == OP_PING ? (uint8_t)((first & 0xF0) | OP_PONG) : first;
}

/* The answers are shorter than the questions: they take their place, the first one next to its
   payload, which so stays where it is. */
static bool received(struct conn *conn) {
    struct frame frame;
    uint8_t *begin = NULL, *end = NULL;
    conn->used = 0;
    while (frame_parse(&frame, conn->in + conn->used, conn->in_size - conn->used)) {
        size_t total = frame.header + frame.payload;
        if (conn->in_size - conn->used < total) {
            if (!conn->used && !make_room(conn, total))
                return false;
            break;
        }
        uint8_t *payload = conn->in + conn->used + frame.header;
        uint8_t *header = begin ? end : payload - frame_header_size(frame.payload);
        begin = begin ? begin : header;
        end = header + frame_header(header, answer_to(frame.first), frame.payload, NULL);
        if (end != payload)
            memmove(end, payload, frame.payload);
        frame_mask(end, end, frame.payload, frame.key);
        end += frame.payload;
        conn->used += total;
        if (frame_opcode(&frame) == OP_CLOSE)
            conn->closing = true;
    }
    conn->out = begin;
    conn->out_size = (size_t)(end - begin);
    return true;
}

const struct role echo_role = {"echo", open, received, NULL, NULL};
