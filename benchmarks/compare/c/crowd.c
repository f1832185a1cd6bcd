/* crowd --url URL --connections N --flight N --size BYTES --warm SECONDS --seconds SECONDS
         [--server PID] [--broadcast]
   Many clients of a server, by one thread. Prints a line of JSON when all are connected and one at
   the end, each with the processor's seconds that the server took; goes when its input ends.

   Of an echo server, each has so many messages on their way, always: what comes back is sent again.
   With --broadcast one of them sends a message, and the next once all of them have got it. As the
   load must cost less than the server, it does not look at what it gets, but counts its bytes. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "frame.h"
#include "handshake.h"
#include "link.h"

enum { EVENTS = 512, ROOM = 256 * 1024, AT_ONCE = 64 };

static const uint8_t KEY[4] = {0x37, 0xfa, 0x21, 0x3d};

struct crowd {
    char host[64], path[256];
    int port, poller;
    size_t connections, flight, size;
    double warm, seconds;
    bool broadcast;
    clockid_t server; /* what its process has used */
    uint8_t *frames;   /* `flight` of them, all the same */
    size_t frame_size; /* of one, masked */
    size_t back_size;  /* of one as it comes back */
};

struct member {
    int fd;
    size_t partial; /* bytes of a message that has not come back whole */
    size_t unsent;  /* bytes that the socket had no room for */
    size_t at;      /* how far the frame is that they begin in */
    bool waits;     /* for room */
};

/* A point in time. */
struct mark {
    double time, server, own;
};

static double now(clockid_t clock) {
    struct timespec time;
    if (clock_gettime(clock, &time))
        die("the server's clock");
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static struct mark mark(const struct crowd *crowd) {
    return (struct mark){now(CLOCK_MONOTONIC), now(crowd->server), now(CLOCK_PROCESS_CPUTIME_ID)};
}

static void report(const struct crowd *crowd, const struct mark *since, size_t count) {
    struct mark until = mark(crowd);
    printf("{\"count\": %zu, \"seconds\": %.9f, \"cpu\": %.9f, \"load\": %.9f}\n", count,
           until.time - since->time, until.server - since->server, until.own - since->own);
    fflush(stdout);
}

/* Connects, and asks for the upgrade. */
static int ask(const struct crowd *crowd) {
    static char request[HTTP_MAX];
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)crowd->port)};
    struct link link;
    inet_pton(AF_INET, crowd->host, &address.sin_addr);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) ||
        !link_open(&link, fd, false, false))
        die("connect");
    link_write_all(&link, request, handshake_request(request, crowd->path));
    return fd;
}

static void await_answer(int fd) {
    static char answer[HTTP_MAX];
    size_t size = 0;
    while (!http_head_size(answer, size)) {
        ssize_t got = recv(fd, answer + size, sizeof answer - size, 0);
        if (got <= 0)
            die("upgrade");
        size += (size_t)got;
    }
    if (memcmp(answer, "HTTP/1.1 101", 12))
        die("upgrade");
}

/* Some at once, so that the server is always busy. */
static void open_all(const struct crowd *crowd, struct member *members) {
    for (size_t done = 0; done < crowd->connections;) {
        size_t end = done + AT_ONCE < crowd->connections ? done + AT_ONCE : crowd->connections;
        for (size_t i = done; i < end; i++)
            members[i].fd = ask(crowd);
        for (; done < end; done++) {
            struct epoll_event event = {.events = EPOLLIN, .data.ptr = &members[done]};
            await_answer(members[done].fd);
            if (epoll_ctl(crowd->poller, EPOLL_CTL_ADD, members[done].fd, &event))
                die("epoll_ctl");
        }
    }
}

/* Sends what is due, as far as the socket takes it. */
static void flush(const struct crowd *crowd, struct member *member) {
    while (member->unsent) {
        size_t size = crowd->flight * crowd->frame_size - member->at;
        size = size < member->unsent ? size : member->unsent;
        ssize_t sent = send(member->fd, crowd->frames + member->at, size,
                            MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN)
            die("send");
        if (sent < 0)
            break;
        member->unsent -= (size_t)sent;
        member->at = (member->at + (size_t)sent) % crowd->frame_size;
        if ((size_t)sent < size)
            break;
    }
    if (member->waits != !!member->unsent) {
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = member};
        member->waits = !member->waits;
        event.events |= member->waits ? EPOLLOUT : 0;
        epoll_ctl(crowd->poller, EPOLL_CTL_MOD, member->fd, &event);
    }
}

/* The messages that have come. */
static size_t receive(const struct crowd *crowd, struct member *member) {
    static uint8_t in[ROOM];
    ssize_t got = recv(member->fd, in, sizeof in, MSG_DONTWAIT);
    if (got == 0 || (got < 0 && errno != EAGAIN))
        die("receive");
    if (got < 0)
        return 0;
    member->partial += (size_t)got;
    size_t messages = member->partial / crowd->back_size;
    member->partial %= crowd->back_size;
    return messages;
}

/* The next broadcast, once `left` have come of the one before. */
static void broadcast(const struct crowd *crowd, struct member *first, size_t *left) {
    *left = crowd->connections;
    first->unsent = crowd->frame_size;
    flush(crowd, first);
}

/* Goes on after that until something has come. */
static size_t run(const struct crowd *crowd, struct member *first, double seconds) {
    static size_t left; /* to come of a broadcast */
    struct epoll_event events[EVENTS];
    double end = now(CLOCK_MONOTONIC) + seconds;
    size_t messages = 0;
    while (!messages || now(CLOCK_MONOTONIC) < end) {
        int ready = epoll_wait(crowd->poller, events, EVENTS, 100);
        for (int i = 0; i < ready; i++) {
            struct member *member = events[i].data.ptr;
            size_t got = events[i].events & ~(uint32_t)EPOLLOUT ? receive(crowd, member) : 0;
            messages += got;
            left -= got < left ? got : left;
            if (!crowd->broadcast)
                member->unsent += got * crowd->frame_size;
            flush(crowd, member);
        }
        /* Right after the upgrade a server may not send to everybody yet: then none comes. */
        if (crowd->broadcast && (!left || !ready) && !first->unsent)
            broadcast(crowd, first, &left);
    }
    return messages;
}

static clockid_t clock_of(const char *pid) {
    clockid_t clock;
    if (clock_getcpuclockid((pid_t)strtol(pid, NULL, 10), &clock))
        die("the server's clock");
    return clock;
}

static struct crowd parse(int argc, char **argv) {
    static const struct option known[] = {
        {"url", 1, 0, 'u'},  {"connections", 1, 0, 'c'}, {"flight", 1, 0, 'f'},
        {"size", 1, 0, 's'}, {"warm", 1, 0, 'w'},        {"seconds", 1, 0, 't'},
        {"server", 1, 0, 'p'}, {"broadcast", 0, 0, 'b'},  {0, 0, 0, 0}};
    struct crowd crowd = {.connections = 1, .flight = 1, .warm = 0.2, .seconds = 1,
                          .server = CLOCK_PROCESS_CPUTIME_ID};
    for (int option; (option = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        switch (option) {
        case 'c': crowd.connections = strtoull(optarg, NULL, 10); break;
        case 'f': crowd.flight = strtoull(optarg, NULL, 10); break;
        case 's': crowd.size = strtoull(optarg, NULL, 10); break;
        case 'w': crowd.warm = strtod(optarg, NULL); break;
        case 't': crowd.seconds = strtod(optarg, NULL); break;
        case 'p': crowd.server = clock_of(optarg); break;
        case 'b': crowd.broadcast = true; break;
        case 'u':
            if (sscanf(optarg, "ws://%63[0-9.]:%d%255s", crowd.host, &crowd.port, crowd.path) == 3)
                break; /* fall through */
        default: die("arguments");
        }
    }
    return crowd;
}

/* The same message so many times: what is in flight leaves in one system call. */
static void make_frames(struct crowd *crowd) {
    uint8_t *payload = calloc(1, crowd->size + 1), header[HEADER_MAX];
    crowd->back_size = frame_header(header, FIN | OP_BINARY, crowd->size, NULL) + crowd->size;
    crowd->frame_size = frame_header(header, FIN | OP_BINARY, crowd->size, KEY) + crowd->size;
    crowd->frames = malloc(crowd->flight * crowd->frame_size);
    if (!payload || !crowd->frames)
        die("memory");
    for (size_t i = 0; i < crowd->flight; i++) {
        uint8_t *frame = crowd->frames + i * crowd->frame_size;
        size_t head = frame_header(frame, FIN | OP_BINARY, crowd->size, KEY);
        frame_mask(frame + head, payload, crowd->size, KEY);
    }
    free(payload);
}

int main(int argc, char **argv) {
    struct crowd crowd = parse(argc, argv);
    struct member *members = calloc(crowd.connections, sizeof *members);
    crowd.flight = crowd.broadcast ? 1 : crowd.flight;
    make_frames(&crowd);
    crowd.poller = epoll_create1(0);
    struct mark began = mark(&crowd);
    open_all(&crowd, members);
    report(&crowd, &began, crowd.connections);
    for (size_t i = 0; !crowd.broadcast && i < crowd.connections; i++) {
        members[i].unsent = crowd.flight * crowd.frame_size;
        flush(&crowd, &members[i]);
    }
    run(&crowd, members, crowd.warm);
    began = mark(&crowd);
    report(&crowd, &began, run(&crowd, members, crowd.seconds));
    getchar(); /* whoever measures says when to let go */
}
