# The C contract is csrc/wsf.h; this says as much of it as the bindings use. Private: what is
# declared here links into this extension only.
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

cdef extern from "wsf.h":
    enum: WSF_HEADER_MAX
    enum: WSF_CONTROL_MAX
    enum: WSF_CONTINUATION
    enum: WSF_TEXT
    enum: WSF_BINARY
    enum: WSF_CLOSE
    enum: WSF_PING
    enum: WSF_PONG
    enum: WSF_ERR_TEXT_UTF8
    enum: WSF_ERR_NO_MEMORY

    int wsf_error_close_code(int error)
    const char *wsf_error_text(int error)

    ctypedef struct wsf_header:
        uint64_t length
        uint32_t mask_key
        uint8_t opcode
        uint8_t rsv
        uint8_t fin
        uint8_t masked

    size_t wsf_header_encode(uint8_t *out, const wsf_header *header) nogil

    uint32_t wsf_mask(uint8_t *dst, const uint8_t *src, size_t size, uint32_t key) nogil
    int wsf_mask_select(const char *name)
    const char *wsf_mask_implementation()
    const char *wsf_mask_available(size_t i)

    int wsf_is_ascii(const uint8_t *data, size_t size) nogil

    ctypedef void *(*wsf_resize)(void *block, size_t size) noexcept

    ctypedef struct wsf_config:
        uint64_t max_message
        uint64_t max_fragments
        wsf_resize resize
        uint8_t server
        uint8_t allow_rsv1
        uint8_t defer_utf8
        uint8_t pieces

    ctypedef struct wsf_event:
        const uint8_t *data
        size_t size
        uint8_t opcode
        uint8_t compressed
        uint8_t piece
        uint8_t more
        uint8_t checked
        uint8_t ascii
        uint8_t owned
        uint16_t code

    ctypedef struct wsf_short:
        const uint8_t *data
        uint8_t size
        uint8_t opcode

    ctypedef struct wsf_parser:
        uint8_t *message
        size_t message_room
        int error

    void wsf_parser_init(wsf_parser *parser, const wsf_config *config)
    void wsf_parser_clear(wsf_parser *parser)
    void wsf_parser_feed(wsf_parser *parser, uint8_t *data, size_t size)
    int wsf_parser_next(wsf_parser *parser, wsf_event *event)
    size_t wsf_parser_shorts(wsf_parser *parser, wsf_short *messages, size_t room)
    void wsf_parser_take(wsf_parser *parser)
    int64_t wsf_parser_window(wsf_parser *parser, uint8_t **data, size_t min)
    void wsf_parser_filled(wsf_parser *parser, size_t size)
    void wsf_parser_fail(wsf_parser *parser, int error)
    void wsf_parser_close(wsf_parser *parser)
