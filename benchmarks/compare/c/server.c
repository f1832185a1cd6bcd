#define _GNU_SOURCE
#include "server.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "frame.h"
#include "handshake.h"

enum { ROOM = 256 * 1024, EVENTS = 256 };

static int poller;
static bool with_tls;
static const struct role *const roles[] = {&echo_role, &flood_role, &sink_role,
                                          &broadcast_role};

static void watch(int operation, int fd, uint32_t events, void *what) {
    struct epoll_event event = {.events = events, .data.ptr = what};
    if (epoll_ctl(poller, operation, fd, &event))
        die("epoll_ctl");
}

static void drop(struct conn *conn) {
    if (conn->state && conn->role->closed)
        conn->role->closed(conn);
    link_close(&conn->link);
    free(conn->in);
    free(conn->state);
    free(conn);
}

void conn_answer_close(struct conn *conn) {
    conn->out = conn->answer;
    conn->out_size = frame_header(conn->answer, FIN | OP_CLOSE, 0, NULL);
    conn->closing = true;
}

static bool assign_role(struct conn *conn, char *path) {
    char *name = path + strspn(path, "/");
    char *arguments = name + strcspn(name, "/");
    if (*arguments)
        *arguments++ = 0;
    for (size_t i = 0; i < sizeof roles / sizeof *roles; i++)
        if (!strcmp(roles[i]->name, name)) {
            conn->role = roles[i];
            return conn->role->open(conn, arguments);
        }
    return false;
}

static bool upgrade(struct conn *conn) {
    static char answer[HTTP_MAX];
    char path[256];
    size_t size = http_head_size((char *)conn->in, conn->in_size);
    if (!size)
        return conn->in_size < HTTP_MAX;
    conn->in[size - 1] = 0;
    conn->out_size = handshake_answer((char *)conn->in, answer, path, sizeof path);
    conn->out = (uint8_t *)answer;
    conn->used = size;
    return conn->out_size && assign_role(conn, path);
}

/* Returns whether the connection lives on. */
static bool flush(struct conn *conn) {
    bool was_blocked = conn->blocked;
    conn->blocked = false;
    while (conn->out_size) {
        ssize_t done = link_write(&conn->link, conn->out, conn->out_size);
        if (done == LINK_WAIT) {
            conn->blocked = true;
            break;
        }
        if (done <= 0)
            return false;
        conn->out += done;
        conn->out_size -= (size_t)done;
        if (!conn->out_size && !conn->closing && conn->role->written)
            conn->role->written(conn);
    }
    if (conn->blocked != was_blocked)
        watch(EPOLL_CTL_MOD, conn->link.fd, conn->blocked ? EPOLLOUT : EPOLLIN, conn);
    return conn->blocked || !conn->closing;
}

static bool take(struct conn *conn) {
    if (!(conn->role ? conn->role->received(conn) : upgrade(conn)))
        return false;
    return flush(conn);
}

static void discard_used(struct conn *conn) {
    conn->in_size -= conn->used;
    memmove(conn->in, conn->in + conn->used, conn->in_size);
    conn->used = 0;
}

static bool receive(struct conn *conn) {
    do {
        ssize_t size =
            link_read(&conn->link, conn->in + conn->in_size, conn->in_room - conn->in_size);
        if (size == LINK_WAIT)
            return true;
        if (size <= 0)
            return false;
        conn->in_size += (size_t)size;
        if (!take(conn))
            return false;
        if (!conn->blocked)
            discard_used(conn);
        /* TLS may hold more, which epoll does not know of. */
    } while (conn->link.ssl && !conn->blocked);
    return true;
}

static bool resume(struct conn *conn) {
    if (!flush(conn))
        return false;
    if (conn->blocked)
        return true;
    discard_used(conn);
    return conn->link.ssl ? receive(conn) : true;
}

static void accept_one(int listener) {
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
    if (fd < 0)
        return;
    struct conn *conn = calloc(1, sizeof *conn);
    if (!conn || !(conn->in = malloc(ROOM)) || !link_open(&conn->link, fd, true, with_tls))
        die("accept");
    conn->in_room = ROOM;
    watch(EPOLL_CTL_ADD, fd, EPOLLIN, conn);
}

static int listen_anywhere(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) || listen(fd, 1024) ||
        getsockname(fd, (struct sockaddr *)&address, &size))
        die("listen");
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    return fd;
}

_Noreturn void server_run(bool tls) {
    static char listening, standard_input;
    struct epoll_event events[EVENTS];
    with_tls = tls;
    poller = epoll_create1(0);
    int listener = listen_anywhere();
    watch(EPOLL_CTL_ADD, listener, EPOLLIN, &listening);
    watch(EPOLL_CTL_ADD, STDIN_FILENO, EPOLLIN, &standard_input);
    for (;;) {
        int count = epoll_wait(poller, events, EVENTS, -1);
        for (int i = 0; i < count; i++) {
            struct conn *conn = events[i].data.ptr;
            if (events[i].data.ptr == &standard_input)
                exit(0);
            else if (events[i].data.ptr == &listening)
                accept_one(listener);
            else if (!(conn->blocked ? resume(conn) : receive(conn)))
                drop(conn);
        }
    }
}
