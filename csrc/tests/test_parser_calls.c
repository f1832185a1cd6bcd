/* Blocks that are taken, parsers started again, failures of the caller, deferred UTF-8:
 * parser.c. */
#include "calls.h"
#include "check.h"
#include "drive.h"
#include "examples.h"
#include "frames.h"
#include "memory.h"

#include <stdlib.h>
#include <string.h>

static void a_block_that_is_taken_is_the_callers(void)
{
    start((wsf_config){0});
    feed("01'first' 80'!' 01'second' 80'!' 82'x'");
    CHECK(next() == 1 && event.owned);
    wsf_parser_take(&parser);
    wsf_event first = event;
    CHECK(next() == 1 && event.owned && event.data != first.data);
    CHECK(memory.blocks == 2);
    CHECK(next() == 1 && !event.owned); /* frees the second, which was not taken */
    CHECK(memory.blocks == 1);
    wsf_parser_clear(&parser);
    CHECK_TEXT(payload_text(first.data, first.size), "'first!'");
    memory_resize((void *)(uintptr_t)first.data, 0);
    CHECK(memory.blocks == 0);
}

static void a_block_is_freed_with_the_next_call_or_with_the_parser(void)
{
    start((wsf_config){0});
    feed("01'a' 80'b'");
    CHECK(next() == 1 && memory.blocks == 1);
    CHECK(next() == 0 && memory.blocks == 0);
    feed("01'c' 80'd'");
    CHECK(next() == 1 && memory.blocks == 1);
    finish();
    feed("");
    finish(); /* to clear twice does no harm */
}

/* Fed between any two bytes, an empty input, which may be NULL, is no end of anything. */
static void nothing_fed_changes_nothing(void)
{
    size_t size;
    start((wsf_config){.server = 1});
    uint8_t *stream = frames("01'H' 89'ping' 80'i' 81'whole'", 1, &size);
    size_t said = 0;
    for (size_t i = 0; i < size; i++) {
        wsf_parser_feed(&parser, NULL, 0);
        CHECK(next() == 0);
        wsf_parser_feed(&parser, stream + i, 0);
        CHECK(next() == 0);
        wsf_parser_feed(&parser, stream + i, 1);
        while (next() == 1)
            said += event.size;
    }
    CHECK(said == 4 + 2 + 5);
    finish();
}

static void a_parser_can_be_started_again(void)
{
    static const char *const ends[] = {"02'half' 00:5'a'", "83''", "88''", "=82", "89:7'a'",
                                       "01'\342' 80'\202'"};
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        start((wsf_config){0});
        feed(ends[i]);
        while (next() == 1)
            ;
        finish();
        start((wsf_config){.server = 1});
        feed("81'\342\202\254' 01'a' 80'b'");
        CHECK(next() == 1);
        CHECK_TEXT(payload_text(event.data, event.size), "'\\xe2\\x82\\xac'");
        CHECK(next() == 1);
        CHECK_TEXT(payload_text(event.data, event.size), "'ab'");
        CHECK(next() == 0);
        finish();
    }
}

static void the_callers_failure_stays(void)
{
    start((wsf_config){0});
    feed("81'a' 81'b' 01'c'");
    CHECK(next() == 1);
    wsf_parser_fail(&parser, WSF_ERR_MESSAGE_TOO_BIG);
    CHECK(next() == WSF_ERR_MESSAGE_TOO_BIG);
    CHECK(next() == WSF_ERR_MESSAGE_TOO_BIG);
    wsf_parser_fail(&parser, WSF_ERR_TEXT_UTF8); /* the first error is the one to report */
    feed("81'd'");
    CHECK(next() == WSF_ERR_MESSAGE_TOO_BIG);
    finish();
}

static void the_callers_failure_frees_the_block_of_the_last_event(void)
{
    start((wsf_config){0});
    feed("01'a' 80'b' 81'c'");
    CHECK(next() == 1 && event.owned && memory.blocks == 1);
    wsf_parser_fail(&parser, WSF_ERR_MESSAGE_TOO_BIG);
    CHECK(next() == WSF_ERR_MESSAGE_TOO_BIG);
    CHECK(memory.blocks == 0);
    finish();
}

static void a_compressed_message_comes_in_pieces_and_is_not_kept(void)
{
    uint8_t *window;
    start((wsf_config){.allow_rsv1 = 1});
    feed("41'ab' 89'p' 00'' 00'cd' 80''");
    CHECK(next() == 1 && event.opcode == WSF_TEXT && event.compressed && event.more);
    CHECK_TEXT(payload_text(event.data, event.size), "'ab'");
    CHECK(next() == 1 && event.opcode == WSF_PING && !event.more);
    CHECK(next() == 1 && event.opcode == WSF_TEXT && event.compressed && event.more);
    CHECK_TEXT(payload_text(event.data, event.size), "'cd'");
    CHECK(next() == 1 && event.opcode == WSF_TEXT && event.compressed && !event.more);
    CHECK(event.size == 0 && !event.owned && memory.blocks == 0);
    CHECK(next() == 0);
    feed("c2:05'ab'");
    CHECK(next() == 1 && event.opcode == WSF_BINARY && event.compressed && event.more);
    CHECK(wsf_parser_window(&parser, &window, 1) == 0);
    CHECK(next() == 0 && memory.blocks == 0);
    finish();
}

static void check_piece(const char *payload, unsigned opcode, int more)
{
    CHECK(next() == 1 && event.piece && !event.compressed && !event.owned);
    CHECK(event.opcode == opcode && event.more == more);
    CHECK(event.checked == (opcode == WSF_TEXT));
    CHECK_TEXT(payload_text(event.data, event.size), payload);
}

static void with_pieces_no_message_is_kept(void)
{
    uint8_t *window;
    start((wsf_config){.pieces = 1, .max_message = 7});
    feed("81'whole' 01'a\342' 89'p' 00'' 00'\202\254b' 80'' 02'' 80'' 82:7'abc'");
    CHECK(next() == 1 && !event.piece && event.checked);
    check_piece("'a\\xe2'", WSF_TEXT, 1);
    CHECK(next() == 1 && event.opcode == WSF_PING && !event.piece && !event.more);
    check_piece("'\\x82\\xacb'", WSF_TEXT, 1);
    check_piece("''", WSF_TEXT, 0);
    check_piece("''", WSF_BINARY, 0);
    check_piece("'abc'", WSF_BINARY, 1);
    CHECK(wsf_parser_window(&parser, &window, 1) == 0);
    CHECK(next() == 0);
    uint8_t rest[] = "defg\x82\x01h\x82\x08";
    wsf_parser_feed(&parser, rest, sizeof rest - 1);
    check_piece("'defg'", WSF_BINARY, 0);
    CHECK(next() == 1 && event.size == 1 && !event.piece);
    CHECK(next() == WSF_ERR_MESSAGE_TOO_BIG);
    CHECK(memory.requests == 0);
    finish();
}

static void a_piece_with_a_bad_byte_is_not_delivered(void)
{
    start((wsf_config){.pieces = 1, .defer_utf8 = 1});
    feed("01'a' 00'b\355\240' 80'c'");
    check_piece("'a'", WSF_TEXT, 1);
    CHECK(next() == WSF_ERR_TEXT_UTF8);
    finish();
}

static void what_follows_the_callers_end_is_swallowed(void)
{
    start((wsf_config){0});
    feed("01'a' 80'b' 81'c' ff'no frame'");
    CHECK(next() == 1 && event.owned && memory.blocks == 1);
    wsf_parser_close(&parser);
    CHECK(next() == 0 && next() == 0 && memory.blocks == 0);
    feed("81'd'");
    CHECK(next() == 0);
    finish();
}

static void deferred_text_is_unchecked_only_where_it_lies_whole(void)
{
    start((wsf_config){.defer_utf8 = 1});
    feed("81'\377' 81'ok' 01'a' 80'b' 82'\377' 89'\377' 81'c' 88'\003\350x'");
    CHECK(next() == 1 && event.opcode == WSF_TEXT && !event.checked);
    CHECK_TEXT(payload_text(event.data, event.size), "'\\xff'");
    CHECK(next() == 1 && event.opcode == WSF_TEXT && !event.checked);
    CHECK(next() == 1 && event.opcode == WSF_TEXT && event.checked && event.owned);
    CHECK_TEXT(payload_text(event.data, event.size), "'ab'");
    CHECK(next() == 1 && event.opcode == WSF_BINARY && !event.checked);
    CHECK(next() == 1 && event.opcode == WSF_PING && !event.checked);
    CHECK(next() == 1 && event.opcode == WSF_TEXT && !event.checked);
    wsf_parser_fail(&parser, WSF_ERR_TEXT_UTF8);
    CHECK(next() == WSF_ERR_TEXT_UTF8);
    finish();
}

static void deferred_or_not_good_text_is_the_same(void)
{
    static const struct example examples[] = {
        {"81'a\342\202\254' 01'\342' 80'\202\254' 82'\377'",
         "text 'a\\xe2\\x82\\xac'; text '\\xe2\\x82\\xac'; binary '\\xff'", BOTH,
         {.defer_utf8 = 1}},
        {"01'\342' 80'('", "error TEXT_UTF8 1007", BOTH, {.defer_utf8 = 1}},
        {"88'\003\350\377'", "error CLOSE_UTF8 1007", BOTH, {.defer_utf8 = 1}},
    };
    EXAMPLES_CHECK(examples);
}

static void without_a_hook_the_c_library_allocates(void)
{
    wsf_config config = {.server = 1};
    wsf_parser_init(&parser, &config);
    feed("02'x'*300000 00'x'*300000 80'x'*400000 01'a' 80'b' 02'left over'");
    CHECK(next() == 1);
    CHECK_TEXT(payload_text(event.data, event.size), "'x'*1000000");
    wsf_parser_take(&parser);
    free((void *)(uintptr_t)event.data);
    CHECK(next() == 1);
    CHECK_TEXT(payload_text(event.data, event.size), "'ab'");
    CHECK(next() == 0);
    wsf_parser_clear(&parser);
}

int main(void)
{
    TEST(a_block_that_is_taken_is_the_callers);
    TEST(a_block_is_freed_with_the_next_call_or_with_the_parser);
    TEST(nothing_fed_changes_nothing);
    TEST(a_parser_can_be_started_again);
    TEST(the_callers_failure_stays);
    TEST(the_callers_failure_frees_the_block_of_the_last_event);
    TEST(a_compressed_message_comes_in_pieces_and_is_not_kept);
    TEST(with_pieces_no_message_is_kept);
    TEST(a_piece_with_a_bad_byte_is_not_delivered);
    TEST(what_follows_the_callers_end_is_swallowed);
    TEST(deferred_text_is_unchecked_only_where_it_lies_whole);
    TEST(deferred_or_not_good_text_is_the_same);
    TEST(without_a_hook_the_c_library_allocates);
    return check_report("parser_calls");
}
