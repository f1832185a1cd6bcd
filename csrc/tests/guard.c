#define _DEFAULT_SOURCE /* MAP_ANONYMOUS is not in ISO C or POSIX.1-2008 */

#include "guard.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

guard guard_new(size_t size)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t usable = (size + page - 1) / page * page;
    uint8_t *all = mmap(NULL, usable + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (all == MAP_FAILED || mprotect(all + page, usable, PROT_READ | PROT_WRITE) != 0) {
        perror("guard_new");
        exit(1);
    }
    return (guard){all + page, all + page + usable};
}

uint8_t *guard_place(const guard *area, int place, size_t size)
{
    if (size > (size_t)(area->last - area->first)) {
        fprintf(stderr, "guard_place: %zu bytes do not fit\n", size);
        exit(1);
    }
    return place == 0 ? area->last - size : area->first;
}
