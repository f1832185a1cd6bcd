/* /sink/WARM/COUNT: takes so many messages, round by round, and answers each round, once all of it
   has arrived, with "MESSAGES BYTES" of it. */
#include <stdio.h>
#include <stdlib.h>

#include "counts.h"
#include "frame.h"
#include "server.h"

struct sink {
    struct counts counts;
    size_t left;     /* messages of this round */
    size_t payload;  /* bytes of the current frame to come */
    bool ends;       /* the message ends with that frame */
    size_t messages; /* taken in this round */
    size_t bytes;    /* payload taken in this round */
};

static bool open(struct conn *conn, char *arguments) {
    struct sink *sink = conn->state = calloc(1, sizeof *sink);
    if (!sink || !counts_parse(&sink->counts, arguments))
        return false;
    sink->left = counts_take(&sink->counts);
    return true;
}

static void answer(struct conn *conn, struct sink *sink) {
    char text[48];
    int size = snprintf(text, sizeof text, "%zu %zu", sink->messages, sink->bytes);
    size_t header = frame_header(conn->answer, FIN | OP_TEXT, (size_t)size, NULL);
    for (int i = 0; i < size; i++)
        conn->answer[header + (size_t)i] = (uint8_t)text[i];
    conn->out = conn->answer;
    conn->out_size = header + (size_t)size;
    sink->messages = sink->bytes = 0;
    sink->left = counts_take(&sink->counts);
}

static bool received(struct conn *conn) {
    struct sink *sink = conn->state;
    struct frame frame;
    size_t at = 0;
    for (;;) {
        size_t part = conn->in_size - at < sink->payload ? conn->in_size - at : sink->payload;
        at += part;
        sink->payload -= part;
        if (sink->payload)
            break;
        if (sink->ends) {
            sink->ends = false;
            sink->messages++;
            if (sink->left && !--sink->left)
                answer(conn, sink);
        }
        if (!frame_parse(&frame, conn->in + at, conn->in_size - at))
            break;
        at += frame.header;
        if (frame_opcode(&frame) == OP_CLOSE) {
            conn_answer_close(conn);
            at = conn->in_size;
            break;
        }
        sink->payload = frame.payload;
        sink->bytes += frame_is_control(&frame) ? 0 : frame.payload;
        sink->ends = frame.first & FIN && !frame_is_control(&frame);
    }
    conn->used = at;
    return true;
}

const struct role sink_role = {"sink", open, received, NULL, NULL};
