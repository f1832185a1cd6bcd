#include "calls.h"

#include "check.h"
#include "frames.h"
#include "memory.h"

#include <stdlib.h>
#include <string.h>

wsf_parser parser;
wsf_event event;

void start(wsf_config config)
{
    memory_start(0);
    config.resize = memory_resize;
    wsf_parser_init(&parser, &config);
}

void feed(const char *notation)
{
    static uint8_t *stream;
    size_t size;
    const uint8_t *bytes = frames(notation, parser.config.server, &size);
    free(stream);
    stream = malloc(size + 1);
    if (stream == NULL)
        exit(1);
    memcpy(stream + 1, bytes, size); /* + 1: at an odd address */
    wsf_parser_feed(&parser, stream + 1, size);
}

int next(void)
{
    return wsf_parser_next(&parser, &event);
}

void finish(void)
{
    wsf_parser_clear(&parser);
    CHECK(memory.blocks == 0);
}
