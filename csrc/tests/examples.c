#include "examples.h"

#include "check.h"
#include "drive.h"
#include "frames.h"

#define SHORT 32 /* streams up to this size are cut in three */
#define LONG 1024
#define NEAR_END 64
#define STRIDE 997

static void check(const struct example *example, const wsf_config *config, const struct way *way,
                  const uint8_t *stream, size_t size, const struct cuts *cuts)
{
    check_about(example->frames, cuts->first, cuts->second);
    CHECK_TEXT(drive(config, way, stream, size, cuts, NULL), example->log);
}

static size_t next_place(size_t place, size_t size)
{
    if (size <= LONG || place < NEAR_END || place + NEAR_END >= size)
        return place + 1;
    return place + STRIDE + NEAR_END < size ? place + STRIDE : size - NEAR_END;
}

static void check_in_role(const struct example *example, uint8_t server, uint8_t pieces)
{
    wsf_config config = example->config;
    config.server = server;
    config.pieces = pieces;
    size_t size;
    const uint8_t *stream = frames(example->frames, server, &size);
    for (size_t w = 0; w < ways_count; w++) {
        check(example, &config, &ways[w], stream, size, &uncut);
        check(example, &config, &ways[w], stream, size, &(struct cuts){size, size, 1});
        for (size_t first = 1; first < size; first = next_place(first, size)) {
            check(example, &config, &ways[w], stream, size, &(struct cuts){first, size, 0});
            for (size_t second = first + 1; size <= SHORT && second < size; second++)
                check(example, &config, &ways[w], stream, size, &(struct cuts){first, second, 0});
        }
    }
    check_about(0, 0, 0);
}

void example_check(const struct example *example)
{
    for (uint8_t pieces = 0; pieces < 2; pieces++) {
        if (example->role != SERVER)
            check_in_role(example, 0, pieces);
        if (example->role != CLIENT)
            check_in_role(example, 1, pieces);
    }
}

void examples_check(const struct example *examples, size_t count)
{
    for (size_t i = 0; i < count; i++)
        example_check(&examples[i]);
}
