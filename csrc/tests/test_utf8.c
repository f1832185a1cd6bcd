/* Streaming validation of UTF-8: utf8.c. */
#include "check.h"
#include "guard.h"
#include "wsf.h"

#include <string.h>

#define MOST 300

/* The well-formed characters, as the table in RFC 3629, section 4, has them. */
static const struct character {
    size_t size;
    struct {
        uint8_t low, high;
    } bytes[4];
} characters[] = {
    {1, {{0x00, 0x7f}}},
    {2, {{0xc2, 0xdf}, {0x80, 0xbf}}},
    {3, {{0xe0, 0xe0}, {0xa0, 0xbf}, {0x80, 0xbf}}},
    {3, {{0xe1, 0xec}, {0x80, 0xbf}, {0x80, 0xbf}}},
    {3, {{0xed, 0xed}, {0x80, 0x9f}, {0x80, 0xbf}}},
    {3, {{0xee, 0xef}, {0x80, 0xbf}, {0x80, 0xbf}}},
    {4, {{0xf0, 0xf0}, {0x90, 0xbf}, {0x80, 0xbf}, {0x80, 0xbf}}},
    {4, {{0xf1, 0xf3}, {0x80, 0xbf}, {0x80, 0xbf}, {0x80, 0xbf}}},
    {4, {{0xf4, 0xf4}, {0x80, 0x8f}, {0x80, 0xbf}, {0x80, 0xbf}}},
};
#define CHARACTERS (sizeof characters / sizeof *characters)

/* How many of the bytes at `data` begin one of the characters; `*whole` if they are all of it. */
static size_t match_character(const uint8_t *data, size_t size, int *whole)
{
    size_t longest = 0;
    *whole = 0;
    for (size_t i = 0; i < CHARACTERS; i++) {
        const struct character *c = &characters[i];
        size_t matched = 0;
        while (matched < size && matched < c->size && data[matched] >= c->bytes[matched].low &&
               data[matched] <= c->bytes[matched].high)
            matched++;
        if (matched > longest)
            longest = matched;
        if (matched == c->size) {
            *whole = 1;
            return matched;
        }
    }
    return longest;
}

/* The index of the first bad byte, or `size`; `*between` if a text may end there. */
static size_t good_bytes(const uint8_t *data, size_t size, int *between)
{
    size_t at = 0;
    *between = 1;
    while (at < size) {
        size_t matched = match_character(data + at, size - at, between);
        at += matched;
        if (!*between)
            break; /* a bad byte is next, or the end of the data */
    }
    return at;
}

/* Feeds the data in two parts, and checks what comes back against the table. */
static void check_split(const uint8_t *data, size_t size, size_t first)
{
    int between;
    size_t good = good_bytes(data, size, &between);
    wsf_utf8 state = 0;
    size_t fed = wsf_utf8_feed(&state, data, first);
    CHECK(fed == (good < first ? good : first));
    if (fed < first)
        return;
    int between_parts;
    good_bytes(data, first, &between_parts);
    CHECK((state == 0) == between_parts);
    fed = wsf_utf8_feed(&state, data + first, size - first);
    CHECK(first + fed == good);
    if (good == size)
        CHECK((state == 0) == between);
}

static void check_bytewise(const uint8_t *data, size_t size)
{
    int between = 0;
    size_t good = good_bytes(data, size, &between), at = 0;
    wsf_utf8 state = 0;
    while (at < size && wsf_utf8_feed(&state, data + at, 1) == 1)
        at++;
    CHECK(at == good);
    if (good == size)
        CHECK((state == 0) == between);
}

static void check_whole_and_bytewise(const uint8_t *data, size_t size)
{
    check_split(data, size, size);
    check_bytewise(data, size);
}

static void every_sequence_of_up_to_three_bytes(void)
{
    uint8_t bytes[3];
    for (unsigned a = 0; a < 256; a++) {
        bytes[0] = (uint8_t)a;
        check_whole_and_bytewise(bytes, 1);
        for (unsigned b = 0; b < 256; b++) {
            bytes[1] = (uint8_t)b;
            check_about("bytes", a, b);
            check_whole_and_bytewise(bytes, 2);
            for (unsigned c = 0; c < 256; c++) {
                bytes[2] = (uint8_t)c;
                check_split(bytes, 3, 3);
                /* Three at once may go another way than one at a time only after a good lead. */
                if (a >= 0xc0)
                    check_bytewise(bytes, 3);
            }
        }
    }
}

/* All leads from E0 on, all second and third bytes, and the fourth at the edges of its ranges. */
static void sequences_of_four_bytes(void)
{
    static const uint8_t fourth[] = {0x00, 0x7f, 0x80, 0x8f, 0x90, 0xbf, 0xc0, 0xc2, 0xff};
    uint8_t bytes[4];
    for (unsigned a = 0xe0; a < 256; a++) {
        for (unsigned b = 0; b < 256; b++) {
            for (unsigned c = 0; c < 256; c++) {
                bytes[0] = (uint8_t)a;
                bytes[1] = (uint8_t)b;
                bytes[2] = (uint8_t)c;
                check_about("bytes", a, b << 8 | c);
                for (size_t d = 0; d < sizeof fourth; d++) {
                    bytes[3] = fourth[d];
                    check_split(bytes, 4, 4);
                    if (a >= 0xf0)
                        check_bytewise(bytes, 4);
                }
            }
        }
    }
}

static size_t encode(uint32_t point, uint8_t *out)
{
    if (point < 0x80) {
        out[0] = (uint8_t)point;
        return 1;
    }
    size_t size = point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
    for (size_t i = size; i-- > 1; point >>= 6)
        out[i] = (uint8_t)(0x80 | (point & 0x3f));
    out[0] = (uint8_t)((0xf00 >> size & 0xff) | point);
    return size;
}

static void every_code_point_and_no_surrogate(void)
{
    for (uint32_t point = 0; point < 0x120000; point++) {
        uint8_t bytes[4];
        size_t size = encode(point, bytes);
        wsf_utf8 state = 0;
        size_t fed = wsf_utf8_feed(&state, bytes, size);
        check_about("code point", point, 0);
        if ((point >= 0xd800 && point <= 0xdfff) || point > 0x10ffff)
            CHECK(fed == 1);
        else
            CHECK(fed == size && state == 0);
    }
}

static const char *const texts[] = {
    "", "Hello", "\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5",
    "\xe2\x82\xac \xf0\x9f\x98\x80\xf0\x90\x80\x80\xf4\x8f\xbf\xbf",
    "\xc2\x80\xdf\xbf\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf\xef\xbb\xbf",
    "plain ASCII long enough that it is taken in words of eight bytes and in blocks of 32 \xc3\xa9"
    " and then goes on so that there is a second run as long as that one, 32 and more bytes",
    "\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80" "edited", /* a surrogate */
    "\xc0\xaf", "\xe0\x80\xaf", "\xf0\x80\x80\xaf", /* overlong */
    "\xf8\x88\x80\x80\x80", "\xfe\xff", "\x80", "a\xbf", "\xf4\x90\x80\x80", "\xc1\xbf",
    "\xc3(", "\xe2\x82(", "\xe2(\xa1", "\xf0\x9f\x98(", "\xf0\x9f(\x80", "\xf0(\x8c\xbc",
    "\xc3\xc3\xa9", "\xf0\x9f\x98", "\xe2\x82", "\xc3", "\xed\xa0\x80\xed\xb0\x80",
    "plain ASCII long enough that it is taken in blocks of 32 bytes\xff and more after that byte",
};
#define TEXTS (sizeof texts / sizeof *texts)

static void every_split_of_good_and_bad_texts(void)
{
    for (size_t i = 0; i < TEXTS; i++) {
        const uint8_t *data = (const uint8_t *)texts[i];
        size_t size = strlen(texts[i]);
        check_bytewise(data, size);
        for (size_t first = 0; first <= size; first++) {
            check_about("text, split", i, first);
            check_split(data, size, first);
        }
    }
}

/* Runs of ASCII are taken in blocks: what breaks one must be seen at every place in it. */
static void something_else_at_every_place_of_a_long_run_of_ascii(void)
{
    static const char *const others[] = {"\x80", "\xff", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98",
                                         "\xc3", "\xed\xa0"};
    for (size_t o = 0; o < sizeof others / sizeof *others; o++) {
        size_t other_size = strlen(others[o]);
        for (size_t at = 0; at + other_size <= MOST + 1; at++) {
            uint8_t data[MOST + 1];
            memset(data, 'a', sizeof data);
            memcpy(data + at, others[o], other_size);
            check_about("place", at, o);
            check_split(data, sizeof data, sizeof data);
            check_split(data, sizeof data, at);
            check_split(data, sizeof data, at + 1);
            check_split(data, at + other_size, at + other_size);
        }
    }
}

static void nothing_fed_changes_nothing(void)
{
    uint8_t byte = 0xff;
    wsf_utf8 state = 0;
    CHECK(wsf_utf8_feed(&state, &byte, 0) == 0 && state == 0);
    CHECK(wsf_utf8_feed(&state, (const uint8_t *)"\xe2", 1) == 1 && state != 0);
    wsf_utf8 before = state;
    CHECK(wsf_utf8_feed(&state, NULL, 0) == 0 && state == before);
    CHECK(wsf_utf8_feed(&state, &byte, 0) == 0 && state == before);
    CHECK(wsf_utf8_feed(&state, (const uint8_t *)"\x82\xac", 2) == 2 && state == 0);
}

static void not_a_byte_beyond_the_data(void)
{
    static const char *const fillings[] = {"a", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80"};
    guard area = guard_new(MOST);
    for (size_t f = 0; f < sizeof fillings / sizeof *fillings; f++) {
        size_t width = strlen(fillings[f]);
        for (size_t size = 0; size <= MOST; size++) {
            for (int place = 0; place < GUARD_PLACES; place++) {
                uint8_t *data = guard_place(&area, place, size);
                for (size_t i = 0; i < size; i++)
                    data[i] = (uint8_t)fillings[f][i % width];
                check_about(fillings[f], size, (size_t)place);
                check_split(data, size, size);
                check_split(data, size, size / 2);
            }
        }
    }
}

int main(void)
{
    TEST(every_sequence_of_up_to_three_bytes);
    TEST(sequences_of_four_bytes);
    TEST(every_code_point_and_no_surrogate);
    TEST(every_split_of_good_and_bad_texts);
    TEST(something_else_at_every_place_of_a_long_run_of_ascii);
    TEST(nothing_fed_changes_nothing);
    TEST(not_a_byte_beyond_the_data);
    return check_report("utf8");
}
