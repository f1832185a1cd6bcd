/* The limit with many connections: one thread, epoll. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "limit.h"

enum { EVENTS = 256 };

struct many {
    struct client *clients;
    size_t *left; /* messages each is still to receive in this round */
    int poller;
};

static struct many open_all(const struct task *task) {
    struct many many = {calloc(task->connections, sizeof *many.clients),
                        calloc(task->connections, sizeof *many.left), epoll_create1(0)};
    for (size_t i = 0; i < task->connections; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.u64 = i};
        client_open(&many.clients[i], task);
        if (epoll_ctl(many.poller, EPOLL_CTL_ADD, many.clients[i].link.fd, &event))
            die("epoll_ctl");
    }
    return many;
}

static void close_all(struct many *many, const struct task *task) {
    for (size_t i = 0; i < task->connections; i++)
        client_close(&many->clients[i]);
    free(many->clients);
    free(many->left);
}

/* Receives until none is to come; each but the last of a connection is sent back if `echo`. */
static void receive_all(struct many *many, size_t connections, bool echo) {
    struct epoll_event events[EVENTS];
    size_t size;
    while (connections) {
        int ready = epoll_wait(many->poller, events, EVENTS, -1);
        for (int i = 0; i < ready; i++) {
            size_t *left = &many->left[events[i].data.u64];
            struct client *client = &many->clients[events[i].data.u64];
            do { /* what one system call brings may be many messages */
                uint8_t *message = client_receive(client, &size);
                --*left;
                if (echo && *left)
                    client_send(client, message, size);
                free(message);
            } while (*left && client->begin != client->end);
            connections -= !*left;
        }
    }
}

static void round_of(struct many *many, const struct task *task, const uint8_t *payload,
                     size_t count) {
    bool echo = !strcmp(task->name, "echo"), sent = !strcmp(task->name, "sent");
    for (size_t i = 0; i < task->connections; i++) {
        many->left[i] = sent ? 1 : count;
        if (sent)
            client_send_many(&many->clients[i], payload, task->size, count);
        else
            client_send(&many->clients[i], payload, echo ? task->size : 2);
    }
    receive_all(many, task->connections, echo);
}

void task_run_many(const struct task *task) {
    struct many many = open_all(task);
    uint8_t *payload = calloc(1, task->size + 2);
    round_of(&many, task, payload, task->warm);
    clock_start();
    round_of(&many, task, payload, task->count);
    clock_stop();
    free(payload);
    close_all(&many, task);
}
