/* The limits of wsf_config, and how memory follows what has come: parser.c. */
#include "check.h"
#include "drive.h"
#include "examples.h"
#include "frames.h"
#include "memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void the_size_of_messages(void)
{
    static const struct example examples[] = {
        {"81'four'", "text 'four'", BOTH, {.max_message = 5}},
        {"81'fives'", "text 'fives'", BOTH, {.max_message = 5}},
        {"81'sixsix'", "error MESSAGE_TOO_BIG 1009", BOTH, {.max_message = 5}},
        {"02'ab' 80'cd'", "binary 'abcd'", BOTH, {.max_message = 5}},
        {"02'ab' 80'cde'", "binary 'abcde'", BOTH, {.max_message = 5}},
        {"02'ab' 80'cdef'", "error MESSAGE_TOO_BIG 1009", BOTH, {.max_message = 5}},
        {"02'abcde' 00'' 80''", "binary 'abcde'", BOTH, {.max_message = 5}},
        {"02'abcde' 00'' 80'f'", "error MESSAGE_TOO_BIG 1009", BOTH, {.max_message = 5}},
        /* Each message is counted by itself, and control frames are no part of one. */
        {"81'fives' 82'fives' 01'fi' 89'ping of 15 bytes' 80'ves'",
         "text 'fives'; binary 'fives'; ping 'ping of 15 bytes'; text 'fives'", BOTH,
         {.max_message = 5}},
        {"81''", "text ''", BOTH, {.max_message = 1}},
        {"82'x'*125", "binary 'x'*125", BOTH, {.max_message = 125}},
        {"82'x'*126", "error MESSAGE_TOO_BIG 1009", BOTH, {.max_message = 125}},
        {"82'x'*65535", "binary 'x'*65535", BOTH, {.max_message = 65535}},
        {"82'x'*65536", "error MESSAGE_TOO_BIG 1009", BOTH, {.max_message = 65535}},
        {"82:7fffffffffffffff", "error MESSAGE_TOO_BIG 1009", BOTH, {.max_message = 65536}},
        /* What it inflates to is for its reader to count; a frame is refused beyond all sense. */
        {"c1'x'*1034", "text compressed 'x'*1034", BOTH, {.max_message = 5, .allow_rsv1 = 1}},
        {"c1'x'*1035", "error MESSAGE_TOO_BIG 1009", BOTH, {.max_message = 5, .allow_rsv1 = 1}},
        {"c1:7fffffffffffffff", "error MESSAGE_TOO_BIG 1009", BOTH,
         {.max_message = 1 << 30, .allow_rsv1 = 1}},
        {"c1:3ffffffffffffbff'x'", "", BOTH, {.allow_rsv1 = 1, .max_message = UINT64_MAX / 4}},
    };
    EXAMPLES_CHECK(examples);
}

static void the_number_of_fragments(void)
{
    static const struct example examples[] = {
        {"01'a' 80'b'", "text 'ab'", BOTH, {.max_fragments = 3}},
        {"01'a' 00'b' 80'c'", "text 'abc'", BOTH, {.max_fragments = 3}},
        {"01'a' 00'b' 00'c' 80'd'", "error TOO_MANY_FRAGMENTS 1009", BOTH, {.max_fragments = 3}},
        {"01'' 00'' 00'' 00''", "error TOO_MANY_FRAGMENTS 1009", BOTH, {.max_fragments = 3}},
        {"81'a' 82'b'", "text 'a'; binary 'b'", BOTH, {.max_fragments = 1}},
        {"01'a' 80'b'", "error TOO_MANY_FRAGMENTS 1009", BOTH, {.max_fragments = 1}},
        /* Each message is counted by itself, and control frames are no fragments. */
        {"01'a' 89'' 89'' 80'b' 01'c' 80'd' 01'e' 80'f'",
         "ping ''; ping ''; text 'ab'; text 'cd'; text 'ef'", BOTH, {.max_fragments = 2}},
    };
    EXAMPLES_CHECK(examples);
}

/* The sum of the lengths of two fragments must not wrap around. */
static void lengths_that_add_up_to_more_than_memory_can_hold(void)
{
    static const struct example examples[] = {
        {"02'a' 80:7fffffffffffffff", "error MESSAGE_TOO_BIG 1009", BOTH, {0}},
        {"02'ab' 80:7fffffffffffffff", "error MESSAGE_TOO_BIG 1009", BOTH,
         {.max_message = UINT64_MAX}},
    };
    EXAMPLES_CHECK(examples);
}

static void a_claim_alone_allocates_little(void)
{
    static const char *const claims[] = {
        "82:40000000'12345678'", "02:40000000'12345678'", "81:40000000'12345678'",
        "02'a' 00:40000000'12345678'", "02'a' 80:40000000'12345678'",
        "82:7fffffffffffff00'12345678'",
    };
    for (size_t i = 0; i < sizeof claims / sizeof *claims; i++) {
        for (uint8_t server = 0; server < 2; server++) {
            for (size_t w = 0; w < ways_count; w++) {
                wsf_config config = {.server = server};
                size_t size;
                const uint8_t *stream = frames(claims[i], server, &size);
                check_about(claims[i], server, w);
                memory_start(0);
                const char *log = drive(&config, &ways[w], stream, size, &uncut, NULL);
                if (strstr(claims[i], "7fff") && SIZE_MAX / 2 < INT64_MAX) {
                    CHECK_TEXT(log, "error MESSAGE_TOO_BIG 1009"); /* where size_t is too small */
                } else {
                    CHECK_TEXT(log, "");
                    CHECK(memory.requests > 0);
                }
                CHECK(memory.largest <= (size_t)512 * 1024);
            }
        }
    }
}

/* A window may be asked for that is larger than what the parser would have allocated. */
static void a_large_minimum_makes_room(void)
{
    static const size_t minima[] = {1000, 300000, 1000000};
    for (size_t i = 0; i < sizeof minima / sizeof *minima; i++) {
        struct way way = {minima[i], 0, ON_HEAP, 0};
        wsf_config config = {.server = 1};
        size_t size;
        const uint8_t *stream = frames("82'x'*1000000 82'y'", 1, &size);
        memory_start(0);
        CHECK_TEXT(drive(&config, &way, stream, size, &(struct cuts){20, size, 70001}, NULL),
                   "binary 'x'*1000000; binary 'y'");
        CHECK(memory.largest <= 1000000 && memory.requests > 0);
    }
}

/* Many times the room it starts with, in pieces of several sizes: every growth of the block. */
static void long_messages_grow(void)
{
    static const char *const notations[] = {"82'x'*1000000", "81'x'*1000000",
                                            "02'x'*400000 00'x'*1 00'x'*399999 80'x'*200000"};
    static const size_t steps[] = {1000, 4096, 65536, 100003, 262144};
    for (size_t n = 0; n < 3; n++) {
        for (size_t s = 0; s < sizeof steps / sizeof *steps; s++) {
            for (size_t w = 0; w < ways_count; w++) {
                for (uint8_t server = 0; server < 2; server++) {
                    wsf_config config = {.server = server};
                    size_t size;
                    const uint8_t *stream = frames(notations[n], server, &size);
                    check_about(notations[n], steps[s], w);
                    memory_start(0);
                    CHECK_TEXT(drive(&config, &ways[w], stream, size,
                                     &(struct cuts){size, size, steps[s]}, NULL),
                               n == 1 ? "text 'x'*1000000" : "binary 'x'*1000000");
                    CHECK(memory.requests <= 12);
                    CHECK(memory.largest <= 2000000);
                }
            }
        }
    }
}

/* The bytes are copied a bounded number of times, however small the fragments are. */
static void many_small_fragments_are_not_copied_again_and_again(void)
{
    enum { FRAGMENTS = 100000 };
    static uint8_t stream[FRAGMENTS * 7];
    size_t size = 0;
    for (size_t i = 0; i < FRAGMENTS; i++) {
        unsigned first = i == 0 ? 0x02 : i == FRAGMENTS - 1 ? 0x80 : 0x00;
        size += frame(stream + size, first, 1, 0, (const uint8_t *)"z", 1, 1);
    }
    wsf_config config = {.server = 1};
    memory_start(0);
    CHECK_TEXT(drive(&config, &ways[0], stream, size, &uncut, NULL), "binary 'z'*100000");
    CHECK(memory.requests <= 20);
    CHECK(memory.largest <= 4 * FRAGMENTS);
}

static void a_message_whole_in_the_input_is_not_copied(void)
{
    for (uint8_t server = 0; server < 2; server++) {
        wsf_config config = {.server = server};
        size_t size;
        const uint8_t *stream = frames("81'x'*70000 82'y' 89'z'", server, &size);
        memory_start(0);
        CHECK_TEXT(drive(&config, &ways[0], stream, size, &uncut, NULL),
                   "text 'x'*70000; binary 'y'; ping 'z'");
        CHECK(memory.requests == 0);
    }
}

int main(void)
{
    TEST(the_size_of_messages);
    TEST(the_number_of_fragments);
    TEST(lengths_that_add_up_to_more_than_memory_can_hold);
    TEST(a_claim_alone_allocates_little);
    TEST(a_large_minimum_makes_room);
    TEST(long_messages_grow);
    TEST(many_small_fragments_are_not_copied_again_and_again);
    TEST(a_message_whole_in_the_input_is_not_copied);
    return check_report("parser_limits");
}
