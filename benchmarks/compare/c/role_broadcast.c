/* /broadcast: sends each message to all who are connected so, unmasked. Who has no room misses it. */
#include <stdlib.h>

#include "frame.h"
#include "server.h"

static struct conn **members;
static size_t count, room;

static size_t *place(struct conn *conn) { return conn->state; }

static bool open(struct conn *conn, char *arguments) {
    if (count == room) {
        room = room ? 2 * room : 64;
        if (!(members = realloc(members, room * sizeof *members)))
            die("memory");
    }
    if (*arguments || !(conn->state = malloc(sizeof(size_t))))
        return false;
    *place(conn) = count;
    members[count++] = conn;
    return true;
}

static void closed(struct conn *conn) {
    struct conn *last = members[--count];
    members[*place(conn)] = last;
    *place(last) = *place(conn);
}

/* Messages are short here: the room for input is never less than one. */
static bool received(struct conn *conn) {
    struct frame frame;
    conn->used = 0;
    while (frame_parse(&frame, conn->in + conn->used, conn->in_size - conn->used)) {
        size_t total = frame.header + frame.payload;
        if (total > conn->in_room || frame_opcode(&frame) == OP_CLOSE)
            return false;
        if (conn->in_size - conn->used < total)
            break;
        uint8_t *payload = conn->in + conn->used + frame.header;
        uint8_t *begin = payload - frame_header_size(frame.payload);
        size_t size = frame_header(begin, frame.first, frame.payload, NULL) + frame.payload;
        frame_mask(payload, payload, frame.payload, frame.key);
        for (size_t i = 0; i < count; i++)
            link_write(&members[i]->link, begin, size);
        conn->used += total;
    }
    return true;
}

const struct role broadcast_role = {"broadcast", open, received, NULL, closed};
