/* Frame headers: any bytes decoded as the reference does, and any header encoded and read again. */
#include "fuzz.h"
#include "reference.h"
#include "wsf.h"

#include <stdlib.h>
#include <string.h>

static void require_same(const wsf_header *header, const reference_header *wanted)
{
    REQUIRE(header->fin == wanted->fin && header->rsv == wanted->rsv);
    REQUIRE(header->opcode == wanted->opcode && header->masked == wanted->masked);
    REQUIRE(header->length == wanted->length);
    REQUIRE(memcmp(&header->mask_key, wanted->key, 4) == 0);
}

static int is_shortest(const reference_header *h)
{
    return h->length_size == 0 ||
           (h->length_size == 2 ? h->length > 125 : h->length > UINT16_MAX);
}

/* Decodes the first `size` bytes, from a block of just that size. */
static void check_decode(const uint8_t *data, size_t size)
{
    wsf_header header;
    reference_header wanted;
    uint8_t *bytes = fuzz_alloc(size), again[WSF_HEADER_MAX];
    if (size)
        memcpy(bytes, data, size);
    int parts = reference_read_header(&wanted, bytes, size);
    int got = wsf_header_decode(&header, bytes, size);
    if (parts >= 2 && wanted.length > INT64_MAX) {
        REQUIRE(got == WSF_ERR_LENGTH_TOO_LARGE);
    } else if (parts >= 2 && !is_shortest(&wanted)) {
        REQUIRE(got == WSF_ERR_LENGTH_NOT_MINIMAL);
    } else if (parts < 3) {
        REQUIRE(got == 0);
    } else {
        REQUIRE(got == (int)wanted.size);
        require_same(&header, &wanted);
        REQUIRE(wsf_header_encode(again, &header) == wanted.size);
        REQUIRE(memcmp(again, bytes, wanted.size) == 0);
    }
    free(bytes);
}

static void check_encode(fuzz_input *input)
{
    wsf_header header = {0}, decoded;
    uint64_t first = fuzz_take(input, 1);
    header.fin = first & 1;
    header.masked = first >> 1 & 1;
    header.rsv = first >> 2 & 7;
    header.opcode = (uint8_t)(fuzz_take(input, 1) & 15);
    header.length = fuzz_take(input, 8) >> 1;
    if (header.masked)
        header.mask_key = (uint32_t)fuzz_take(input, 4);

    uint8_t room[WSF_HEADER_MAX];
    size_t size = wsf_header_encode(room, &header);
    uint8_t *bytes = fuzz_alloc(size);
    memcpy(bytes, room, size);
    reference_header read;
    REQUIRE(reference_read_header(&read, bytes, size) == 3 && read.size == size);
    REQUIRE(is_shortest(&read));
    require_same(&header, &read);
    REQUIRE(wsf_header_decode(&decoded, bytes, size) == (int)size);
    require_same(&decoded, &read);
    free(bytes);
}

/* Numbers that mean nothing must have an answer too. */
static void check_codes(fuzz_input *input)
{
    int error = (int)(uint32_t)fuzz_take(input, 4);
    int code = wsf_error_close_code(error);
    REQUIRE(wsf_close_code_valid((unsigned)code));
    REQUIRE(strlen(wsf_error_text(error)) < 100);
    REQUIRE(!wsf_close_code_valid((unsigned)error) || (error >= 1000 && error < 5000));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    for (size_t part = 0; part <= size && part <= WSF_HEADER_MAX + 2; part++)
        check_decode(data, part);
    fuzz_input input = {data, data + size};
    check_encode(&input);
    check_codes(&input);
    return 0;
}
