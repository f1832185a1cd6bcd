/* crowd --url URL --connections N --flight N --size BYTES --warm SECONDS --seconds SECONDS:
   many clients of an echo server, by one thread. Prints a line of JSON.

   Each has so many messages on their way, always: what comes back is sent again. As the load must
   cost less than the server, it does not look at what it gets, but counts its bytes. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "frame.h"
#include "handshake.h"
#include "link.h"

enum { EVENTS = 512, ROOM = 256 * 1024 };

static const uint8_t KEY[4] = {0x37, 0xfa, 0x21, 0x3d};

struct crowd {
    char host[64], path[256];
    int port, poller;
    size_t connections, flight, size;
    double warm, seconds;
    uint8_t *frames;   /* `flight` of them */
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

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static int open_one(const struct crowd *crowd) {
    static char request[HTTP_MAX], answer[HTTP_MAX];
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)crowd->port)};
    struct link link;
    size_t size = 0;
    inet_pton(AF_INET, crowd->host, &address.sin_addr);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) ||
        !link_open(&link, fd, false, false))
        die("connect");
    link_write_all(&link, request, handshake_request(request, crowd->path));
    while (!http_head_size(answer, size)) {
        ssize_t got = recv(fd, answer + size, sizeof answer - size, 0);
        if (got <= 0)
            die("upgrade");
        size += (size_t)got;
    }
    if (memcmp(answer, "HTTP/1.1 101", 12))
        die("upgrade");
    return fd;
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

static size_t serve(const struct crowd *crowd, struct member *member) {
    static uint8_t in[ROOM];
    ssize_t got = recv(member->fd, in, sizeof in, MSG_DONTWAIT);
    if (got == 0 || (got < 0 && errno != EAGAIN))
        die("receive");
    if (got < 0)
        return 0;
    member->partial += (size_t)got;
    size_t messages = member->partial / crowd->back_size;
    member->partial %= crowd->back_size;
    member->unsent += messages * crowd->frame_size;
    return messages;
}

static size_t run_until(const struct crowd *crowd, double end) {
    struct epoll_event events[EVENTS];
    size_t messages = 0;
    while (now() < end) {
        int ready = epoll_wait(crowd->poller, events, EVENTS, 100);
        for (int i = 0; i < ready; i++) {
            struct member *member = events[i].data.ptr;
            if (events[i].events & ~(uint32_t)EPOLLOUT)
                messages += serve(crowd, member);
            flush(crowd, member);
        }
    }
    return messages;
}

static struct crowd parse(int argc, char **argv) {
    static const struct option known[] = {
        {"url", 1, 0, 'u'},  {"connections", 1, 0, 'c'}, {"flight", 1, 0, 'f'},
        {"size", 1, 0, 's'}, {"warm", 1, 0, 'w'},        {"seconds", 1, 0, 't'}, {0, 0, 0, 0}};
    struct crowd crowd = {.connections = 1, .flight = 1, .warm = 0.2, .seconds = 1};
    for (int option; (option = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        switch (option) {
        case 'c': crowd.connections = strtoull(optarg, NULL, 10); break;
        case 'f': crowd.flight = strtoull(optarg, NULL, 10); break;
        case 's': crowd.size = strtoull(optarg, NULL, 10); break;
        case 'w': crowd.warm = strtod(optarg, NULL); break;
        case 't': crowd.seconds = strtod(optarg, NULL); break;
        case 'u':
            if (sscanf(optarg, "ws://%63[0-9.]:%d%255s", crowd.host, &crowd.port, crowd.path) == 3)
                break; /* fall through */
        default: die("arguments");
        }
    }
    return crowd;
}

int main(int argc, char **argv) {
    struct crowd crowd = parse(argc, argv);
    struct rlimit descriptors = {crowd.connections + 64, crowd.connections + 64};
    if (crowd.connections > 900 && setrlimit(RLIMIT_NOFILE, &descriptors))
        die("descriptors");
    uint8_t *payload = calloc(1, crowd.size + 1), header[HEADER_MAX];
    crowd.back_size = frame_header(header, FIN | OP_BINARY, crowd.size, NULL) + crowd.size;
    crowd.frame_size = frame_header(header, FIN | OP_BINARY, crowd.size, KEY) + crowd.size;
    crowd.frames = malloc(crowd.flight * crowd.frame_size);
    for (size_t i = 0; i < crowd.flight; i++) {
        uint8_t *frame = crowd.frames + i * crowd.frame_size;
        size_t head = frame_header(frame, FIN | OP_BINARY, crowd.size, KEY);
        frame_mask(frame + head, payload, crowd.size, KEY);
    }
    crowd.poller = epoll_create1(0);
    struct member *members = calloc(crowd.connections, sizeof *members);
    double began = now();
    for (size_t i = 0; i < crowd.connections; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &members[i]};
        members[i].fd = open_one(&crowd);
        if (epoll_ctl(crowd.poller, EPOLL_CTL_ADD, members[i].fd, &event))
            die("epoll_ctl");
    }
    double opened = now() - began;
    puts("{\"opened\": true}"); /* the clock of who measures the server */
    fflush(stdout);
    for (size_t i = 0; i < crowd.connections; i++) {
        members[i].unsent = crowd.flight * crowd.frame_size;
        flush(&crowd, &members[i]);
    }
    run_until(&crowd, now() + crowd.warm);
    puts("{\"warm\": true}");
    fflush(stdout);
    began = now();
    size_t messages = run_until(&crowd, began + crowd.seconds);
    double seconds = now() - began;
    printf("{\"count\": %zu, \"seconds\": %.9f, \"opening\": %.9f}\n", messages, seconds, opened);
    fflush(stdout);
    getchar(); /* whoever measures says when to let go */
}
