/*
 * wsf: the WebSocket wire format (RFC 6455, section 5) as plain C11.
 *
 * No I/O, no Python, no allocation but through the hook that the caller gives, and no global state
 * but the masking dispatch, which is one atomic pointer. Nothing here is locked: one object, one
 * thread at a time; different objects may be used by different threads freely.
 *
 * Functions that can fail return a negative enum wsf_error. Bytes are `uint8_t`, sizes `size_t`,
 * lengths as the wire claims them `uint64_t`. With a size of 0 a pointer to input may be NULL.
 */
#ifndef WSF_H
#define WSF_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum wsf_opcode {
    WSF_CONTINUATION = 0x0,
    WSF_TEXT = 0x1,
    WSF_BINARY = 0x2,
    WSF_CLOSE = 0x8,
    WSF_PING = 0x9,
    WSF_PONG = 0xA
};

/* What can be wrong with a stream of frames. Each has one close code and one sentence, below. */
enum wsf_error {
    WSF_OK = 0,
    WSF_ERR_RESERVED_BITS = -1,          /* RSV1-3 set without an extension that uses them */
    WSF_ERR_OPCODE = -2,                 /* reserved opcode */
    WSF_ERR_MASK_MISSING = -3,           /* a client's frame came unmasked */
    WSF_ERR_MASK_UNEXPECTED = -4,        /* a server's frame came masked */
    WSF_ERR_LENGTH_NOT_MINIMAL = -5,     /* length not in its shortest encoding */
    WSF_ERR_LENGTH_TOO_LARGE = -6,       /* top bit of the 64-bit length set */
    WSF_ERR_CONTROL_TOO_LONG = -7,       /* control frame over 125 bytes */
    WSF_ERR_CONTROL_FRAGMENTED = -8,     /* control frame without FIN */
    WSF_ERR_CONTINUATION_UNEXPECTED = -9, /* continuation, but no message has begun */
    WSF_ERR_CONTINUATION_EXPECTED = -10, /* new message inside a fragmented one */
    WSF_ERR_CLOSE_LENGTH = -11,          /* close payload of one byte */
    WSF_ERR_CLOSE_CODE = -12,            /* close code that may not be on the wire */
    WSF_ERR_CLOSE_UTF8 = -13,            /* close reason is not UTF-8 */
    WSF_ERR_TEXT_UTF8 = -14,             /* text message is not UTF-8 */
    WSF_ERR_MESSAGE_TOO_BIG = -15,       /* over wsf_config.max_message */
    WSF_ERR_TOO_MANY_FRAGMENTS = -16,    /* over wsf_config.max_fragments */
    WSF_ERR_NO_MEMORY = -17              /* the allocation hook returned NULL */
};

/* The close code to send for an error: 1002, 1007, 1009 or 1011; 1000 for WSF_OK. */
int wsf_error_close_code(int error);

/* A short English sentence for an error, without a full stop; static, ASCII, under 100 bytes. */
const char *wsf_error_text(int error);

/* ------------------------------------------------------------------ frame headers */

#define WSF_HEADER_MAX 14 /* 2 + 8 bytes of length + 4 of masking key */
#define WSF_CONTROL_MAX 125

typedef struct wsf_header {
    uint64_t length;   /* of the payload */
    uint32_t mask_key; /* its four bytes in wire order, as memcpy reads them; 0 if not masked */
    uint8_t opcode;    /* 0-15 */
    uint8_t rsv;       /* RSV1 = 4, RSV2 = 2, RSV3 = 1 */
    uint8_t fin;       /* 0 or 1 */
    uint8_t masked;    /* 0 or 1 */
} wsf_header;

/*
 * Reads a header from `data`. Returns its size (2-14), 0 if `size` bytes are not all of it, or
 * WSF_ERR_LENGTH_NOT_MINIMAL / WSF_ERR_LENGTH_TOO_LARGE. Reads no byte past the header. Whether
 * the fields make sense together is for the parser to say.
 */
int wsf_header_decode(wsf_header *header, const uint8_t *data, size_t size);

/* Writes a header in its shortest form to `out`, which has room for WSF_HEADER_MAX bytes, and
 * returns its size. `length` below 2^63; the fields are taken as they are. */
size_t wsf_header_encode(uint8_t *out, const wsf_header *header);

/* Whether `code` may stand in a close frame: 1000-1003, 1007-1014, 3000-4999. */
int wsf_close_code_valid(unsigned code);

/* ------------------------------------------------------------------ masking */

/*
 * Writes `size` bytes of `src`, each XORed with the key's bytes in turn, to `dst`, and returns the
 * key rotated so that a next call goes on where this one stopped. `dst` and `src` are the same or
 * do not overlap; no alignment is asked for; not a byte beyond `size` is read or written.
 */
uint32_t wsf_mask(uint8_t *dst, const uint8_t *src, size_t size, uint32_t key);

/*
 * Chooses the implementation behind wsf_mask: "scalar", "sse2", "avx2", "avx512", "neon", or NULL
 * for the best that this processor has. Returns 0, or -1 if the name is unknown or the processor
 * lacks it (then nothing changes). Until the first call "scalar" is used. Other threads may be
 * masking.
 */
int wsf_mask_select(const char *name);

/* The name of the implementation in use. */
const char *wsf_mask_implementation(void);

/* The name of the i-th implementation that this processor can run, best last; NULL at the end. */
const char *wsf_mask_available(size_t i);

/* ------------------------------------------------------------------ UTF-8 */

/* State of a streaming validation; 0 at the start, and 0 again between two characters. */
typedef uint32_t wsf_utf8;

/*
 * Takes the next `size` bytes of a text and returns how many of them are good: `size`, or the
 * index of the first byte that cannot follow (RFC 3629: no overlong forms, no surrogates, nothing
 * above U+10FFFF). After a bad byte the state is not to be used again.
 */
size_t wsf_utf8_feed(wsf_utf8 *state, const uint8_t *data, size_t size);

/*
 * Whether all bytes are ASCII, which most text is. Without a way out, so that a compiler makes
 * vectors of it; a long text shows in its first part already that it is none.
 */
static inline int wsf_is_ascii(const uint8_t *data, size_t size)
{
    uint8_t all = 0;
    size_t first = size < 256 ? size : 256, i;
    for (i = 0; i < first; i++)
        all |= data[i];
    if (all >> 7)
        return 0;
    for (; i < size; i++)
        all |= data[i];
    return !(all >> 7);
}

/* ------------------------------------------------------------------ the parser */

/*
 * Allocation hook, like realloc: `block` NULL asks for a new block, `size` 0 frees. If it cannot,
 * it returns NULL and `block` has been freed. NULL as the hook means the C library's own.
 */
typedef void *(*wsf_resize)(void *block, size_t size);

typedef struct wsf_config {
    uint64_t max_message;   /* bytes of one message; 0 = no limit. Of a compressed one, whose size
                               only its reader learns, a frame may hold twice as much and 1024. */
    uint64_t max_fragments; /* frames of one message; 0 = no limit */
    wsf_resize resize;
    uint8_t server;     /* 1: parse what clients send (masked); 0: what servers send */
    uint8_t allow_rsv1; /* 1: RSV1 may be set on a message's first frame (RFC 7692). Such messages
                           are not gathered, but delivered in pieces as they come. */
    uint8_t defer_utf8; /* 1: a text that lies whole in the input is delivered unchecked, for a
                           caller whose decoder checks anyway; see wsf_parser_fail */
    uint8_t pieces;     /* 1: no message is gathered: one that does not lie whole in the input is
                           delivered in pieces as it comes */
} wsf_config;

typedef struct wsf_event {
    const uint8_t *data;
    size_t size;
    uint8_t opcode;     /* WSF_TEXT, WSF_BINARY, WSF_CLOSE, WSF_PING, WSF_PONG */
    uint8_t compressed; /* RSV1 was set: the payload is deflated, and no text was checked */
    uint8_t piece;      /* this is a piece of a message, as all of a compressed one are */
    uint8_t more;       /* and not its last one */
    uint8_t checked;    /* a text's UTF-8 has been checked; of a piece, which may end within a
                           character, as far as it goes */
    uint8_t ascii;      /* and found to be ASCII; 0 too where it lay whole in the input, or comes
                           in pieces */
    uint8_t owned;      /* `data` is the start of a block from the hook: see wsf_parser_take */
    uint16_t code;      /* of a close frame; 1005 if it had none. Then `data` is the reason. */
} wsf_event;

/* A message of at most 125 bytes that came in one frame. */
typedef struct wsf_short {
    const uint8_t *data;
    uint8_t size;
    uint8_t opcode; /* WSF_TEXT, unchecked, or WSF_BINARY */
} wsf_short;

/* The fields are the parser's own; the struct is here so that it can be a member. */
typedef struct wsf_parser {
    wsf_config config;
    uint8_t *at, *end;       /* what is left of the input */
    uint8_t *message;        /* block: payload so far of a message that did not come in one piece */
    size_t message_size, message_room; /* the size also of what was delivered in pieces */
    uint64_t remaining;      /* payload bytes of the current frame that have not come */
    uint64_t fragments;      /* frames of the current message so far */
    uint32_t mask_key;       /* rotated to the next payload byte */
    wsf_utf8 utf8;
    int error;
    uint8_t in_payload;      /* a header has been read, its payload not all */
    uint8_t opcode, fin;     /* of the current frame */
    uint8_t message_opcode;  /* of the message in progress; 0 = none */
    uint8_t compressed;      /* RSV1 of the message in progress */
    uint8_t ascii;           /* the message in progress is text, and ASCII so far */
    uint8_t delivered;       /* the block was given out by the last event */
    uint8_t closed;          /* a close frame came: all that follows is ignored */
    uint8_t head_size, control_size;
    uint8_t head[WSF_HEADER_MAX];
    uint8_t control[WSF_CONTROL_MAX];
} wsf_parser;

/* Starts a parser. `config` is copied. */
void wsf_parser_init(wsf_parser *parser, const wsf_config *config);

/* Frees what the parser holds; it may be started again. */
void wsf_parser_clear(wsf_parser *parser);

/*
 * Gives the parser the next bytes of the stream. It works in place: payloads are unmasked where
 * they lie, and events point there, so `data` must stay until wsf_parser_next has returned 0 or
 * an error. Only then may more be fed.
 */
void wsf_parser_feed(wsf_parser *parser, uint8_t *data, size_t size);

/*
 * The next event: 1 and `event` filled in, 0 if all input is used up, or an error, which stays:
 * every later call returns it. Events parsed before an error come first. Text that cannot become
 * UTF-8 and messages over a limit are errors as soon as the byte or the header that tells arrives,
 * not when the message ends. After a close frame's event, input is swallowed and 0 returned.
 * An event's `data` is good until the next call.
 *
 * A compressed message comes as one event or more, all but the last with `more` set; the last may
 * be empty. Control frames may come between them, as they did on the wire. With `pieces` the same
 * goes for any message that does not lie whole in the input.
 */
int wsf_parser_next(wsf_parser *parser, wsf_event *event);

/*
 * The next events at once, as long as they are what most streams are made of: short messages that
 * lie whole in the input, text only with `defer_utf8`. Returns how many of the `room` it filled in;
 * after fewer than `room` ask wsf_parser_next what comes then. Their `data` are all good until the
 * next call. If one of them makes the caller fail the stream, those after it are void.
 */
size_t wsf_parser_shorts(wsf_parser *parser, wsf_short *messages, size_t room);

/*
 * Makes the block of the event just returned (`owned` = 1) the caller's, who frees it with the
 * hook. Must be called before the next wsf_parser_next, which would free it.
 */
void wsf_parser_take(wsf_parser *parser);

/*
 * Where the next bytes of the stream can be received straight into the message they belong to:
 * returns how many bytes (at least `min`, never past the frame's end) and sets `*data`, or 0 if
 * there is no payload of at least `min` bytes to come, or negative on a failed allocation. All fed
 * input must have been used up. The block grows to 16 times of what has come at most,
 * whatever was claimed.
 */
int64_t wsf_parser_window(wsf_parser *parser, uint8_t **data, size_t min);

/* Says that `size` bytes were received into the window. Then call wsf_parser_next. */
void wsf_parser_filled(wsf_parser *parser, size_t size);

/* Lets the caller fail the stream, for what only it can see (a text that its own decoder refused):
 * later calls of wsf_parser_next return `error`. */
void wsf_parser_fail(wsf_parser *parser, int error);

/* Lets the caller end the stream: all that follows is swallowed, as after a close frame. */
void wsf_parser_close(wsf_parser *parser);

#ifdef __cplusplus
}
#endif
#endif
