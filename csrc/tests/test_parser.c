/* What the parser makes of good streams: parser.c. Each is cut at every place; see examples.h. */
#include "check.h"
#include "examples.h"

static void the_vectors_of_the_rfc(void)
{
    static const struct example examples[] = {
        {"=810548656c6c6f", "text 'Hello'", CLIENT, {0}},
        {"=818537fa213d7f9f4d5158", "text 'Hello'", SERVER, {0}},
        {"=010348656c =80026c6f", "text 'Hello'", CLIENT, {0}},
        {"=890548656c6c6f", "ping 'Hello'", CLIENT, {0}},
        {"=8a8537fa213d7f9f4d5158", "pong 'Hello'", SERVER, {0}},
        {"=827e0100 =00*256", "binary '\\x00'*256", CLIENT, {0}},
        {"=827f0000000000010000 =00*65536", "binary '\\x00'*65536", CLIENT, {0}},
    };
    EXAMPLES_CHECK(examples);
}

static void whole_messages(void)
{
    static const struct example examples[] = {
        {"", "", BOTH, {0}},
        {"81''", "text ''", BOTH, {0}},
        {"82''", "binary ''", BOTH, {0}},
        {"81'Hello'", "text 'Hello'", BOTH, {0}},
        {"82'\377\376\200'", "binary '\\xff\\xfe\\x80'", BOTH, {0}},
        {"81'\316\272\342\202\254\360\237\230\200'",
         "text '\\xce\\xba\\xe2\\x82\\xac\\xf0\\x9f\\x98\\x80'", BOTH, {0}},
        {"81'a' 82'b' 81'' 82'cd'", "text 'a'; binary 'b'; text ''; binary 'cd'", BOTH, {0}},
    };
    EXAMPLES_CHECK(examples);
}

static void lengths_at_the_boundaries_of_their_encodings(void)
{
    static const struct example examples[] = {
        {"82'x'*124", "binary 'x'*124", BOTH, {0}},
        {"82'x'*125 81'y'", "binary 'x'*125; text 'y'", BOTH, {0}},
        {"81'x'*126 81'y'", "text 'x'*126; text 'y'", BOTH, {0}},
        {"81'x'*127 81'y'", "text 'x'*127; text 'y'", BOTH, {0}},
        {"82'x'*65535 81'y'", "binary 'x'*65535; text 'y'", BOTH, {0}},
        {"82'x'*65536 81'y'", "binary 'x'*65536; text 'y'", BOTH, {0}},
        {"81'x'*65537 81'y'", "text 'x'*65537; text 'y'", BOTH, {0}},
    };
    EXAMPLES_CHECK(examples);
}

static void control_frames(void)
{
    static const struct example examples[] = {
        {"89''", "ping ''", BOTH, {0}},
        {"8a''", "pong ''", BOTH, {0}},
        {"89'a' 8a'bc' 89'\377'", "ping 'a'; pong 'bc'; ping '\\xff'", BOTH, {0}},
        {"89'p'*125 8a'q'*125", "ping 'p'*125; pong 'q'*125", BOTH, {0}},
    };
    EXAMPLES_CHECK(examples);
}

static void fragmented_messages(void)
{
    static const struct example examples[] = {
        {"01'Hel' 80'lo'", "text 'Hello'", BOTH, {0}},
        {"02'a' 00'b' 00'c' 80'd'", "binary 'abcd'", BOTH, {0}},
        {"01'' 80''", "text ''", BOTH, {0}},
        {"02'' 00'' 00'' 80'a'", "binary 'a'", BOTH, {0}},
        {"01'a' 00'' 80''", "text 'a'", BOTH, {0}},
        {"01'a' 80'b' 02'c' 80'd' 81'e'", "text 'ab'; binary 'cd'; text 'e'", BOTH, {0}},
        {"81'e' 01'a' 80'b' 81''", "text 'e'; text 'ab'; text ''", BOTH, {0}},
        {"02'x'*200 00'x'*126 80'x'*125", "binary 'x'*451", BOTH, {0}},
        {"02'x'*70000 00'' 80'x'*30000 82'z'", "binary 'x'*100000; binary 'z'", BOTH, {0}},
        /* A message that has not ended is no event. */
        {"01'a' 00'b'", "", BOTH, {0}},
        {"82:5", "", BOTH, {0}},
    };
    EXAMPLES_CHECK(examples);
}

static void control_frames_between_fragments(void)
{
    static const struct example examples[] = {
        {"01'Hel' 89'x' 80'lo'", "ping 'x'; text 'Hello'", BOTH, {0}},
        {"01'' 89'' 8a'' 80''", "ping ''; pong ''; text ''", BOTH, {0}},
        {"02'a' 8a'x' 00'b' 89'yz' 80'c' 89'!'",
         "pong 'x'; ping 'yz'; binary 'abc'; ping '!'", BOTH, {0}},
        {"01'\342' 89'\377' 00'\202' 8a'\200' 80'\254'",
         "ping '\\xff'; pong '\\x80'; text '\\xe2\\x82\\xac'", BOTH, {0}},
        {"01'a' 88'\003\350' 80'b'", "close 1000 ''", BOTH, {0}},
    };
    EXAMPLES_CHECK(examples);
}

static void text_cut_inside_its_characters(void)
{
    static const struct example examples[] = {
        {"01'\316' 80'\272'", "text '\\xce\\xba'", BOTH, {0}},
        {"01'\360' 00'\237' 00'' 00'\230' 80'\200'", "text '\\xf0\\x9f\\x98\\x80'", BOTH, {0}},
        {"01'a\342\202' 80'\254b'", "text 'a\\xe2\\x82\\xacb'", BOTH, {0}},
        /* Each text starts anew. */
        {"01'\316' 80'\272' 81'a' 01'b' 80'c'", "text '\\xce\\xba'; text 'a'; text 'bc'", BOTH,
         {0}},
    };
    EXAMPLES_CHECK(examples);
}

static void close_frames(void)
{
    static const struct example examples[] = {
        {"88''", "close 1005 ''", BOTH, {0}},
        {"88'\003\350'", "close 1000 ''", BOTH, {0}},
        {"88'\003\351bye'", "close 1001 'bye'", BOTH, {0}},
        {"88'\023\207\342\202\254'", "close 4999 '\\xe2\\x82\\xac'", BOTH, {0}},
        {"81'a' 89'b' 88'\013\270c'", "text 'a'; ping 'b'; close 3000 'c'", BOTH, {0}},
        {"88'\003\350rrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrr"
         "rrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrr'",
         "close 1000 'r'*123", BOTH, {0}},
    };
    EXAMPLES_CHECK(examples);
}

static void what_follows_a_close_frame_is_swallowed(void)
{
    static const struct example examples[] = {
        {"88'\003\350' 81'late' 88''", "close 1000 ''", BOTH, {0}},
        {"88'' =ffffffffffff", "close 1005 ''", BOTH, {0}},
        {"88'\003\350' 81!'x' 83'' 89:7e", "close 1000 ''", BOTH, {0}},
        {"81'a' 88'\003\350x' =00*3000", "text 'a'; close 1000 'x'", BOTH, {0}},
    };
    EXAMPLES_CHECK(examples);
}

static void the_first_reserved_bit_where_it_is_allowed(void)
{
    static const struct example examples[] = {
        {"c1'x'", "text compressed 'x'", BOTH, {.allow_rsv1 = 1}},
        {"c2''", "binary compressed ''", BOTH, {.allow_rsv1 = 1}},
        {"41'x' 00'y' 80'z'", "text compressed 'xyz'", BOTH, {.allow_rsv1 = 1}},
        {"42'a' 89'p' 80'b' 82'c'", "ping 'p'; binary compressed 'ab'; binary 'c'", BOTH,
         {.allow_rsv1 = 1}},
        /* It says nothing of the next message, nor does its lack. */
        {"c1'x' 81'y' c1'z'", "text compressed 'x'; text 'y'; text compressed 'z'", BOTH,
         {.allow_rsv1 = 1}},
        /* What is compressed is no UTF-8 yet. */
        {"c1'\377\200'", "text compressed '\\xff\\x80'", BOTH, {.allow_rsv1 = 1}},
        {"41'\316' 80'\377' 81'a'", "text compressed '\\xce\\xff'; text 'a'", BOTH,
         {.allow_rsv1 = 1}},
    };
    EXAMPLES_CHECK(examples);
}

int main(void)
{
    TEST(the_vectors_of_the_rfc);
    TEST(whole_messages);
    TEST(lengths_at_the_boundaries_of_their_encodings);
    TEST(control_frames);
    TEST(fragmented_messages);
    TEST(control_frames_between_fragments);
    TEST(text_cut_inside_its_characters);
    TEST(close_frames);
    TEST(what_follows_a_close_frame_is_swallowed);
    TEST(the_first_reserved_bit_where_it_is_allowed);
    return check_report("parser");
}
