/* A connected socket, in the clear or through TLS. */
#ifndef LINK_H
#define LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct link {
    int fd;
    void *ssl; /* NULL in the clear */
};

enum { LINK_END = 0, LINK_WAIT = -1, LINK_ERROR = -2 };

/* Loads what TLS needs; false if it cannot, or was not built in. A client passes no files. */
bool link_setup_tls(const char *certificate, const char *key);

/* Takes a connected socket over. With `tls`, the handshake of a client is done here, that of a
   server by the first reads. */
bool link_open(struct link *link, int fd, bool server, bool tls);
void link_close(struct link *link);

/* The number of bytes, or one of the constants above. */
ssize_t link_read(struct link *link, void *to, size_t size);
ssize_t link_write(struct link *link, const void *from, size_t size);

/* For blocking sockets: all of it. Ends the program where that fails. */
void link_write_all(struct link *link, const void *from, size_t size);

_Noreturn void die(const char *what);

#endif
