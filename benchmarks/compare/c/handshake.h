/* The opening handshake of RFC 6455, section 4: as little of it as the programs here need. */
#ifndef HANDSHAKE_H
#define HANDSHAKE_H

#include <stdbool.h>
#include <stddef.h>

enum { HTTP_MAX = 8192 };

/* Where the head of an HTTP message ends, after its empty line; 0 while it has not ended. */
size_t http_head_size(const char *data, size_t size);

/* Writes the answer to an upgrade request (a string), of at most HTTP_MAX bytes, and its path.
   permessage-deflate is agreed to when it is offered. Returns the answer's size, 0 for a request
   that is none. */
size_t handshake_answer(const char *request, char *answer, char *path, size_t path_size);

/* Writes a client's request, of at most HTTP_MAX bytes; returns its size. */
size_t handshake_request(char *to, const char *path);

#endif
