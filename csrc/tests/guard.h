/* Memory between two pages that may not be touched: one byte too far is a fault. */
#ifndef GUARD_H
#define GUARD_H

#include <stddef.h>
#include <stdint.h>

#define GUARD_PLACES 2 /* each test of this kind is done with guard_place(0) and guard_place(1) */

typedef struct guard {
    uint8_t *first, *last; /* the usable bytes are first ... last - 1 */
} guard;

/* At least `size` usable bytes; lasts until the process ends. Exits if there is no memory. */
guard guard_new(size_t size);

/* `size` bytes flush against the page after them (place 0), or the page before them (place 1). */
uint8_t *guard_place(const guard *area, int place, size_t size);

#endif
