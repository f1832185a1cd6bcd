/* One thread, epoll, and what a connection does is chosen by its path. */
#ifndef SERVER_H
#define SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "link.h"

struct conn;

struct role {
    const char *name; /* the first part of the path */

    /* The parts of the path after the name. False refuses them. */
    bool (*open)(struct conn *, char *arguments);

    /* Takes what it can of `in`: sets `used`, and may set `out`. False drops the connection. */
    bool (*received)(struct conn *);

    /* All of `out` is written; there may be more. */
    void (*written)(struct conn *);

    /* The connection is about to be freed. */
    void (*closed)(struct conn *);
};

extern const struct role echo_role, flood_role, sink_role, broadcast_role;

struct conn {
    struct link link;
    const struct role *role; /* NULL until the upgrade */
    void *state;             /* the role's; freed with the connection */

    uint8_t *in;
    size_t in_size, in_room; /* filled, allocated */
    size_t used;             /* of what is filled; may hold `out` */

    const uint8_t *out;
    size_t out_size;
    bool closing; /* after `out` */
    bool blocked; /* `out` waits for the socket */

    uint8_t answer[64]; /* for small `out`s */
};

/* A close frame's echo becomes the last of `out`. */
void conn_answer_close(struct conn *);

/* Serves until standard input ends; says on standard output which port it has. */
_Noreturn void server_run(bool tls);

#endif
