#include "deliver.h"

#include "reference.h"

#include <stdlib.h>
#include <string.h>

#define SPOILT 0xee /* what memory is overwritten with that the parser may not use any more */
#define MOST_TAKEN 16
#define MOST_SHORTS 3

const delivery whole = {.step = 0}, bytewise = {.step = 1};

delivery deliver_choose(fuzz_input *input)
{
    delivery how = {0};
    how.first = (size_t)fuzz_take(input, 2);
    how.second = how.first + (size_t)fuzz_take(input, 1);
    how.step = (size_t)fuzz_take(input, 1);
    how.random = (uint32_t)fuzz_take(input, 1);
    how.window = (size_t)fuzz_take(input, 1);
    how.fail_at = (size_t)fuzz_take(input, 1);
    uint64_t flags = fuzz_take(input, 1);
    how.take = flags & 1;
    if (flags & 2)
        how.step *= 1000;
    if (flags & 4)
        how.window *= 1000;
    how.batch = flags >> 3 & 3;
    return how;
}

/* ------------------------------------------------------------------ memory */

/* The hook has no argument of its own, so what it knows is here; one delivery at a time. */
static struct {
    size_t alive, requests, fail_at, most;
    int failed;
} memory;

static void *resize(void *block, size_t size)
{
    if (size == 0) {
        REQUIRE(block != NULL);
        memory.alive--;
        free(block);
        return NULL;
    }
    REQUIRE(!memory.failed); /* a failed parser asks for nothing more */
    REQUIRE(size <= memory.most);
    memory.alive += block == NULL;
    if (++memory.requests == memory.fail_at) {
        memory.failed = 1;
        memory.alive--;
        free(block);
        return NULL;
    }
    void *resized = realloc(block, size);
    if (resized == NULL)
        exit(1);
    return resized;
}

/* ------------------------------------------------------------------ one run */

struct run {
    wsf_parser parser;
    const delivery *how;
    const transcript *wanted;
    transcript *said;
    uint32_t random;
    size_t given;     /* bytes of the stream so far */
    size_t told, due; /* items that were said, and were to be said, for those */
    int error, closed;
    uint8_t *pieces;  /* what has come of a message in pieces that is not compressed */
    size_t pieces_size;
    struct {
        uint8_t *block;
        size_t item; /* its number in `said` */
    } taken[MOST_TAKEN];
    size_t taken_count;
};

static void check_form(const struct run *run, const wsf_event *event)
{
    int is_text = event->opcode == WSF_TEXT && !event->compressed;
    REQUIRE(!run->closed && run->error == WSF_OK);
    REQUIRE(event->data != NULL);
    REQUIRE(event->compressed <= 1 && event->compressed <= run->parser.config.allow_rsv1);
    REQUIRE(event->compressed <= event->piece);
    REQUIRE(event->piece <= (event->compressed || run->parser.config.pieces));
    REQUIRE(event->more <= event->piece && (!event->more || event->size > 0));
    REQUIRE(event->checked <= is_text);
    REQUIRE(!is_text || event->checked || (run->parser.config.defer_utf8 && !event->owned));
    REQUIRE(event->ascii <= (event->checked && wsf_is_ascii(event->data, event->size)));
    REQUIRE(event->owned <= (!event->piece && event->opcode < WSF_CLOSE));
    REQUIRE(event->opcode == WSF_CLOSE || event->code == 0);
}

static void take(struct run *run, const wsf_event *event)
{
    if (run->taken_count == MOST_TAKEN)
        return;
    wsf_parser_take(&run->parser);
    run->taken[run->taken_count].block = (uint8_t *)(uintptr_t)event->data;
    run->taken[run->taken_count++].item = run->said->count - 1;
}

/* A message whose pieces are not compressed is written down at its end, as if it had come whole. */
static void on_piece(struct run *run, const wsf_event *event)
{
    memcpy(run->pieces + run->pieces_size, event->data, event->size);
    run->pieces_size += event->size;
    if (event->more)
        return;
    transcript_gather(run->said, run->pieces, run->pieces_size);
    transcript_item(run->said, event->opcode, 0, run->given);
    run->pieces_size = 0;
}

static void on_event(struct run *run, const wsf_event *event)
{
    check_form(run, event);
    size_t ended;
    if (event->opcode == WSF_TEXT && !event->compressed && !event->checked) {
        reference_utf8(event->data, event->size, &ended);
        if (ended != event->size) {
            wsf_parser_fail(&run->parser, WSF_ERR_TEXT_UTF8);
            return;
        }
    }
    if (event->piece && !event->compressed) {
        on_piece(run, event);
        return;
    }
    transcript_gather(run->said, event->data, event->size);
    if (event->compressed)
        transcript_piece(run->said, event->opcode, event->more, run->given);
    else
        transcript_item(run->said, event->opcode, event->code, run->given);
    run->closed = event->opcode == WSF_CLOSE;
    if (event->owned && run->how->take)
        take(run, event);
}

/* What the bytes so far tell must have been said, and nothing more. */
static void check_timely(struct run *run)
{
    const transcript *wanted = run->wanted;
    if (memory.failed) {
        REQUIRE(run->error == WSF_ERR_NO_MEMORY);
        return;
    }
    run->told = transcript_told(run->said, run->given, run->told);
    run->due = transcript_told(wanted, run->given, run->due);
    REQUIRE(run->told == run->due);
    if (wanted->errors && wanted->error_at <= run->given)
        REQUIRE(run->error < 0 && wanted->errors >> -run->error & 1);
    else
        REQUIRE(run->error == WSF_OK);
}

static void take_shorts(struct run *run)
{
    wsf_short shorts[MOST_SHORTS];
    size_t count;
    do {
        count = wsf_parser_shorts(&run->parser, shorts, run->how->batch);
        REQUIRE(count <= run->how->batch);
        for (size_t i = 0; i < count && run->parser.error == WSF_OK; i++) {
            REQUIRE(shorts[i].opcode == WSF_BINARY || run->parser.config.defer_utf8);
            on_event(run, &(wsf_event){.data = shorts[i].data,
                                       .size = shorts[i].size,
                                       .opcode = shorts[i].opcode});
        }
    } while (count && count == run->how->batch);
}

/* All that the parser has to say at this point; an error must be said again and again. */
static void drain(struct run *run)
{
    wsf_event event;
    int got;
    do {
        take_shorts(run);
        if ((got = wsf_parser_next(&run->parser, &event)) == 1)
            on_event(run, &event);
    } while (got == 1);
    if (run->error == WSF_OK)
        run->error = got;
    REQUIRE(got == run->error);
    REQUIRE(wsf_parser_next(&run->parser, &event) == run->error);
    check_timely(run);
}

/* Feeds the bytes in a block of just their size, which is gone afterwards. */
static void feed(struct run *run, const uint8_t *bytes, size_t size)
{
    uint8_t *piece = fuzz_alloc(size);
    memcpy(piece, bytes, size);
    run->given += size;
    wsf_parser_feed(&run->parser, piece, size);
    drain(run);
    memset(piece, SPOILT, size);
    free(piece);
}

/* Receives into windows while they are offered, but refuses an offer now and then. */
static size_t receive(struct run *run, const uint8_t *bytes, size_t size)
{
    size_t received = 0;
    while (received < size) {
        uint8_t *window = NULL;
        int64_t room = wsf_parser_window(&run->parser, &window, run->how->window);
        if (room < 0) {
            REQUIRE(room == WSF_ERR_NO_MEMORY && memory.failed);
            run->error = (int)room;
        }
        if (room <= 0 || (run->how->random && fuzz_random(&run->random) % 8 == 0))
            break;
        REQUIRE(run->error == WSF_OK && !run->closed && (uint64_t)room >= run->how->window);
        size_t filled = (uint64_t)room < size - received ? (size_t)room : size - received;
        memcpy(window, bytes + received, filled);
        wsf_parser_filled(&run->parser, filled);
        received += filled;
        run->given += filled;
        drain(run);
    }
    return received;
}

static size_t next_cut(struct run *run, size_t at, size_t size)
{
    const delivery *how = run->how;
    size_t next = size, step = how->step;
    if (step && how->random)
        step = 1 + fuzz_random(&run->random) % step;
    if (step && step < size - at)
        next = at + step;
    if (how->second > at && how->second < next)
        next = how->second;
    if (how->first > at && how->first < next)
        next = how->first;
    return next;
}

static void check_taken(const struct run *run)
{
    REQUIRE(memory.alive == run->taken_count);
    for (size_t i = 0; i < run->taken_count; i++) {
        const item *said = &run->said->items[run->taken[i].item];
        REQUIRE(memcmp(run->taken[i].block, run->said->bytes + said->start, said->size) == 0);
        resize(run->taken[i].block, 0);
    }
}

void deliver(const delivery *how, const wsf_config *config, const uint8_t *stream, size_t size,
             const transcript *wanted)
{
    static transcript said;
    struct run run = {.how = how, .wanted = wanted, .said = &said, .random = how->random};
    wsf_config with_hook = *config;
    with_hook.resize = resize;
    memset(&run.parser, SPOILT, sizeof run.parser);
    memset(&memory, 0, sizeof memory);
    memory.fail_at = how->fail_at;
    transcript_start(&said);
    run.pieces = fuzz_alloc(size);
    wsf_parser_init(&run.parser, &with_hook);
    for (size_t at = 0, next; at < size; at = next) {
        next = next_cut(&run, at, size);
        memory.most = FIRST_ROOM + GROWTH * (how->window + next); /* claims alone get little */
        size_t received = how->window ? receive(&run, stream + at, next - at) : 0;
        feed(&run, stream + at + received, next - at - received);
    }
    wsf_parser_clear(&run.parser);
    free(run.pieces);
    REQUIRE(!config->pieces || memory.requests == 0);
    transcript_require_same(&said, wanted, memory.failed ? said.count : wanted->count);
    check_taken(&run);
}
