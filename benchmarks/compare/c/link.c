#define _GNU_SOURCE
#include "link.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

_Noreturn void die(const char *what) {
    perror(what);
    exit(1);
}

static ssize_t result(ssize_t done) {
    if (done >= 0)
        return done;
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? LINK_WAIT : LINK_ERROR;
}

#ifdef WITH_TLS
#include <openssl/err.h>
#include <openssl/ssl.h>

static SSL_CTX *context;

bool link_setup_tls(const char *certificate, const char *key) {
    context = SSL_CTX_new(certificate ? TLS_server_method() : TLS_client_method());
    if (!context)
        return false;
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                  SSL_MODE_AUTO_RETRY);
    /* One system call reads many records. */
    SSL_CTX_set_read_ahead(context, 1);
    SSL_CTX_set_default_read_buffer_len(context, 64 * 1024);
    if (!certificate)
        return true;
    return SSL_CTX_use_certificate_chain_file(context, certificate) == 1 &&
           SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) == 1;
}

static bool start_tls(struct link *link, bool server) {
    SSL *ssl = SSL_new(context);
    if (!ssl || SSL_set_fd(ssl, link->fd) != 1)
        return false;
    link->ssl = ssl;
    if (server) {
        SSL_set_accept_state(ssl);
        return true;
    }
    return SSL_connect(ssl) == 1;
}

static void stop_tls(struct link *link) {
    SSL_shutdown(link->ssl);
    SSL_free(link->ssl);
    ERR_clear_error();
}

static ssize_t tls_result(struct link *link, int done) {
    if (done > 0)
        return done;
    switch (SSL_get_error(link->ssl, done)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        return LINK_WAIT;
    case SSL_ERROR_ZERO_RETURN:
        return LINK_END;
    default:
        ERR_clear_error();
        return LINK_ERROR;
    }
}

static ssize_t tls_read(struct link *link, void *to, size_t size) {
    return tls_result(link, SSL_read(link->ssl, to, (int)size));
}

static ssize_t tls_write(struct link *link, const void *from, size_t size) {
    return tls_result(link, SSL_write(link->ssl, from, (int)size));
}
#else
bool link_setup_tls(const char *certificate, const char *key) {
    (void)certificate, (void)key;
    fputs("built without TLS: the headers of OpenSSL were not found\n", stderr);
    return false;
}
static bool start_tls(struct link *link, bool server) {
    (void)link, (void)server;
    return false;
}
static void stop_tls(struct link *link) { (void)link; }
static ssize_t tls_read(struct link *link, void *to, size_t size) {
    (void)link, (void)to, (void)size;
    return LINK_ERROR;
}
static ssize_t tls_write(struct link *link, const void *from, size_t size) {
    (void)link, (void)from, (void)size;
    return LINK_ERROR;
}
#endif

bool link_open(struct link *link, int fd, bool server, bool tls) {
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    link->fd = fd;
    link->ssl = NULL;
    return !tls || start_tls(link, server);
}

void link_close(struct link *link) {
    if (link->ssl)
        stop_tls(link);
    close(link->fd);
}

ssize_t link_read(struct link *link, void *to, size_t size) {
    return link->ssl ? tls_read(link, to, size) : result(recv(link->fd, to, size, 0));
}

ssize_t link_write(struct link *link, const void *from, size_t size) {
    return link->ssl ? tls_write(link, from, size)
                     : result(send(link->fd, from, size, MSG_NOSIGNAL));
}

void link_write_all(struct link *link, const void *from, size_t size) {
    for (const char *next = from; size;) {
        ssize_t done = link_write(link, next, size);
        if (done == LINK_END || done == LINK_ERROR)
            die("send");
        if (done > 0) {
            next += done;
            size -= (size_t)done;
        }
    }
}
