/*
 * The few system calls that the drivers make without Python's help, alike on POSIX and Windows.
 * Each returns what it says or a negative error number, and needs no GIL.
 */
#ifndef WSFAST_SOCKETS_H
#define WSFAST_SOCKETS_H

#include <stddef.h>
#include <stdint.h>

#ifdef _WIN32

#include <winsock2.h>
#include <windows.h>

typedef SOCKET wsfast_socket;

static inline int wsfast_poll(wsfast_socket fd, int write, int milliseconds)
{
    WSAPOLLFD one = {fd, (SHORT)(write ? POLLWRNORM : POLLRDNORM), 0};
    int ready = WSAPoll(&one, 1, milliseconds);
    return ready < 0 ? -WSAGetLastError() : ready;
}

static inline ptrdiff_t wsfast_recv(wsfast_socket fd, void *to, size_t size)
{
    int got = recv(fd, (char *)to, size > 1 << 30 ? 1 << 30 : (int)size, 0);
    return got < 0 ? -(ptrdiff_t)WSAGetLastError() : got;
}

/* There is no flag for it, so what surely fits is sent when there is room. */
static inline ptrdiff_t wsfast_send(wsfast_socket fd, const void *from, size_t size)
{
    int ready = wsfast_poll(fd, 1, 0);
    if (ready <= 0)
        return ready;
    int sent = send(fd, (const char *)from, size > 8192 ? 8192 : (int)size, 0);
    return sent < 0 ? -(ptrdiff_t)WSAGetLastError() : sent;
}

static inline int wsfast_interrupted(ptrdiff_t result)
{
    return result == -WSAEINTR;
}

static inline double wsfast_now(void)
{
    LARGE_INTEGER count, frequency;
    QueryPerformanceCounter(&count);
    QueryPerformanceFrequency(&frequency);
    return (double)count.QuadPart / (double)frequency.QuadPart;
}

static inline void wsfast_yield(void)
{
    SwitchToThread();
}

#else

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <time.h>

#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0 /* where it is missing Python has switched the signal off */
#endif

typedef int wsfast_socket;

/* 1 once the socket is ready, or broken, 0 if it is not in time; a negative time is for ever. */
static inline int wsfast_poll(wsfast_socket fd, int write, int milliseconds)
{
    struct pollfd one = {fd, (short)(write ? POLLOUT : POLLIN), 0};
    int ready = poll(&one, 1, milliseconds);
    return ready < 0 ? -errno : ready;
}

/* Waits. The number of bytes, or 0 at the end. */
static inline ptrdiff_t wsfast_recv(wsfast_socket fd, void *to, size_t size)
{
    ptrdiff_t got = recv(fd, to, size, 0);
    return got < 0 ? -(ptrdiff_t)errno : got;
}

/* Does not wait. The number of bytes, which may be 0. */
static inline ptrdiff_t wsfast_send(wsfast_socket fd, const void *from, size_t size)
{
    ptrdiff_t sent = send(fd, from, size, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent >= 0)
        return sent;
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? 0 : -(ptrdiff_t)errno;
}

static inline int wsfast_interrupted(ptrdiff_t result)
{
    return result == -EINTR;
}

/* Seconds, of the clock of Python's time.monotonic(). */
static inline double wsfast_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static inline void wsfast_yield(void)
{
    sched_yield();
}

#endif
#endif
