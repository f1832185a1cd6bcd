#define _GNU_SOURCE
#include "handshake.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "sha1.h"

static const char GUID[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
static const char ALPHABET[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static void base64(char *to, const uint8_t *from, size_t size) {
    size_t i = 0;
    for (; i < size; i += 3) {
        uint32_t bits = (uint32_t)from[i] << 16;
        bits |= i + 1 < size ? (uint32_t)from[i + 1] << 8 : 0;
        bits |= i + 2 < size ? from[i + 2] : 0;
        *to++ = ALPHABET[bits >> 18];
        *to++ = ALPHABET[bits >> 12 & 63];
        *to++ = i + 1 < size ? ALPHABET[bits >> 6 & 63] : '=';
        *to++ = i + 2 < size ? ALPHABET[bits & 63] : '=';
    }
    *to = 0;
}

size_t http_head_size(const char *data, size_t size) {
    const char *end = memmem(data, size, "\r\n\r\n", 4);
    return end ? (size_t)(end - data) + 4 : 0;
}

static bool header(const char *head, const char *name, char *value, size_t size) {
    char line[64];
    snprintf(line, sizeof line, "\r\n%s:", name);
    const char *found = strcasestr(head, line);
    if (!found)
        return false;
    found += strlen(line);
    found += strspn(found, " ");
    size_t length = strcspn(found, "\r");
    if (length >= size)
        return false;
    memcpy(value, found, length);
    value[length] = 0;
    return true;
}

size_t handshake_answer(const char *request, char *answer, char *path, size_t path_size) {
    char key[64], offer[512], joined[128], accept[32];
    const char *deflate = "";
    uint8_t digest[20];
    if (strncmp(request, "GET ", 4) || !header(request, "Sec-WebSocket-Key", key, sizeof key))
        return 0;
    size_t length = strcspn(request + 4, " ");
    if (length >= path_size)
        return 0;
    memcpy(path, request + 4, length);
    path[length] = 0;
    snprintf(joined, sizeof joined, "%s%s", key, GUID);
    sha1(digest, joined, strlen(joined));
    base64(accept, digest, sizeof digest);
    if (header(request, "Sec-WebSocket-Extensions", offer, sizeof offer) &&
        strstr(offer, "permessage-deflate"))
        deflate = strstr(offer, "server_max_window_bits")
                      ? "Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=15\r\n"
                      : "Sec-WebSocket-Extensions: permessage-deflate\r\n";
    return (size_t)snprintf(answer, HTTP_MAX,
                            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                            "Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n%s\r\n",
                            accept, deflate);
}

size_t handshake_request(char *to, const char *path) {
    return (size_t)snprintf(to, HTTP_MAX,
                            "GET %s HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
                            "Connection: Upgrade\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
                            "Sec-WebSocket-Version: 13\r\n\r\n",
                            path);
}
