#include "drive.h"

#include "check.h"
#include "frames.h"
#include "guard.h"
#include "log.h"
#include "memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST_TAKEN 32
#define SPOILT 0xee /* what pieces are overwritten with when the parser may not use them any more */

const struct cuts uncut = {SIZE_MAX, SIZE_MAX, 0};

#define MOST_SHORTS 3

const struct way ways[] = {
    {0, 0, ON_HEAP, 0}, {0, 1, BEFORE_GUARD, 1}, {0, 0, AFTER_GUARD, MOST_SHORTS},
    {1, 1, ON_HEAP, 0}, {1, 0, BEFORE_GUARD, 1}, {5, 0, ON_HEAP, MOST_SHORTS},
};
const size_t ways_count = sizeof ways / sizeof *ways;

struct run {
    wsf_parser parser;
    const struct way *way;
    size_t given;    /* bytes of the stream so far */
    size_t error_at; /* bytes given when the error came */
    int error, closed;
    struct {
        uint8_t *data;
        size_t size;
        char shown[160];
    } taken[MOST_TAKEN];
    size_t taken_count;
};

static int is_ascii(const wsf_event *event)
{
    for (size_t i = 0; i < event->size; i++) {
        if (event->data[i] > 0x7f)
            return 0;
    }
    return 1;
}

static void check_event(const struct run *run, const wsf_event *event)
{
    int is_text = event->opcode == WSF_TEXT && !event->compressed;
    CHECK(!run->closed && run->error == WSF_OK);
    CHECK(event->size == 0 || event->data != NULL);
    CHECK(event->owned <= 1 && event->checked <= 1 && event->compressed <= 1);
    CHECK(!event->piece || !event->owned);
    CHECK(event->piece <= (event->compressed || run->parser.config.pieces));
    CHECK(event->compressed <= event->piece);
    CHECK(event->more <= event->piece && (!event->more || event->size > 0));
    CHECK(event->opcode == WSF_CLOSE || event->code == 0);
    CHECK(is_text || !event->checked);
    CHECK(!event->ascii || (event->checked && is_ascii(event)));
    CHECK(!event->checked || !event->owned || event->ascii == is_ascii(event));
    CHECK(!is_text || event->checked || run->parser.config.defer_utf8);
    CHECK(!event->owned || memory_size_of(event->data) >= event->size);
    CHECK(!event->owned || memory_size_of(event->data) > 0);
}

static void take(struct run *run, const wsf_event *event)
{
    if (run->taken_count == MOST_TAKEN) {
        fprintf(stderr, "drive: too many blocks to take\n");
        exit(1);
    }
    wsf_parser_take(&run->parser);
    size_t i = run->taken_count++;
    run->taken[i].data = (uint8_t *)(uintptr_t)event->data;
    run->taken[i].size = event->size;
    strcpy(run->taken[i].shown, payload_text(event->data, event->size));
}

static void take_shorts(struct run *run)
{
    wsf_short shorts[MOST_SHORTS];
    size_t count;
    do {
        count = wsf_parser_shorts(&run->parser, shorts, run->way->batch);
        CHECK(count <= run->way->batch);
        for (size_t i = 0; i < count; i++) {
            wsf_event event = {
                .data = shorts[i].data, .size = shorts[i].size, .opcode = shorts[i].opcode};
            check_event(run, &event);
            log_event(&event);
        }
    } while (count && count == run->way->batch);
}

/* All that the parser has to say at this point; an error must be said again and again. */
static void drain(struct run *run)
{
    wsf_event event;
    int got;
    for (;;) {
        take_shorts(run);
        memset(&event, SPOILT, sizeof event);
        got = wsf_parser_next(&run->parser, &event);
        if (got != 1)
            break;
        check_event(run, &event);
        log_event(&event);
        run->closed |= event.opcode == WSF_CLOSE;
        if (event.owned && run->way->take)
            take(run, &event);
    }
    CHECK(got <= 0);
    if (got < 0 && run->error == WSF_OK) {
        run->error = got;
        run->error_at = run->given;
        log_error(got);
    }
    CHECK(got == run->error);
    CHECK(wsf_parser_next(&run->parser, &event) == run->error);
}

static uint8_t *piece_new(const struct run *run, const uint8_t *bytes, size_t size)
{
    static guard area;
    if (area.first == NULL)
        area = guard_new(FRAMES_ROOM);
    uint8_t *piece = run->way->place == ON_HEAP
                         ? malloc(size)
                         : guard_place(&area, run->way->place == AFTER_GUARD, size);
    if (piece == NULL)
        exit(1);
    memcpy(piece, bytes, size);
    return piece;
}

static void give(struct run *run, const uint8_t *bytes, size_t size)
{
    uint8_t *piece = piece_new(run, bytes, size);
    wsf_parser_feed(&run->parser, piece, size);
    run->given += size;
    drain(run);
    memset(piece, SPOILT, size);
    if (run->way->place == ON_HEAP)
        free(piece);
}

/* Receives into the window as long as there is one; what is left is fed. */
static void give_by_window(struct run *run, const uint8_t *bytes, size_t size)
{
    while (size > 0) {
        uint8_t *window = NULL;
        int64_t room = wsf_parser_window(&run->parser, &window, run->way->window);
        if (room <= 0) {
            CHECK(room == 0 || room == WSF_ERR_NO_MEMORY);
            break;
        }
        CHECK(run->error == WSF_OK && !run->closed && (uint64_t)room >= run->way->window);
        size_t filled = (uint64_t)room < size ? (size_t)room : size;
        memcpy(window, bytes, filled);
        wsf_parser_filled(&run->parser, filled);
        run->given += filled;
        drain(run);
        bytes += filled;
        size -= filled;
    }
    if (size > 0)
        give(run, bytes, size);
}

static size_t next_cut(const struct cuts *cuts, size_t at, size_t size)
{
    size_t next = size;
    if (cuts->step && size - at > cuts->step)
        next = at + cuts->step;
    if (cuts->second > at && cuts->second < next)
        next = cuts->second;
    if (cuts->first > at && cuts->first < next)
        next = cuts->first;
    return next;
}

const char *drive(const wsf_config *config, const struct way *way, const uint8_t *stream,
                  size_t size, const struct cuts *cuts, size_t *error_at)
{
    static struct run run;
    memset(&run, SPOILT, sizeof run.parser);
    run.way = way;
    run.given = run.error_at = run.taken_count = 0;
    run.error = run.closed = 0;
    wsf_config with_hook = *config;
    with_hook.resize = memory_resize;
    wsf_parser_init(&run.parser, &with_hook);
    log_start();

    for (size_t at = 0, next; at < size; at = next) {
        next = next_cut(cuts, at, size);
        if (way->window)
            give_by_window(&run, stream + at, next - at);
        else
            give(&run, stream + at, next - at);
    }
    wsf_parser_clear(&run.parser);
    CHECK(memory.blocks == run.taken_count);
    for (size_t i = 0; i < run.taken_count; i++) {
        CHECK_TEXT(payload_text(run.taken[i].data, run.taken[i].size), run.taken[i].shown);
        memory_resize(run.taken[i].data, 0);
    }
    if (error_at)
        *error_at = run.error_at;
    return log_text();
}
