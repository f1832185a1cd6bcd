/* One parser, driven call by call, for what a log of events does not show. */
#ifndef CALLS_H
#define CALLS_H

#include "wsf.h"

extern wsf_parser parser;
extern wsf_event event; /* of the last call of next */

/* A new parser, with the hook of memory.h put into `config`; the counts of memory.h start anew. */
void start(wsf_config config);

/* Feeds a stream in the notation of frames.h; its bytes stay until the next call. */
void feed(const char *notation);

/* What wsf_parser_next returned. */
int next(void);

/* Clears the parser and checks that no block is left. */
void finish(void);

#endif
