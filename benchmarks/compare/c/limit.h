/* The client that does the least possible work: blocking sockets, no validation, one masking key. */
#ifndef LIMIT_H
#define LIMIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "link.h"

struct task {
    const char *name;
    char host[64];
    int port;
    char path[256];
    bool tls;
    size_t warm, count, size, connections;
};

struct client {
    struct link link;
    uint8_t *in; /* ROOM bytes */
    size_t begin, end;
};

enum { ROOM = 256 * 1024 };

/* Connects and upgrades. */
void client_open(struct client *, const struct task *);
/* The closing handshake, then TCP. */
void client_close(struct client *);

/* Writes a masked message to `to`, which has room for its header too; returns its size. */
size_t client_frame(uint8_t *to, const uint8_t *payload, size_t size);
void client_send(struct client *, const uint8_t *payload, size_t size);

/* The same message so many times, with few system calls. Of one size in a process. */
void client_send_many(struct client *, const uint8_t *payload, size_t size, size_t count);

/* Copies a message into new memory, which is the caller's. */
uint8_t *client_receive(struct client *, size_t *size);

double now(void);         /* seconds */
double cpu_seconds(void); /* of this process */

/* Between them is what is measured. */
void clock_start(void);
void clock_stop(void);

/* Runs a task; false if there is none of that name. `latencies` is filled by round trips. */
bool task_run(const struct task *, double *latencies);
void task_run_many(const struct task *);

#endif
