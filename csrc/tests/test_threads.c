/*
 * What threads share, and what they must not: run under ThreadSanitizer by `make tsan`. Checks are
 * counted without a lock, so threads note what went wrong, and the test checks that afterwards.
 */
#include "check.h"
#include "frames.h"
#include "wsf.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define THREADS 4
#define ROUNDS 300
#define SIZE 500 /* more than the widest implementation takes in one step, and not a multiple */

struct worker {
    pthread_t thread;
    unsigned number;
    unsigned long wrong, right;
};

static void run_all(void *(*work)(void *), struct worker *workers)
{
    for (unsigned i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){.number = i};
        if (pthread_create(&workers[i].thread, NULL, work, &workers[i]) != 0) {
            perror("pthread_create");
            exit(1);
        }
    }
    for (unsigned i = 0; i < THREADS; i++) {
        CHECK(pthread_join(workers[i].thread, NULL) == 0);
        check_about("thread", i, 0);
        CHECK(workers[i].wrong == 0);
        CHECK(workers[i].right > 0);
    }
}

static void note(struct worker *worker, int right)
{
    if (right)
        worker->right++;
    else
        worker->wrong++;
}

static int is_available(const char *name)
{
    for (size_t i = 0; wsf_mask_available(i); i++) {
        if (strcmp(wsf_mask_available(i), name) == 0)
            return 1;
    }
    return 0;
}

/* Half of the threads choose, as each interpreter that loads the extension does. */
static void *mask_or_choose(void *argument)
{
    struct worker *worker = argument;
    uint8_t plain[SIZE], masked[SIZE], key[4] = {1, 2, 4, (uint8_t)worker->number};
    uint32_t number;
    memcpy(&number, key, 4);
    memset(plain, 0x55, sizeof plain);
    for (size_t round = 0; round < ROUNDS; round++) {
        if (worker->number % 2) {
            const char *name = wsf_mask_available(round % 3); /* NULL chooses too */
            note(worker, wsf_mask_select(name) == 0);
            note(worker, is_available(wsf_mask_implementation()));
            continue;
        }
        size_t right = 0;
        wsf_mask(masked, plain, sizeof plain, number);
        for (size_t i = 0; i < sizeof plain; i++)
            right += masked[i] == (0x55 ^ key[i % 4]);
        note(worker, right == sizeof plain);
    }
    return NULL;
}

static void implementations_are_chosen_while_others_mask(void)
{
    struct worker workers[THREADS];
    run_all(mask_or_choose, workers);
    CHECK(wsf_mask_select("scalar") == 0);
    run_all(mask_or_choose, workers);
}

static uint8_t stream[FRAMES_ROOM];
static size_t stream_size;

/* A parser of its own for each thread, over its copy of a stream; the C library allocates. */
static void *parse(void *argument)
{
    static const uint8_t wanted[] = {WSF_PING, WSF_TEXT, WSF_BINARY, WSF_TEXT, WSF_CLOSE};
    struct worker *worker = argument;
    for (size_t round = 0; round < ROUNDS; round++) {
        wsf_config config = {.server = 1, .defer_utf8 = worker->number % 2};
        wsf_parser parser;
        wsf_event event;
        size_t events = 0, step = 1 + (round + worker->number) % 97;
        wsf_parser_init(&parser, &config);
        for (size_t at = 0; at < stream_size; at += step) {
            uint8_t piece[97];
            size_t size = step < stream_size - at ? step : stream_size - at;
            memcpy(piece, stream + at, size);
            wsf_parser_feed(&parser, piece, size);
            while (wsf_parser_next(&parser, &event) == 1) {
                note(worker, events < sizeof wanted && event.opcode == wanted[events]);
                events++;
            }
        }
        note(worker, events == sizeof wanted);
        note(worker, strcmp(wsf_error_text(wsf_parser_next(&parser, &event)), "no error") == 0);
        wsf_parser_clear(&parser);
    }
    return NULL;
}

static void each_thread_has_its_parser(void)
{
    struct worker workers[THREADS];
    const char *notation = "01'\342' 89'ping' 80'\202\254' 82'x'*300 81'whole' 88'\003\350'";
    memcpy(stream, frames(notation, 1, &stream_size), sizeof stream);
    run_all(parse, workers);
}

int main(void)
{
    TEST(implementations_are_chosen_while_others_mask);
    TEST(each_thread_has_its_parser);
    return check_report("threads");
}
