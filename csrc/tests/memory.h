/* The allocation hook of the tests: it counts, moves every block that grows, and can fail. */
#ifndef MEMORY_H
#define MEMORY_H

#include <stddef.h>

extern struct memory {
    size_t blocks;   /* alive now */
    size_t bytes;    /* alive now */
    size_t requests; /* to allocate or to grow, so far */
    size_t largest;  /* of them, in bytes */
    size_t fail_at;  /* the request that fails, counted from 1; 0 = none */
} memory;

/* Starts the counts anew; no block may be alive. */
void memory_start(size_t fail_at);

/* A wsf_resize. Checks that `block` is one that it gave and that is alive. */
void *memory_resize(void *block, size_t size);

/* The size of a block that is alive, or 0 if `block` is not the start of one. */
size_t memory_size_of(const void *block);

#endif
