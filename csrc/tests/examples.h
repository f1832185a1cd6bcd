/* A stream and the log that it must make, tried in every way that bytes can arrive. */
#ifndef EXAMPLES_H
#define EXAMPLES_H

#include "wsf.h"

enum role { CLIENT = 0, SERVER = 1, BOTH = 2 }; /* of the parser: a server parses masked frames */

struct example {
    const char *frames; /* in the notation of frames.h */
    const char *log;    /* in that of drive.h */
    enum role role;
    wsf_config config; /* the role, `pieces` and the hook are put in */
};

/*
 * Checks that the log is the same whole, in two pieces cut at every place, byte by byte, and, for
 * short streams, in three pieces cut at every two places: in each of the ways of drive.h, whether
 * messages are gathered or delivered in pieces.
 * Streams over 1 KiB are cut near both ends, and at every 997th place between.
 */
void example_check(const struct example *example);

void examples_check(const struct example *examples, size_t count);

#define EXAMPLES_CHECK(array) examples_check(array, sizeof(array) / sizeof *(array))

#endif
