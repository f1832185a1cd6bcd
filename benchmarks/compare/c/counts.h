/* The rounds of a load: `WARM/COUNT`, the end of a path. */
#ifndef COUNTS_H
#define COUNTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

struct counts {
    size_t each[8];
    size_t rounds, next;
};

static inline bool counts_parse(struct counts *counts, char *text) {
    while (*text && counts->rounds < 8) {
        counts->each[counts->rounds] = strtoull(text, &text, 10);
        if (!counts->each[counts->rounds++])
            return false;
        text += *text == '/';
    }
    return !*text && counts->rounds;
}

/* 0 when all are through. */
static inline size_t counts_take(struct counts *counts) {
    return counts->next < counts->rounds ? counts->each[counts->next++] : 0;
}

#endif
