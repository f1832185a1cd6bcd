/* Every allocation failing in turn: parser.c. Nothing else in the library allocates. */
#include "calls.h"
#include "check.h"
#include "drive.h"
#include "frames.h"
#include "memory.h"

#include <string.h>

/* The sanitizers' malloc ends the program when it is asked for too much, if not told otherwise. */
#define MAY_RETURN_NULL "allocator_may_return_null=1"
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return MAY_RETURN_NULL;
}
const char *__msan_default_options(void);
const char *__msan_default_options(void)
{
    return MAY_RETURN_NULL;
}

static void the_c_library_can_run_out_of_memory(void)
{
    uint8_t *data = NULL;
    wsf_config config = {0};
    wsf_parser_init(&parser, &config);
    feed("02'a block to be freed' 80:3fffffff00000000");
    while (next() == 1)
        ;
    CHECK(wsf_parser_window(&parser, &data, SIZE_MAX / 8) <= 0);
    CHECK(next() == (SIZE_MAX > UINT32_MAX ? WSF_ERR_NO_MEMORY : WSF_ERR_MESSAGE_TOO_BIG));
    wsf_parser_clear(&parser);
}

struct stream {
    const char *frames, *log;
    wsf_config config;
};

/* Fails the first allocation, the second ... until one run needs no more; returns how many failed.
 * What was said before the failure must be what the same run says without it; drive checks that the
 * error stays whatever else comes, and that no block is left. */
static size_t check_failures(const struct stream *s, uint8_t server, const struct way *way,
                             const struct cuts *cuts)
{
    static const char error[] = "error NO_MEMORY 1011";
    wsf_config config = s->config;
    config.server = server;
    for (size_t n = 1;; n++) {
        size_t size;
        const uint8_t *bytes = frames(s->frames, server, &size);
        memory_start(n);
        const char *got = drive(&config, way, bytes, size, cuts, NULL);
        check_about(s->frames, n, cuts->first);
        if (memory.requests < n) {
            CHECK_TEXT(got, s->log);
            return n - 1;
        }
        size_t said = strlen(got) >= sizeof error - 1 ? strlen(got) - (sizeof error - 1) : 0;
        CHECK_TEXT(got + said, error);
        said -= said ? 2 : 0; /* the "; " before it */
        CHECK(strncmp(got, s->log, said) == 0);
        CHECK(memory.requests == n); /* a failed parser asks for nothing more */
    }
}

/* In either role, in each of the ways, cut at every place, and into single bytes. */
static size_t check_short(const struct stream *s)
{
    size_t failures = 0;
    for (uint8_t server = 0; server < 2; server++) {
        size_t size;
        frames(s->frames, server, &size);
        for (size_t w = 0; w < ways_count; w++) {
            failures += check_failures(s, server, &ways[w], &(struct cuts){size, size, 1});
            for (size_t cut = 1; cut <= size; cut++)
                failures += check_failures(s, server, &ways[w], &(struct cuts){cut, size, 0});
        }
    }
    return failures;
}

static void every_allocation_of_short_messages(void)
{
    static const struct stream streams[] = {
        {"81'whole'", "text 'whole'", {0}},
        {"82'whole'", "binary 'whole'", {0}},
        {"81'a\342\202\254'", "text 'a\\xe2\\x82\\xac'", {.defer_utf8 = 1}},
        {"01'a' 80'b' 89'p' 01'c' 00'd' 80'e' 81'f'",
         "text 'ab'; ping 'p'; text 'cde'; text 'f'", {0}},
        {"01'\342' 8a'pong' 00'\202' 80'\254' 82'f' 88'\003\350bye'",
         "pong 'pong'; text '\\xe2\\x82\\xac'; binary 'f'; close 1000 'bye'", {0}},
        {"02'' 00'a' 00'' 80'' 02'' 80''", "binary 'a'; binary ''", {0}},
        /* Those that end in another error, if memory does not fail before. */
        {"01'ab' 80'\377'", "error TEXT_UTF8 1007", {0}},
        {"02'ab' 80'cd'", "error MESSAGE_TOO_BIG 1009", {.max_message = 3}},
        {"02'ab' 00'cd' 80'ef'", "error TOO_MANY_FRAGMENTS 1009", {.max_fragments = 2}},
        {"82'a' 01'ab' 81'cd'", "binary 'a'; error CONTINUATION_EXPECTED 1002", {0}},
        {"01'abc' 88'\003\350\377'", "error CLOSE_UTF8 1007", {0}},
        /* And one whose message never ends. */
        {"82'a' 02'never' 00:100'all'", "binary 'a'", {0}},
    };
    for (size_t i = 0; i < sizeof streams / sizeof *streams; i++)
        CHECK(check_short(&streams[i]) > 0);
}

static void pieces_and_control_frames_need_no_memory(void)
{
    static const struct stream streams[] = {
        {"41'a' 89'p' 00'bc' 80'' c2'\377'", "ping 'p'; text compressed 'abc'; "
         "binary compressed '\\xff'", {.allow_rsv1 = 1}},
        {"89'ping' 8a'' 8a'pong' 88''", "ping 'ping'; pong ''; pong 'pong'; close 1005 ''", {0}},
        {"81'' 82''", "text ''; binary ''", {0}},
        {"01'ab' 89'p' 00'' 80'\303\251' 82'x'*300", "ping 'p'; text 'ab\\xc3\\xa9'; "
         "binary 'x'*300", {.pieces = 1}},
    };
    for (size_t i = 0; i < sizeof streams / sizeof *streams; i++)
        CHECK(check_short(&streams[i]) == 0);
}

/* Those of which a block grows again and again. */
static void every_allocation_of_long_messages(void)
{
    static const struct {
        struct stream stream;
        size_t step;
    } cases[] = {
        {{"81'x'*1000000 82'y'*3", "text 'x'*1000000; binary 'yyy'", {0}}, 50000},
        {{"02'x'*300000 00'x'*300000 80'x'*400000 82'y'", "binary 'x'*1000000; binary 'y'", {0}},
         70000},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (uint8_t server = 0; server < 2; server++) {
            for (size_t w = 0; w < ways_count; w++) {
                struct cuts cuts = {SIZE_MAX, SIZE_MAX, cases[i].step};
                CHECK(check_failures(&cases[i].stream, server, &ways[w], &cuts) > 1);
            }
        }
    }
}

static void a_parser_that_ran_out_of_memory_can_be_started_again(void)
{
    start((wsf_config){0});
    memory.fail_at = 1;
    feed("01'a' 80'b'");
    CHECK(next() == WSF_ERR_NO_MEMORY);
    wsf_parser_fail(&parser, WSF_ERR_TEXT_UTF8); /* the first error is the one to report */
    CHECK(next() == WSF_ERR_NO_MEMORY);
    wsf_parser_clear(&parser);
    feed("01'c' 80'd'");
    CHECK(next() == 1 && event.owned);
    CHECK_TEXT(payload_text(event.data, event.size), "'cd'");
    CHECK(next() == 0);
    finish();
}

int main(void)
{
    TEST(the_c_library_can_run_out_of_memory);
    TEST(every_allocation_of_short_messages);
    TEST(pieces_and_control_frames_need_no_memory);
    TEST(every_allocation_of_long_messages);
    TEST(a_parser_that_ran_out_of_memory_can_be_started_again);
    return check_report("no_memory");
}
