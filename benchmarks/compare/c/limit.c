/* limit --task NAME --url URL --warm N --count N --size BYTES: prints a line of JSON. */
#define _GNU_SOURCE
#include "limit.h"

#include <arpa/inet.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "frame.h"
#include "handshake.h"

static const uint8_t KEY[4] = {0x37, 0xfa, 0x21, 0x3d};
static double seconds, cpu;

static double read_clock(clockid_t which) {
    struct timespec time;
    clock_gettime(which, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

double now(void) { return read_clock(CLOCK_MONOTONIC); }
double cpu_seconds(void) { return read_clock(CLOCK_PROCESS_CPUTIME_ID); }

void clock_start(void) {
    cpu = cpu_seconds();
    seconds = now();
}

void clock_stop(void) {
    seconds = now() - seconds;
    cpu = cpu_seconds() - cpu;
}

static void fill(struct client *client) {
    if (client->begin == client->end)
        client->begin = client->end = 0;
    if (client->end == ROOM) {
        memmove(client->in, client->in + client->begin, client->end - client->begin);
        client->end -= client->begin;
        client->begin = 0;
    }
    ssize_t size = link_read(&client->link, client->in + client->end, ROOM - client->end);
    if (size <= 0 && size != LINK_WAIT)
        die("receive");
    client->end += size > 0 ? (size_t)size : 0;
}

void client_open(struct client *client, const struct task *task) {
    static char request[HTTP_MAX];
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)task->port)};
    inet_pton(AF_INET, task->host, &address.sin_addr);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) ||
        !link_open(&client->link, fd, false, task->tls))
        die("connect");
    client->in = malloc(ROOM);
    client->begin = client->end = 0;
    link_write_all(&client->link, request, handshake_request(request, task->path));
    size_t head;
    while (!(head = http_head_size((char *)client->in, client->end)))
        fill(client);
    if (memcmp(client->in, "HTTP/1.1 101", 12))
        die("upgrade");
    client->begin = head;
}

size_t client_frame(uint8_t *to, const uint8_t *payload, size_t size) {
    size_t header = frame_header(to, FIN | OP_BINARY, size, KEY);
    frame_mask(to + header, payload, size, KEY);
    return header + size;
}

void client_send(struct client *client, const uint8_t *payload, size_t size) {
    static uint8_t *out;
    static size_t room;
    if (room < size + HEADER_MAX) {
        room = size + HEADER_MAX;
        out = realloc(out, room);
    }
    link_write_all(&client->link, out, client_frame(out, payload, size));
}

static size_t take(struct client *client, uint8_t *to, size_t size) {
    size_t have = client->end - client->begin;
    size = size < have ? size : have;
    memcpy(to, client->in + client->begin, size);
    client->begin += size;
    return size;
}

uint8_t *client_receive(struct client *client, size_t *size) {
    struct frame frame;
    while (!frame_parse(&frame, client->in + client->begin, client->end - client->begin))
        fill(client);
    client->begin += frame.header;
    *size = frame.payload;
    uint8_t *message = malloc(frame.payload + 1);
    for (size_t done = 0; (done += take(client, message + done, frame.payload - done)) < *size;)
        fill(client);
    return message;
}

void client_close(struct client *client) {
    uint8_t frame[HEADER_MAX];
    size_t size = frame_header(frame, FIN | OP_CLOSE, 0, KEY);
    link_write_all(&client->link, frame, size);
    free(client_receive(client, &size));
    link_close(&client->link);
    free(client->in);
}

static int by_value(const void *a, const void *b) {
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

static void report(const struct task *task, double *latencies) {
    printf("{\"count\": %zu, \"seconds\": %.9f, \"cpu\": %.9f", task->count * task->connections,
           seconds, cpu);
    if (latencies[0] > 0) {
        static const double percents[] = {50, 99, 99.9};
        qsort(latencies, task->count, sizeof *latencies, by_value);
        for (int i = 0; i < 3; i++)
            printf(", \"p%g\": %.9f", percents[i],
                   latencies[(size_t)((double)(task->count - 1) * percents[i] / 100)]);
    }
    puts("}");
}

static struct task parse(int argc, char **argv) {
    static const struct option known[] = {
        {"task", 1, 0, 't'}, {"url", 1, 0, 'u'},  {"warm", 1, 0, 'w'},        {"count", 1, 0, 'n'},
        {"size", 1, 0, 's'}, {"kind", 1, 0, 'x'}, {"connections", 1, 0, 'c'}, {"cafile", 1, 0, 'x'},
        {0, 0, 0, 0}};
    struct task task = {.name = "", .connections = 1};
    char scheme[4] = "";
    for (int option; (option = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        switch (option) {
        case 't': task.name = optarg; break;
        case 'w': task.warm = strtoull(optarg, NULL, 10); break;
        case 'n': task.count = strtoull(optarg, NULL, 10); break;
        case 's': task.size = strtoull(optarg, NULL, 10); break;
        case 'c': task.connections = strtoull(optarg, NULL, 10); break;
        case 'x': break;
        case 'u':
            if (sscanf(optarg, "%3[a-z]://%63[0-9.]:%d%255s", scheme, task.host, &task.port,
                       task.path) == 4)
                break; /* fall through */
        default: die("arguments");
        }
    }
    task.tls = !strcmp(scheme, "wss");
    return task;
}

int main(int argc, char **argv) {
    struct task task = parse(argc, argv);
    double *latencies = calloc(task.count + 1, sizeof *latencies);
    if (task.tls && !link_setup_tls(NULL, NULL))
        return 3;
    if (!latencies || !task_run(&task, latencies))
        die("task");
    report(&task, latencies);
}
