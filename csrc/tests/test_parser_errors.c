/* What the parser refuses, as what, and at which byte: parser.c. */
#include "check.h"
#include "drive.h"
#include "examples.h"
#include "frames.h"

#include <stdio.h>
#include <string.h>

static void reserved_bits(void)
{
    static const struct example examples[] = {
        {"c1'x'", "error RESERVED_BITS 1002", BOTH, {0}},
        {"a1'x'", "error RESERVED_BITS 1002", BOTH, {0}},
        {"91'x'", "error RESERVED_BITS 1002", BOTH, {0}},
        {"f2''", "error RESERVED_BITS 1002", BOTH, {0}},
        {"c9''", "error RESERVED_BITS 1002", BOTH, {0}},
        {"01'x' c0'y'", "error RESERVED_BITS 1002", BOTH, {0}},
        {"a1'x'", "error RESERVED_BITS 1002", BOTH, {.allow_rsv1 = 1}},
        {"91'x'", "error RESERVED_BITS 1002", BOTH, {.allow_rsv1 = 1}},
        {"d1'x'", "error RESERVED_BITS 1002", BOTH, {.allow_rsv1 = 1}},
        {"e1'x'", "error RESERVED_BITS 1002", BOTH, {.allow_rsv1 = 1}},
        {"c9''", "error RESERVED_BITS 1002", BOTH, {.allow_rsv1 = 1}},
        {"ca''", "error RESERVED_BITS 1002", BOTH, {.allow_rsv1 = 1}},
        {"c8''", "error RESERVED_BITS 1002", BOTH, {.allow_rsv1 = 1}},
        {"41'x' c0'y'", "error RESERVED_BITS 1002", BOTH, {.allow_rsv1 = 1}},
        {"01'x' 40'y'", "error RESERVED_BITS 1002", BOTH, {.allow_rsv1 = 1}},
    };
    EXAMPLES_CHECK(examples);
}

static void reserved_opcodes(void)
{
    for (unsigned opcode = 0; opcode < 16; opcode++) {
        if (opcode < 3 || (opcode >= 8 && opcode <= 10))
            continue;
        for (unsigned fin = 0; fin < 256; fin += 128) {
            char notation[32];
            snprintf(notation, sizeof notation, "81'a' %02x'x'", fin + opcode);
            example_check(
                &(struct example){notation, "text 'a'; error OPCODE 1002", BOTH, {0}});
        }
    }
}

static void the_wrong_mask_bit(void)
{
    static const struct example examples[] = {
        {"81!'x'", "error MASK_MISSING 1002", SERVER, {0}},
        {"81!'x'", "error MASK_UNEXPECTED 1002", CLIENT, {0}},
        {"89!''", "error MASK_MISSING 1002", SERVER, {0}},
        {"88!''", "error MASK_UNEXPECTED 1002", CLIENT, {0}},
        {"81'a' 01'b' 80!'c'", "text 'a'; error MASK_MISSING 1002", SERVER, {0}},
        {"81'a' 01'b' 80!'c'", "text 'a'; error MASK_UNEXPECTED 1002", CLIENT, {0}},
    };
    EXAMPLES_CHECK(examples);
}

static void lengths(void)
{
    static const struct example examples[] = {
        {"82/16''", "error LENGTH_NOT_MINIMAL 1002", BOTH, {0}},
        {"82/16'x'*125", "error LENGTH_NOT_MINIMAL 1002", BOTH, {0}},
        {"81/64''", "error LENGTH_NOT_MINIMAL 1002", BOTH, {0}},
        {"81/64'x'*126", "error LENGTH_NOT_MINIMAL 1002", BOTH, {0}},
        {"82/64:ffff", "error LENGTH_NOT_MINIMAL 1002", BOTH, {0}},
        {"81'a' 82/64:8000000000000000", "text 'a'; error LENGTH_TOO_LARGE 1002", BOTH, {0}},
        {"82/64:ffffffffffffffff", "error LENGTH_TOO_LARGE 1002", BOTH, {0}},
    };
    EXAMPLES_CHECK(examples);
}

static void control_frames(void)
{
    static const struct example examples[] = {
        {"89'x'*126", "error CONTROL_TOO_LONG 1002", BOTH, {0}},
        {"8a'x'*126", "error CONTROL_TOO_LONG 1002", BOTH, {0}},
        {"88'x'*126", "error CONTROL_TOO_LONG 1002", BOTH, {0}},
        {"89/64:10000", "error CONTROL_TOO_LONG 1002", BOTH, {0}},
        {"8a/16'x'", "error CONTROL_TOO_LONG 1002", BOTH, {0}},
        {"09'x'", "error CONTROL_FRAGMENTED 1002", BOTH, {0}},
        {"0a''", "error CONTROL_FRAGMENTED 1002", BOTH, {0}},
        {"08''", "error CONTROL_FRAGMENTED 1002", BOTH, {0}},
        {"01'a' 09'x' 80'b'", "error CONTROL_FRAGMENTED 1002", BOTH, {0}},
    };
    EXAMPLES_CHECK(examples);
}

static void continuations(void)
{
    static const struct example examples[] = {
        {"80'x'", "error CONTINUATION_UNEXPECTED 1002", BOTH, {0}},
        {"00'x'", "error CONTINUATION_UNEXPECTED 1002", BOTH, {0}},
        {"81'a' 80'b'", "text 'a'; error CONTINUATION_UNEXPECTED 1002", BOTH, {0}},
        {"01'a' 80'b' 80'c'", "text 'ab'; error CONTINUATION_UNEXPECTED 1002", BOTH, {0}},
        {"01'a' 81'b'", "error CONTINUATION_EXPECTED 1002", BOTH, {0}},
        {"01'' 02''", "error CONTINUATION_EXPECTED 1002", BOTH, {0}},
        {"02'a' 89'p' 01'b'", "ping 'p'; error CONTINUATION_EXPECTED 1002", BOTH, {0}},
    };
    EXAMPLES_CHECK(examples);
}

static void close_frames(void)
{
    static const struct example examples[] = {
        {"88'x'", "error CLOSE_LENGTH 1002", BOTH, {0}},
        {"81'a' 88'\003'", "text 'a'; error CLOSE_LENGTH 1002", BOTH, {0}},
        {"88'\003\355'", "error CLOSE_CODE 1002", BOTH, {0}},
        {"88'\003\356gone'", "error CLOSE_CODE 1002", BOTH, {0}},
        {"88'\003\350\377'", "error CLOSE_UTF8 1007", BOTH, {0}},
        {"88'\003\350a\342\202'", "error CLOSE_UTF8 1007", BOTH, {0}},
        {"88'\003\350\355\240\200'", "error CLOSE_UTF8 1007", BOTH, {0}},
        /* After a bad close frame the error is the last word, as it is after any error. */
        {"88'\003\355' 81'x'", "error CLOSE_CODE 1002", BOTH, {0}},
    };
    EXAMPLES_CHECK(examples);
}

static void every_close_code(void)
{
    for (unsigned code = 0; code < 65536; code++) {
        uint8_t payload[] = {(uint8_t)(code >> 8), (uint8_t)code, 'r'};
        uint8_t stream[WSF_HEADER_MAX + sizeof payload];
        for (uint8_t server = 0; server < 2; server++) {
            size_t size = frame(stream, 0x88, server, 0, payload, sizeof payload, sizeof payload);
            wsf_config config = {.server = server};
            char wanted[32] = "error CLOSE_CODE 1002";
            if (wsf_close_code_valid(code))
                snprintf(wanted, sizeof wanted, "close %u 'r'", code);
            CHECK_TEXT(drive(&config, &ways[0], stream, size, &uncut, NULL), wanted);
        }
    }
}

static void text_that_is_not_utf8(void)
{
    static const struct example examples[] = {
        {"81'\377'", "error TEXT_UTF8 1007", BOTH, {0}},
        {"81'ab\300\257cd'", "error TEXT_UTF8 1007", BOTH, {0}},
        {"81'ok' 81'\355\240\200'", "text 'ok'; error TEXT_UTF8 1007", BOTH, {0}},
        {"81'a\342\202'", "error TEXT_UTF8 1007", BOTH, {0}}, /* ends inside a character */
        {"01'\342' 80''", "error TEXT_UTF8 1007", BOTH, {0}},
        {"01'\342' 80'a'", "error TEXT_UTF8 1007", BOTH, {0}},
        {"01'a' 89'p' 00'\200' 80'b'", "ping 'p'; error TEXT_UTF8 1007", BOTH, {0}},
        {"01'\303' 80'' 81'\251'", "error TEXT_UTF8 1007", BOTH, {0}},
        {"41'x' 80'y' 81'\377'", "text compressed 'xy'; error TEXT_UTF8 1007", BOTH,
         {.allow_rsv1 = 1}},
    };
    EXAMPLES_CHECK(examples);
}

static void events_before_an_error_come_first(void)
{
    static const struct example examples[] = {
        {"81'a' 89'b' 02'c' 80'd' 83'' 81'never'",
         "text 'a'; ping 'b'; binary 'cd'; error OPCODE 1002", BOTH, {0}},
        {"82'x'*300 c1'' 88''", "binary 'x'*300; error RESERVED_BITS 1002", BOTH, {0}},
    };
    EXAMPLES_CHECK(examples);
}

/* The stream is given byte by byte: the error must come with the byte `wanted_at`, counted from
 * the end of the headers of a server's frames; `headers` is how many there are up to there. */
static void check_error_at(const char *notation, const wsf_config *base, size_t headers,
                           size_t wanted_at, const char *log)
{
    for (uint8_t server = 0; server < 2; server++) {
        for (size_t w = 0; w < ways_count; w++) {
            wsf_config config = *base;
            size_t size, error_at;
            const uint8_t *stream = frames(notation, server, &size);
            config.server = server;
            check_about(notation, server, w);
            CHECK_TEXT(drive(&config, &ways[w], stream, size, &(struct cuts){size, size, 1},
                             &error_at),
                       log);
            CHECK(error_at == wanted_at + headers * (server ? 4 : 0));
        }
    }
}

static void bad_text_fails_at_its_first_bad_byte(void)
{
    static const struct {
        const char *notation;
        size_t headers, at;
    } cases[] = {
        {"81'abc\377defgh'", 1, 2 + 4},
        {"81'\355\240\200abc'", 1, 2 + 2},
        {"81'\360\217\200\200abc'", 1, 2 + 2},
        {"81'\364\220\200\200abc'", 1, 2 + 2},
        {"81'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\303(aaaa'", 1, 2 + 42},
        {"01'abc\342' 00'\202' 00'(more' 80'x'", 3, 6 + 3 + 2 + 1},
        {"01'ab\300' 80'x'", 1, 2 + 3},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check_error_at(cases[i].notation, &(wsf_config){0}, cases[i].headers, cases[i].at,
                       "error TEXT_UTF8 1007");
    /* A text that ends too early is bad when its last frame ends: at its header if that is all. */
    check_error_at("81'ab\342\202'", &(wsf_config){0}, 1, 2 + 4, "error TEXT_UTF8 1007");
    check_error_at("01'ab\342' 80'' 82'x'", &(wsf_config){0}, 2, 2 + 3 + 2,
                   "error TEXT_UTF8 1007");
}

static void bad_headers_fail_at_the_byte_that_tells(void)
{
    static const wsf_config limits = {.max_message = 5, .max_fragments = 2};
    check_error_at("83'abc'", &limits, 0, 2, "error OPCODE 1002");
    check_error_at("89'x'*126", &limits, 0, 2, "error CONTROL_TOO_LONG 1002");
    check_error_at("88'x'", &limits, 0, 2, "error CLOSE_LENGTH 1002");
    check_error_at("82/16'abc'", &limits, 0, 4, "error LENGTH_NOT_MINIMAL 1002");
    check_error_at("82/64'abc'", &limits, 0, 10, "error LENGTH_NOT_MINIMAL 1002");
    check_error_at("82'abcdef'", &limits, 1, 2, "error MESSAGE_TOO_BIG 1009");
    check_error_at("02'abc' 80'def'", &limits, 2, 2 + 3 + 2, "error MESSAGE_TOO_BIG 1009");
    check_error_at("02'a' 00'b' 00'c'", &limits, 3, 3 + 3 + 2, "error TOO_MANY_FRAGMENTS 1009");
}

int main(void)
{
    TEST(reserved_bits);
    TEST(reserved_opcodes);
    TEST(the_wrong_mask_bit);
    TEST(lengths);
    TEST(control_frames);
    TEST(continuations);
    TEST(close_frames);
    TEST(every_close_code);
    TEST(text_that_is_not_utf8);
    TEST(events_before_an_error_come_first);
    TEST(bad_text_fails_at_its_first_bad_byte);
    TEST(bad_headers_fail_at_the_byte_that_tells);
    return check_report("parser_errors");
}
