/* How events, payloads and errors are written down. */
#include "log.h"

#include "check.h"
#include "drive.h"
#include "frames.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char text[8192];
static size_t used;
static uint8_t gathered[FRAMES_ROOM]; /* of a message that comes in pieces */
static size_t gathered_size;

void log_start(void)
{
    used = gathered_size = 0;
    text[0] = '\0';
}

const char *log_text(void)
{
    return text;
}

static void append(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(text + used, sizeof text - used, format, arguments);
    va_end(arguments);
    if (size < 0 || (size_t)size >= sizeof text - used) {
        fprintf(stderr, "log: no room\n");
        exit(1);
    }
    used += (size_t)size;
}

static size_t quote(char *out, const uint8_t *data, size_t size)
{
    char *at = out;
    *at++ = '\'';
    for (size_t i = 0; i < size; i++) {
        if (data[i] < 0x20 || data[i] > 0x7e)
            at += snprintf(at, 5, "\\x%02x", data[i]);
        else
            *at++ = (char)data[i];
    }
    *at++ = '\'';
    *at = '\0';
    return (size_t)(at - out);
}

const char *payload_text(const uint8_t *data, size_t size)
{
    static char out[160];
    if (size <= 32) {
        quote(out, data, size);
        return out;
    }
    if (memcmp(data, data + 1, size - 1) == 0) {
        size_t quoted = quote(out, data, 1);
        snprintf(out + quoted, sizeof out - quoted, "*%zu", size);
        return out;
    }
    uint64_t hash = 0xcbf29ce484222325u; /* FNV-1a */
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ data[i]) * 0x100000001b3u;
    snprintf(out, sizeof out, "[%zu bytes, hash %016llx]", size, (unsigned long long)hash);
    return out;
}

static const char *event_name(unsigned opcode)
{
    switch (opcode) {
    case WSF_TEXT: return "text";
    case WSF_BINARY: return "binary";
    case WSF_CLOSE: return "close";
    case WSF_PING: return "ping";
    case WSF_PONG: return "pong";
    default: return "?";
    }
}

static void gather(const wsf_event *event)
{
    if (event->size > sizeof gathered - gathered_size) {
        fprintf(stderr, "log: no room\n");
        exit(1);
    }
    if (event->size)
        memcpy(gathered + gathered_size, event->data, event->size);
    gathered_size += event->size;
}

/* However a message was cut, it is written down once, at its end. */
static void log_piece(const wsf_event *event)
{
    gather(event);
    if (event->more)
        return;
    append("%s%s %s%s", used ? "; " : "", event_name(event->opcode),
           event->compressed ? "compressed " : "", payload_text(gathered, gathered_size));
    gathered_size = 0;
}

void log_event(const wsf_event *event)
{
    if (event->piece) {
        log_piece(event);
        return;
    }
    append("%s%s", used ? "; " : "", event_name(event->opcode));
    if (event->opcode == WSF_CLOSE)
        append(" %u", event->code);
    append(" %s", payload_text(event->data, event->size));
}

const char *error_name(int error)
{
    static const char *const names[] = {
        "OK", "RESERVED_BITS", "OPCODE", "MASK_MISSING", "MASK_UNEXPECTED", "LENGTH_NOT_MINIMAL",
        "LENGTH_TOO_LARGE", "CONTROL_TOO_LONG", "CONTROL_FRAGMENTED", "CONTINUATION_UNEXPECTED",
        "CONTINUATION_EXPECTED", "CLOSE_LENGTH", "CLOSE_CODE", "CLOSE_UTF8", "TEXT_UTF8",
        "MESSAGE_TOO_BIG", "TOO_MANY_FRAGMENTS", "NO_MEMORY",
    };
    int known = error <= 0 && (size_t)-error < sizeof names / sizeof *names;
    return known ? names[-error] : "?";
}

void log_error(int error)
{
    append("%serror %s %d", used ? "; " : "", error_name(error), wsf_error_close_code(error));
}
