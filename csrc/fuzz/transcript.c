#include "transcript.h"

#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

/* Makes room for one more of `size` elements of `each` bytes. */
static void *grown(void *block, size_t *room, size_t size, size_t each)
{
    if (size < *room)
        return block;
    *room = 2 * size + 64;
    void *larger = realloc(block, *room * each);
    if (larger == NULL)
        exit(1);
    return larger;
}

void transcript_start(transcript *t)
{
    t->count = t->size = t->error_at = 0;
    t->errors = 0;
}

static size_t items_end(const transcript *t)
{
    return t->count ? t->items[t->count - 1].start + t->items[t->count - 1].size : 0;
}

uint8_t *transcript_gather(transcript *t, const uint8_t *data, size_t size)
{
    t->bytes = grown(t->bytes, &t->bytes_room, t->size + size, 1);
    uint8_t *to = t->bytes + t->size;
    if (data && size)
        memcpy(to, data, size);
    t->size += size;
    return to;
}

static item *add(transcript *t, uint8_t opcode, size_t known_at)
{
    size_t start = items_end(t);
    t->items = grown(t->items, &t->room, t->count, sizeof *t->items);
    t->items[t->count] = (item){
        .opcode = opcode, .start = start, .size = t->size - start, .known_at = known_at};
    return &t->items[t->count++];
}

void transcript_item(transcript *t, uint8_t opcode, uint16_t code, size_t known_at)
{
    add(t, opcode, known_at)->code = code;
}

void transcript_piece(transcript *t, uint8_t opcode, int more, size_t known_at)
{
    item *last = t->count ? &t->items[t->count - 1] : NULL;
    if (last && last->more && last->opcode == opcode) {
        last->size = t->size - last->start;
        last->known_at = known_at;
    } else {
        last = add(t, opcode, known_at);
        last->compressed = 1;
    }
    last->more = more != 0;
}

/* A piece that another may still join is known to be all only with the item that follows. */
static int is_told(const transcript *t, size_t i, size_t known)
{
    i += t->items[i].more;
    return i < t->count && t->items[i].known_at <= known;
}

size_t transcript_told(const transcript *t, size_t known, size_t told)
{
    while (told < t->count && is_told(t, told, known))
        told++;
    return told;
}

void transcript_require_same(const transcript *a, const transcript *b, size_t count)
{
    REQUIRE(a->count >= count && b->count >= count);
    for (size_t i = 0; i < count; i++) {
        const item *x = &a->items[i], *y = &b->items[i];
        REQUIRE(x->opcode == y->opcode);
        REQUIRE(x->compressed == y->compressed && x->more == y->more);
        REQUIRE(x->code == y->code);
        REQUIRE(x->size == y->size);
        REQUIRE(x->size == 0 || memcmp(a->bytes + x->start, b->bytes + y->start, x->size) == 0);
    }
}
