/* Frame headers, close codes and errors: frame.c. */
#include "check.h"
#include "drive.h"
#include "frames.h"
#include "guard.h"

#include <limits.h>
#include <string.h>

static const uint64_t lengths[] = {
    0, 1, 124, 125, 126, 127, 255, 256, 65534, 65535, 65536, 65537,
    0x7ffffffe, 0x7fffffff, 0x80000000, 0x80000001, 0xffffffff, 0x100000000, 0x100000001,
    0x0102030405060708, 0x7ffffffffffffffe, 0x7fffffffffffffff,
};
#define LENGTHS (sizeof lengths / sizeof *lengths)

static guard area;

/* Decodes from memory of exactly `size` bytes. */
static int decode(wsf_header *header, const uint8_t *bytes, size_t size, int place)
{
    uint8_t *data = guard_place(&area, place, size);
    memcpy(data, bytes, size);
    return wsf_header_decode(header, data, size);
}

static void check_same(const wsf_header *a, const wsf_header *b)
{
    CHECK(a->length == b->length);
    CHECK(a->mask_key == b->mask_key);
    CHECK(a->opcode == b->opcode);
    CHECK(a->rsv == b->rsv);
    CHECK(a->fin == b->fin);
    CHECK(a->masked == b->masked);
}

static void decodes_the_vectors_of_the_rfc(void)
{
    static const struct {
        const char *bytes;
        int size;
        wsf_header header;
    } vectors[] = {
        {"=8105", 2, {.length = 5, .opcode = WSF_TEXT, .fin = 1}},
        {"=818537fa213d", 6, {.length = 5, .opcode = WSF_TEXT, .fin = 1, .masked = 1}},
        {"=0103", 2, {.length = 3, .opcode = WSF_TEXT}},
        {"=8002", 2, {.length = 2, .opcode = WSF_CONTINUATION, .fin = 1}},
        {"=8905", 2, {.length = 5, .opcode = WSF_PING, .fin = 1}},
        {"=8a8537fa213d", 6, {.length = 5, .opcode = WSF_PONG, .fin = 1, .masked = 1}},
        {"=827e0100", 4, {.length = 256, .opcode = WSF_BINARY, .fin = 1}},
        {"=827f0000000000010000", 10, {.length = 65536, .opcode = WSF_BINARY, .fin = 1}},
    };
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        check_about(vectors[i].bytes, 0, 0);
        size_t size;
        const uint8_t *bytes = frames(vectors[i].bytes, 0, &size);
        wsf_header header, wanted = vectors[i].header;
        if (wanted.masked)
            memcpy(&wanted.mask_key, "\x37\xfa\x21\x3d", 4);
        CHECK(decode(&header, bytes, size, 0) == vectors[i].size);
        check_same(&header, &wanted);

        uint8_t encoded[WSF_HEADER_MAX];
        CHECK(wsf_header_encode(encoded, &wanted) == size);
        CHECK(memcmp(encoded, bytes, size) == 0);
    }
}

static void both_directions_at_every_length_boundary(void)
{
    for (size_t i = 0; i < LENGTHS; i++) {
        for (uint8_t masked = 0; masked < 2; masked++) {
            check_about("length, masked", (size_t)lengths[i], masked);
            uint8_t wanted[WSF_HEADER_MAX], encoded[WSF_HEADER_MAX];
            size_t size = frame(wanted, 0x82, masked, 0, NULL, lengths[i], 0);
            wsf_header header = {
                .length = lengths[i], .opcode = WSF_BINARY, .fin = 1, .masked = masked};
            if (masked)
                memcpy(&header.mask_key, wanted + size - 4, 4);
            CHECK(wsf_header_encode(encoded, &header) == size);
            CHECK(memcmp(encoded, wanted, size) == 0);

            for (int place = 0; place < GUARD_PLACES; place++) {
                wsf_header decoded;
                for (size_t part = 0; part < size; part++)
                    CHECK(decode(&decoded, wanted, part, place) == 0);
                CHECK(decode(&decoded, wanted, size, place) == (int)size);
                check_same(&decoded, &header);
            }
        }
    }
}

static void the_first_byte_goes_through_as_it_is(void)
{
    for (unsigned first = 0; first < 256; first++) {
        wsf_header header = {.opcode = first & 15,
                             .rsv = (uint8_t)(first >> 4 & 7),
                             .fin = first >= 128};
        uint8_t encoded[WSF_HEADER_MAX];
        CHECK(wsf_header_encode(encoded, &header) == 2);
        CHECK(encoded[0] == first && encoded[1] == 0);
        wsf_header decoded;
        CHECK(wsf_header_decode(&decoded, encoded, 2) == 2);
        check_same(&decoded, &header);
    }
}

static void bytes_after_the_header_do_not_matter(void)
{
    uint8_t bytes[WSF_HEADER_MAX + 20];
    for (size_t i = 0; i < LENGTHS; i++) {
        memset(bytes, 0xff, sizeof bytes);
        size_t size = frame(bytes, 0x81, 1, 0, NULL, lengths[i], 0);
        wsf_header header;
        CHECK(wsf_header_decode(&header, bytes, sizeof bytes) == (int)size);
        CHECK(header.length == lengths[i]);
    }
}

/* Whole headers fail, and shorter parts of them either fail too or want more. */
static void check_refused(unsigned width, uint64_t length, int error)
{
    for (int masked = 0; masked < 2; masked++) {
        uint8_t bytes[WSF_HEADER_MAX];
        size_t size = frame(bytes, 0x82, masked, width, NULL, length, 0);
        wsf_header header;
        check_about("width, length", width, (size_t)length);
        CHECK(decode(&header, bytes, size, 0) == error);
        for (size_t part = 0; part < size; part++) {
            int got = decode(&header, bytes, part, 0);
            CHECK(got == (part < 2 + width / 8 ? 0 : error));
        }
    }
}

static void refuses_lengths_that_are_not_minimal(void)
{
    for (uint64_t length = 0; length < 126; length++)
        check_refused(16, length, WSF_ERR_LENGTH_NOT_MINIMAL);
    for (uint64_t length = 0; length < 65536; length++)
        check_refused(64, length, WSF_ERR_LENGTH_NOT_MINIMAL);
}

static void refuses_lengths_with_the_top_bit(void)
{
    check_refused(64, (uint64_t)1 << 63, WSF_ERR_LENGTH_TOO_LARGE);
    check_refused(64, ((uint64_t)1 << 63) + 5, WSF_ERR_LENGTH_TOO_LARGE);
    check_refused(64, UINT64_MAX, WSF_ERR_LENGTH_TOO_LARGE);
}

static void knows_the_close_codes_of_the_wire(void)
{
    static const struct {
        unsigned first, last;
    } good[] = {{1000, 1003}, {1007, 1014}, {3000, 4999}};
    for (unsigned code = 0; code <= 70000; code++) {
        int wanted = 0;
        for (size_t i = 0; i < 3; i++)
            wanted |= code >= good[i].first && code <= good[i].last;
        check_about("code", code, 0);
        CHECK(!wsf_close_code_valid(code) == !wanted);
    }
    CHECK(!wsf_close_code_valid(65536 + 1000));
    CHECK(!wsf_close_code_valid(UINT_MAX));
}

static void errors_have_close_codes(void)
{
    CHECK(wsf_error_close_code(WSF_OK) == 1000);
    for (int error = -1; error >= WSF_ERR_NO_MEMORY; error--) {
        int wanted = 1002;
        if (error == WSF_ERR_CLOSE_UTF8 || error == WSF_ERR_TEXT_UTF8)
            wanted = 1007;
        if (error == WSF_ERR_MESSAGE_TOO_BIG || error == WSF_ERR_TOO_MANY_FRAGMENTS)
            wanted = 1009;
        if (error == WSF_ERR_NO_MEMORY)
            wanted = 1011;
        check_about(error_name(error), 0, 0);
        CHECK(wsf_error_close_code(error) == wanted);
    }
}

/* They are sent as close reasons, so they must fit into one and be plain. */
static void errors_have_texts_of_their_own(void)
{
    for (int error = 0; error >= WSF_ERR_NO_MEMORY; error--) {
        const char *text = wsf_error_text(error);
        size_t size = strlen(text);
        check_about(error_name(error), 0, 0);
        CHECK(size > 0 && size < 100);
        CHECK(size > 0 && text[size - 1] != '.');
        for (size_t i = 0; i < size; i++)
            CHECK(text[i] >= ' ' && text[i] <= '~');
        for (int other = 0; other > error; other--)
            CHECK(strcmp(text, wsf_error_text(other)) != 0);
        CHECK(strcmp(text, wsf_error_text(1)) != 0); /* that is no error of ours */
    }
}

static void numbers_that_are_no_errors_do_no_harm(void)
{
    static const int numbers[] = {1, 17, WSF_ERR_NO_MEMORY - 1, INT_MAX, INT_MIN, -INT_MAX};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        CHECK(wsf_error_text(numbers[i]) != NULL && *wsf_error_text(numbers[i]) != '\0');
        CHECK(wsf_close_code_valid((unsigned)wsf_error_close_code(numbers[i])));
    }
}

int main(void)
{
    area = guard_new(WSF_HEADER_MAX);
    TEST(decodes_the_vectors_of_the_rfc);
    TEST(both_directions_at_every_length_boundary);
    TEST(the_first_byte_goes_through_as_it_is);
    TEST(bytes_after_the_header_do_not_matter);
    TEST(refuses_lengths_that_are_not_minimal);
    TEST(refuses_lengths_with_the_top_bit);
    TEST(knows_the_close_codes_of_the_wire);
    TEST(errors_have_close_codes);
    TEST(errors_have_texts_of_their_own);
    TEST(numbers_that_are_no_errors_do_no_harm);
    return check_report("frame");
}
