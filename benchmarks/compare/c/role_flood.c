/* /flood/PATTERN/WARM/COUNT: each message that arrives starts a round of so many messages. They are
   those of the file PATTERN, which holds frames as they go on the wire, over and over. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "counts.h"
#include "frame.h"
#include "server.h"

const char *pattern_folder = ".";

struct pattern {
    char name[64];
    const uint8_t *bytes;
    size_t size, messages;
    size_t *ends; /* of each message */
};

struct flood {
    struct counts counts;
    const struct pattern *pattern;
    size_t left; /* bytes of this round after `out` */
};

static bool load(struct pattern *pattern, const char *name) {
    char path[512];
    struct stat about;
    struct frame frame;
    snprintf(path, sizeof path, "%s/%s", pattern_folder, name);
    int fd = strchr(name, '.') ? -1 : open(path, O_RDONLY);
    if (fd < 0 || fstat(fd, &about))
        return false;
    pattern->size = (size_t)about.st_size;
    pattern->bytes = mmap(NULL, pattern->size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
    close(fd);
    pattern->ends = malloc((pattern->size / 2 + 1) * sizeof *pattern->ends);
    if (pattern->bytes == MAP_FAILED || !pattern->ends)
        return false;
    for (size_t at = 0; frame_parse(&frame, pattern->bytes + at, pattern->size - at);) {
        at += frame.header + frame.payload;
        pattern->ends[pattern->messages++] = at;
    }
    return pattern->messages && pattern->ends[pattern->messages - 1] == pattern->size;
}

static const struct pattern *find(const char *name) {
    static struct pattern known[8];
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (!strcmp(known[i].name, name))
            return &known[i];
        if (!*known[i].name && strlen(name) < sizeof known[i].name) {
            strcpy(known[i].name, name);
            return load(&known[i], name) ? &known[i] : NULL;
        }
    }
    return NULL;
}

static bool open_flood(struct conn *conn, char *arguments) {
    struct flood *flood = conn->state = calloc(1, sizeof *flood);
    size_t name = strcspn(arguments, "/");
    if (!flood || !arguments[name])
        return false;
    arguments[name] = 0;
    flood->pattern = find(arguments);
    return flood->pattern && counts_parse(&flood->counts, arguments + name + 1);
}

static void written(struct conn *conn) {
    struct flood *flood = conn->state;
    conn->out = flood->pattern->bytes;
    conn->out_size = flood->left < flood->pattern->size ? flood->left : flood->pattern->size;
    flood->left -= conn->out_size;
}

static void start_round(struct conn *conn) {
    struct flood *flood = conn->state;
    size_t count = counts_take(&flood->counts), messages = flood->pattern->messages;
    flood->left = count / messages * flood->pattern->size +
                  (count % messages ? flood->pattern->ends[count % messages - 1] : 0);
    written(conn);
}

/* Requests are small and come one by one. */
static bool received(struct conn *conn) {
    struct frame frame;
    conn->used = 0;
    if (!frame_parse(&frame, conn->in, conn->in_size) ||
        conn->in_size < frame.header + frame.payload)
        return true;
    conn->used = frame.header + frame.payload;
    if (frame_opcode(&frame) == OP_CLOSE)
        conn_answer_close(conn);
    else if (!frame_is_control(&frame))
        start_round(conn);
    return true;
}

const struct role flood_role = {"flood", open_flood, received, written, NULL};
