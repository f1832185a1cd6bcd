#include "wsf.h"

#include <string.h>

static const struct {
    int close_code;
    const char *text;
} errors[] = {
    [-WSF_OK] = {1000, "no error"},
    [-WSF_ERR_RESERVED_BITS] = {1002, "reserved bits set"},
    [-WSF_ERR_OPCODE] = {1002, "reserved opcode"},
    [-WSF_ERR_MASK_MISSING] = {1002, "client frame not masked"},
    [-WSF_ERR_MASK_UNEXPECTED] = {1002, "server frame masked"},
    [-WSF_ERR_LENGTH_NOT_MINIMAL] = {1002, "length not in its shortest form"},
    [-WSF_ERR_LENGTH_TOO_LARGE] = {1002, "length over 63 bits"},
    [-WSF_ERR_CONTROL_TOO_LONG] = {1002, "control frame over 125 bytes"},
    [-WSF_ERR_CONTROL_FRAGMENTED] = {1002, "fragmented control frame"},
    [-WSF_ERR_CONTINUATION_UNEXPECTED] = {1002, "continuation without a message"},
    [-WSF_ERR_CONTINUATION_EXPECTED] = {1002, "new message inside a fragmented one"},
    [-WSF_ERR_CLOSE_LENGTH] = {1002, "close payload of one byte"},
    [-WSF_ERR_CLOSE_CODE] = {1002, "invalid close code"},
    [-WSF_ERR_CLOSE_UTF8] = {1007, "close reason is not UTF-8"},
    [-WSF_ERR_TEXT_UTF8] = {1007, "text is not UTF-8"},
    [-WSF_ERR_MESSAGE_TOO_BIG] = {1009, "message over the size limit"},
    [-WSF_ERR_TOO_MANY_FRAGMENTS] = {1009, "message in too many fragments"},
    [-WSF_ERR_NO_MEMORY] = {1011, "out of memory"},
};

static int known(int error)
{
    return error <= 0 && error >= -(int)(sizeof errors / sizeof *errors - 1);
}

int wsf_error_close_code(int error)
{
    return known(error) ? errors[-error].close_code : 1011;
}

const char *wsf_error_text(int error)
{
    return known(error) ? errors[-error].text : "unknown error";
}

static uint64_t read_big_endian(const uint8_t *data, unsigned bytes)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < bytes; i++)
        value = value << 8 | data[i];
    return value;
}

static void write_big_endian(uint8_t *out, uint64_t value, unsigned bytes)
{
    while (bytes--) {
        out[bytes] = (uint8_t)value;
        value >>= 8;
    }
}

int wsf_header_decode(wsf_header *header, const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    unsigned short_length = data[1] & 0x7f;
    unsigned length_size = short_length == 126 ? 2 : short_length == 127 ? 8 : 0;
    header->fin = data[0] >> 7;
    header->rsv = data[0] >> 4 & 7;
    header->opcode = data[0] & 15;
    header->masked = data[1] >> 7;
    size_t header_size = 2 + length_size + (header->masked ? 4 : 0);

    header->length = short_length;
    if (length_size) {
        if (size < 2 + length_size)
            return 0;
        header->length = read_big_endian(data + 2, length_size);
        if (header->length >> 63)
            return WSF_ERR_LENGTH_TOO_LARGE;
        if (header->length < (length_size == 2 ? 126u : 65536u))
            return WSF_ERR_LENGTH_NOT_MINIMAL;
    }
    if (size < header_size)
        return 0;
    header->mask_key = 0;
    if (header->masked)
        memcpy(&header->mask_key, data + header_size - 4, 4);
    return (int)header_size;
}

size_t wsf_header_encode(uint8_t *out, const wsf_header *header)
{
    size_t size = 2;
    uint8_t mask_bit = header->masked ? 0x80 : 0;
    out[0] = (uint8_t)(header->fin << 7 | header->rsv << 4 | header->opcode);
    if (header->length < 126) {
        out[1] = (uint8_t)(mask_bit | header->length);
    } else if (header->length < 65536) {
        out[1] = mask_bit | 126;
        write_big_endian(out + 2, header->length, 2);
        size += 2;
    } else {
        out[1] = mask_bit | 127;
        write_big_endian(out + 2, header->length, 8);
        size += 8;
    }
    if (header->masked) {
        memcpy(out + size, &header->mask_key, 4);
        size += 4;
    }
    return size;
}

int wsf_close_code_valid(unsigned code)
{
    return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
           (code >= 3000 && code <= 4999);
}
