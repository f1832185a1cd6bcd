#include "memory.h"

#include "check.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST_BLOCKS 64

struct memory memory;

static struct {
    void *block;
    size_t size;
} alive[MOST_BLOCKS];

static size_t find(const void *block)
{
    for (size_t i = 0; i < MOST_BLOCKS; i++) {
        if (alive[i].block == block)
            return i;
    }
    return MOST_BLOCKS;
}

void memory_start(size_t fail_at)
{
    CHECK(memory.blocks == 0);
    memory = (struct memory){.fail_at = fail_at};
    memset(alive, 0, sizeof alive);
}

size_t memory_size_of(const void *block)
{
    size_t i = block ? find(block) : MOST_BLOCKS;
    return i < MOST_BLOCKS ? alive[i].size : 0;
}

static void forget(void *block)
{
    size_t i = find(block);
    CHECK(i < MOST_BLOCKS);
    if (i == MOST_BLOCKS)
        return; /* not ours, or freed before: to free it would end the run here */
    memory.blocks--;
    memory.bytes -= alive[i].size;
    alive[i].block = NULL;
    alive[i].size = 0;
    free(block);
}

static void *allocate(size_t size)
{
    void *block = malloc(size);
    size_t i = find(NULL);
    if (block == NULL || i == MOST_BLOCKS) {
        fprintf(stderr, "memory_resize: no room for a block of %zu bytes\n", size);
        exit(1);
    }
    alive[i].block = block;
    alive[i].size = size;
    memory.blocks++;
    memory.bytes += size;
    return block;
}

void *memory_resize(void *block, size_t size)
{
    if (size == 0) {
        CHECK(block != NULL);
        forget(block);
        return NULL;
    }
    memory.requests++;
    if (size > memory.largest)
        memory.largest = size;
    void *grown = NULL;
    if (memory.requests != memory.fail_at) {
        size_t before = memory_size_of(block);
        grown = allocate(size);
        if (before)
            memcpy(grown, block, before < size ? before : size);
    }
    if (block != NULL)
        forget(block);
    return grown;
}
