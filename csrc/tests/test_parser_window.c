/* wsf_parser_window and wsf_parser_filled: parser.c. */
#include "calls.h"
#include "check.h"
#include "drive.h"
#include "memory.h"

#include <string.h>

static void window_is_for_payloads_only(void)
{
    uint8_t *data = NULL;
    start((wsf_config){0});
    CHECK(wsf_parser_window(&parser, &data, 1) == 0); /* before anything */
    feed("=82");
    CHECK(next() == 0);
    CHECK(wsf_parser_window(&parser, &data, 1) == 0); /* inside a header */
    finish();
}

static void window_is_bounded_by_the_frame(void)
{
    uint8_t *data = NULL;
    start((wsf_config){0});
    feed("82:a'ab'");
    CHECK(next() == 0);
    CHECK(wsf_parser_window(&parser, &data, 9) == 0); /* eight bytes are to come */
    CHECK(wsf_parser_window(&parser, &data, 8) == 8);
    CHECK(wsf_parser_window(&parser, &data, 1) == 8); /* to ask again changes nothing */
    CHECK(wsf_parser_window(&parser, &data, 0) == 8);
    memcpy(data, "cdefg", 5);
    wsf_parser_filled(&parser, 5);
    CHECK(next() == 0);
    CHECK(wsf_parser_window(&parser, &data, 4) == 0);
    CHECK(wsf_parser_window(&parser, &data, 1) == 3);
    memcpy(data, "hij", 3);
    wsf_parser_filled(&parser, 3);
    CHECK(next() == 1);
    CHECK_TEXT(payload_text(event.data, event.size), "'abcdefghij'");
    CHECK(event.owned);
    CHECK(next() == 0);
    CHECK(wsf_parser_window(&parser, &data, 0) == 0);
    finish();
}

static void window_before_the_first_byte_of_the_payload(void)
{
    uint8_t *data = NULL;
    start((wsf_config){0});
    feed("81:3");
    CHECK(next() == 0);
    CHECK(wsf_parser_window(&parser, &data, 1) == 3);
    wsf_parser_filled(&parser, 0); /* nothing came after all */
    CHECK(next() == 0);
    CHECK(wsf_parser_window(&parser, &data, 1) == 3);
    memcpy(data, "abc", 3);
    wsf_parser_filled(&parser, 3);
    CHECK(next() == 1);
    CHECK_TEXT(payload_text(event.data, event.size), "'abc'");
    finish();
}

/* It is an offer: the bytes may be fed all the same, and the block must not get lost or stale. */
static void window_need_not_be_used(void)
{
    uint8_t *data = NULL;
    start((wsf_config){0});
    feed("81:3");
    CHECK(next() == 0);
    CHECK(wsf_parser_window(&parser, &data, 1) == 3);
    feed("=616263 81'' 01'd' 80'e' 82'f'");
    CHECK(next() == 1);
    CHECK_TEXT(payload_text(event.data, event.size), "'abc'");
    CHECK(next() == 1 && event.size == 0);
    CHECK(next() == 1);
    CHECK_TEXT(payload_text(event.data, event.size), "'de'");
    CHECK(next() == 1);
    CHECK_TEXT(payload_text(event.data, event.size), "'f'");
    CHECK(next() == 0);
    finish();
}

static void window_is_not_for_control_frames(void)
{
    uint8_t *data = NULL;
    start((wsf_config){0});
    feed("02'a' 89:5");
    CHECK(next() == 0);
    CHECK(wsf_parser_window(&parser, &data, 1) == 0);
    finish();
}

static void window_spares_the_next_message(void)
{
    uint8_t *data = NULL;
    start((wsf_config){0});
    feed("01'a' 80'b' 82:4");
    CHECK(next() == 1 && event.owned);
    CHECK(next() == 0);
    CHECK(wsf_parser_window(&parser, &data, 1) == 4);
    memcpy(data, "wxyz", 4);
    wsf_parser_filled(&parser, 4);
    CHECK(next() == 1);
    CHECK_TEXT(payload_text(event.data, event.size), "'wxyz'");
    finish();
}

static void window_right_after_an_event(void)
{
    uint8_t *data = NULL;
    start((wsf_config){0});
    feed("01'a' 80'b'");
    CHECK(next() == 1 && event.owned);
    CHECK(wsf_parser_window(&parser, &data, 1) == 0);
    CHECK(next() == 0 && memory.blocks == 0);
    finish();
}

static void no_window_after_an_error_or_a_close(void)
{
    uint8_t *data = NULL;
    start((wsf_config){0});
    feed("82:5'a'");
    CHECK(next() == 0);
    wsf_parser_fail(&parser, WSF_ERR_TEXT_UTF8);
    CHECK(wsf_parser_window(&parser, &data, 1) == 0);
    finish();
    start((wsf_config){0});
    feed("02'a' 88''");
    CHECK(next() == 1 && event.opcode == WSF_CLOSE);
    CHECK(next() == 0);
    CHECK(wsf_parser_window(&parser, &data, 1) == 0);
    finish();
}

static void window_says_that_memory_is_out(void)
{
    uint8_t *data = NULL;
    start((wsf_config){0});
    memory_start(1);
    feed("82:5");
    CHECK(next() == 0);
    CHECK(wsf_parser_window(&parser, &data, 1) == WSF_ERR_NO_MEMORY);
    CHECK(next() == WSF_ERR_NO_MEMORY);
    CHECK(wsf_parser_window(&parser, &data, 1) <= 0);
    CHECK(next() == WSF_ERR_NO_MEMORY);
    finish();
}

int main(void)
{
    TEST(window_is_for_payloads_only);
    TEST(window_is_bounded_by_the_frame);
    TEST(window_before_the_first_byte_of_the_payload);
    TEST(window_need_not_be_used);
    TEST(window_is_not_for_control_frames);
    TEST(window_spares_the_next_message);
    TEST(window_right_after_an_event);
    TEST(no_window_after_an_error_or_a_close);
    TEST(window_says_that_memory_is_out);
    return check_report("parser_window");
}
